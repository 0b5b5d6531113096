package film

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/postgres"
)

// StartRender makes the job that films a lesson as it is now, or finds the one that
// is at work on the same content. A lesson without slides is a Conflict.
func StartRender(ctx context.Context, runner *job.Runner, p account.Principal, lesson string) (job.Job, error) {
	return order(ctx, runner, p, func(tx pgx.Tx) (job.NewJob, error) {
		l, err := course.GetLesson(ctx, tx, p.Organization, lesson)
		if err != nil {
			return job.NewJob{}, err
		}
		step, err := stepFor(ctx, tx, p.Organization, lesson)
		if err != nil {
			return job.NewJob{}, err
		}
		if step.Units == 0 {
			return job.NewJob{}, fault.New(fault.Conflict, "The lesson has no slides yet. Write it first.")
		}
		return job.NewJob{Subject: lesson, CourseID: l.CourseID, Content: step.Content, Steps: []job.NewStep{step}}, nil
	})
}

// StartRenders makes the job that films every written lesson of a course. Films that
// are ready and still show their lesson are found by their steps and not made again.
func StartRenders(ctx context.Context, runner *job.Runner, p account.Principal, courseID string) (job.Job, error) {
	return order(ctx, runner, p, func(tx pgx.Tx) (job.NewJob, error) {
		c, err := course.Get(ctx, tx, p.Organization, courseID)
		if err != nil {
			return job.NewJob{}, err
		}
		var steps []job.NewStep
		var contents []any
		for _, m := range c.Modules {
			for _, l := range m.Lessons {
				step, err := stepFor(ctx, tx, p.Organization, l.ID)
				if err != nil {
					return job.NewJob{}, err
				}
				if step.Units > 0 {
					steps, contents = append(steps, step), append(contents, step.Subject, step.Content)
				}
			}
		}
		if len(steps) == 0 {
			return job.NewJob{}, fault.New(fault.Conflict, "No lesson of this course has slides yet. Write the course first.")
		}
		return job.NewJob{Subject: courseID, CourseID: courseID, Content: hash("order", contents...), Steps: steps}, nil
	})
}

// order starts the job that plan describes, and sends out its first tasks; what
// fails of that the sweep does.
func order(ctx context.Context, runner *job.Runner, p account.Principal, plan func(tx pgx.Tx) (job.NewJob, error)) (started job.Job, err error) {
	err = postgres.InTx(ctx, runner.DB, func(tx pgx.Tx) error {
		n, err := plan(tx)
		if err != nil {
			return err
		}
		n.Organization, n.User, n.Kind, n.Message = p.Organization, p.User, job.Render, "Waiting to be filmed"
		n.Admit = runner.Admit
		started, _, err = job.Start(ctx, tx, n)
		return err
	})
	if err != nil {
		return job.Job{}, err
	}
	if err := runner.Dispatch(ctx, p.Organization, started.ID); err != nil {
		slog.WarnContext(ctx, "tasks left to the sweep", "job", started.ID, "error", err)
	}
	return started, nil
}

// stepFor is the step that films a lesson; it has no units when there is nothing to
// film. Its content leaves out the voice, which only the renderer knows.
func stepFor(ctx context.Context, q postgres.Querier, organization, lesson string) (job.NewStep, error) {
	script, _, err := load(ctx, q, job.Step{Organization: organization, Subject: lesson})
	if err != nil {
		return job.NewStep{}, err
	}
	units := int64(0)
	if len(script.Slides) > 0 {
		units = int64(unitsOf(len(script.Slides)))
	}
	return job.NewStep{Name: "render/" + lesson, Kind: "render", Subject: lesson, Content: ContentKey(script, ""), Units: units}, nil
}
