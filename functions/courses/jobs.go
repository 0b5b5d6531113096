package courses

import (
	"context"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/authoring"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/idempotency"
	"lectern.dev/lectern/internal/job"
)

type ByJob struct {
	Job string `path:"job" maxLength:"64" example:"job_06fz3qk8v0g1m2n4p5r6s7t8"`
}

// started is the answer to what goes on after the answer.
type started struct {
	Location string `header:"Location"`
	Body     struct {
		Job job.Job `json:"job"`
	}
}

func begun(j job.Job, err error) (*started, error) {
	if err != nil {
		return nil, err
	}
	out := &started{Location: "/v1/jobs/" + j.ID}
	out.Body.Job = j
	return out, nil
}

type startGeneration struct {
	ByCourse
	idempotency.Keyed
	Body authoring.Brief
}

func (s *server) startGeneration(ctx context.Context, in *startGeneration) (*started, error) {
	return idempotency.Once(ctx, s.DB, "start-generation", in.Keyed, in, func(p account.Principal) (*started, error) {
		return begun(authoring.StartGeneration(ctx, s.Runner, p, in.Course, in.Body))
	})
}

type startRender struct {
	ByLesson
	idempotency.Keyed
}

func (s *server) startRender(ctx context.Context, in *startRender) (*started, error) {
	return idempotency.Once(ctx, s.DB, "start-render", in.Keyed, in, func(p account.Principal) (*started, error) {
		return begun(s.StartRender(ctx, s.Runner, p, in.Lesson))
	})
}

type startRenders struct {
	ByCourse
	idempotency.Keyed
}

func (s *server) startRenders(ctx context.Context, in *startRenders) (*started, error) {
	return idempotency.Once(ctx, s.DB, "start-renders", in.Keyed, in, func(p account.Principal) (*started, error) {
		return begun(s.StartRenders(ctx, s.Runner, p, in.Course))
	})
}

type listJobs struct {
	ByCourse
	Limit int `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"how many at most"`
}

func (s *server) listJobs(ctx context.Context, in *listJobs) (*edge.Listed[job.Job], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	if err := course.Exists(ctx, s.DB, p.Organization, in.Course); err != nil {
		return nil, err
	}
	jobs, err := job.ForCourse(ctx, s.DB, p.Organization, in.Course, in.Limit)
	return edge.Listing(jobs, "", err)
}

type oneJob struct {
	CacheControl string `header:"Cache-Control"`
	Body         job.Job
}

func (s *server) getJob(ctx context.Context, in *ByJob) (*oneJob, error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	j, err := job.Get(ctx, s.DB, p.Organization, in.Job)
	return &oneJob{"no-store", j}, err
}

type changeJob struct {
	ByJob
	idempotency.Keyed
}

func (s *server) cancelJob(ctx context.Context, in *changeJob) (*oneJob, error) {
	return idempotency.Once(ctx, s.DB, "cancel-job", in.Keyed, in, func(p account.Principal) (*oneJob, error) {
		j, err := s.Runner.Cancel(ctx, p.Organization, in.Job)
		return &oneJob{"no-store", j}, err
	})
}

func (s *server) resumeJob(ctx context.Context, in *changeJob) (*started, error) {
	return idempotency.Once(ctx, s.DB, "resume-job", in.Keyed, in, func(p account.Principal) (*started, error) {
		return begun(s.Runner.Resume(ctx, p.Organization, in.Job))
	})
}
