// Package authoring writes courses: four agents turn sources and a brief into
// lessons whose every claim can be checked.
//
//	plan ──▶ write/{lesson} ──▶ examine/{lesson} ──▶ review/{lesson}
//
// The planner divides the sources into lessons; then, for all lessons side by side,
// the writer makes article, slides and narration, the examiner asks questions, and
// the reviewer checks each claim against the words it rests on. Each is a step of
// one job, with its result stored when it is done, so that a failure costs one step.
//
// Models cite passages by short ids and quote them; what is stored is a
// course.Evidence with exact offsets, made here, and never taken on trust.
package authoring

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/source"
)

// Agents write courses. The fields are set once; Work is safe for concurrent use.
type Agents struct {
	DB      postgres.Querier // reads; writes go through the step's transaction
	Library Library
	Model   llm.Model
	// Deadline bounds one call of the model; 0: 5 min.
	Deadline time.Duration
}

// The kinds of steps.
const (
	planStep    = "plan"
	writeStep   = "write"
	examineStep = "examine"
	reviewStep  = "review"
)

// maxAttempts bounds what one step may cost over all failures and resumes: each
// attempt makes at most two calls, so a job of 30 lessons can never make more
// than 91 × 20 × 2, whatever goes wrong and however often it is resumed.
const maxAttempts = 20

// Work executes one step of a generation; it is the job.Work of such jobs.
func (a *Agents) Work(ctx context.Context, run *job.Run) (job.Result, error) {
	ctx = budget.With(ctx, budget.Payer{Organization: run.Step.Organization, User: run.Step.User, Subject: run.Step.Job})
	if run.Step.Attempt > maxAttempts {
		return job.Result{}, fault.New(fault.Exhausted,
			"This step was tried %d times without success. Start a new generation instead of resuming this one.", maxAttempts)
	}
	t, err := a.task(run)
	if err != nil {
		return job.Result{}, err
	}
	switch run.Step.Kind {
	case planStep:
		return t.plan(ctx)
	case writeStep:
		return t.write(ctx)
	case examineStep:
		return t.examine(ctx)
	case reviewStep:
		return t.review(ctx)
	}
	return job.Result{}, fault.New(fault.Invalid, "No agent knows the step %q.", run.Step.Kind)
}

// task is one step at work.
type task struct {
	*Agents
	run          *job.Run
	organization string
	course       string
	brief        Brief
	lesson       lessonPlan // of the steps after the plan
}

func (a *Agents) task(run *job.Run) (*task, error) {
	t := &task{Agents: a, run: run, organization: run.Step.Organization, course: run.Step.CourseID}
	if err := json.Unmarshal(run.Step.JobInput, &t.brief); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "The job's brief cannot be read.")
	}
	if run.Step.Kind != planStep {
		if err := json.Unmarshal(run.Step.Input, &t.lesson); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "The lesson's plan cannot be read.")
		}
	}
	return t, nil
}

// lessonPlan is what the planner hands to the agents of one lesson.
type lessonPlan struct {
	ID       string        `json:"id"`
	Course   string        `json:"course"` // its title
	Title    string        `json:"title"`
	Language string        `json:"language"`
	Parts    []source.Part `json:"parts"`
}

func (a *Agents) deadline() time.Duration { return cmp.Or(a.Deadline, 5*time.Minute) }
