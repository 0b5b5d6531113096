package courses

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/job"
)

// Brief says what course the agents shall write; what is absent they take from the
// sources.
type Brief struct {
	Title    string `json:"title,omitempty" maxLength:"200"`
	Audience string `json:"audience,omitempty" maxLength:"500" example:"developers who know some SQL"`
	Language string `json:"language,omitempty" maxLength:"35" doc:"BCP 47 tag" example:"en"`
	Lessons  int    `json:"lessons,omitempty" minimum:"1" maximum:"50" doc:"how many; absent: as many as the sources carry"`
}

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

func begun(j job.Job) *started {
	out := &started{Location: "/v1/jobs/" + j.ID}
	out.Body.Job = j
	return out
}

type startGeneration struct {
	ByCourse
	Keyed
	Body Brief
}

func (s *server) startGeneration(ctx context.Context, in *startGeneration) (*started, error) {
	return start(ctx, s, "start-generation", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (job.Job, error) {
		return s.StartGeneration(ctx, tx, p, in.Course, in.Body)
	})
}

type startRender struct {
	ByLesson
	Keyed
}

func (s *server) startRender(ctx context.Context, in *startRender) (*started, error) {
	return start(ctx, s, "start-render", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (job.Job, error) {
		return s.StartRender(ctx, tx, p, in.Lesson)
	})
}

type startRenders struct {
	ByCourse
	Keyed
}

func (s *server) startRenders(ctx context.Context, in *startRenders) (*started, error) {
	return start(ctx, s, "start-renders", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (job.Job, error) {
		return s.StartRenders(ctx, tx, p, in.Course)
	})
}

// start makes a job, then sends out its first tasks; what fails of that the sweep does.
func start(ctx context.Context, s *server, operation string, k Keyed, request any,
	begin func(tx pgx.Tx, p account.Principal) (job.Job, error),
) (*started, error) {
	out, err := write(ctx, s, operation, k, request, func(tx pgx.Tx, p account.Principal) (*started, error) {
		j, err := begin(tx, p)
		return begun(j), err
	})
	if err != nil {
		return nil, err
	}
	p, err := who(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.Runner.Dispatch(ctx, p.Organization, out.Body.Job.ID); err != nil {
		slog.WarnContext(ctx, "tasks left to the sweep", "job", out.Body.Job.ID, "error", err)
	}
	return out, nil
}

type listJobs struct {
	ByCourse
	Limit int `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"how many at most"`
}

func (s *server) listJobs(ctx context.Context, in *listJobs) (*struct{ Body list[job.Job] }, error) {
	p, err := who(ctx)
	if err != nil {
		return nil, err
	}
	if err := course.Exists(ctx, s.DB, p.Organization, in.Course); err != nil {
		return nil, err
	}
	jobs, err := job.ForCourse(ctx, s.DB, p.Organization, in.Course, in.Limit)
	return &struct{ Body list[job.Job] }{list[job.Job]{Items: append([]job.Job{}, jobs...)}}, err
}

type oneJob struct {
	CacheControl string `header:"Cache-Control"`
	Body         job.Job
}

func (s *server) getJob(ctx context.Context, in *ByJob) (*oneJob, error) {
	p, err := who(ctx)
	if err != nil {
		return nil, err
	}
	j, err := job.Get(ctx, s.DB, p.Organization, in.Job)
	return &oneJob{"no-store", j}, err
}

func (s *server) cancelJob(ctx context.Context, in *ByJob) (*oneJob, error) {
	p, err := who(ctx)
	if err != nil {
		return nil, err
	}
	j, err := s.Runner.Cancel(ctx, p.Organization, in.Job)
	return &oneJob{"no-store", j}, err
}

func (s *server) resumeJob(ctx context.Context, in *ByJob) (*started, error) {
	p, err := who(ctx)
	if err != nil {
		return nil, err
	}
	j, err := s.Runner.Resume(ctx, p.Organization, in.Job)
	return begun(j), err
}
