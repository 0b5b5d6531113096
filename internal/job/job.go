// Package job runs long work: jobs made of steps, each step executed by one task
// of the queue. It survives duplicated, delayed, reordered and lost tasks, killed
// workers and ones that wake up late: a step is claimed in one statement, every
// claim has a higher attempt number, and what an older attempt writes is refused.
//
//	blocked ──needs met──▶ queued ──claim──▶ running ──▶ succeeded
//	                         ▲                 │ │ └────▶ delivered ──event──▶ succeeded
//	                         └──failed, again──┘ └──────▶ failed
//
// A delivered step has done its work and waits for the event that says so
// (a film that was uploaded, until finalize has published it).
//
// A step that meets the end of the budget goes back unharmed, and its job waits:
// nothing of it is claimed until it is resumed, by a person or by the sweep.
//
// Where something hangs on a step, such as whether a lesson's video is queued or
// rendering, it is read from job_steps, never copied: a copy would be wrong after
// a cancel.
package job

import (
	"context"
	"encoding/json"
	"time"

	"lectern.dev/lectern/internal/postgres"
)

// Kind says what a job is for.
type Kind string

// The kinds.
const (
	Generate Kind = "generate" // subject: a course
	Ingest   Kind = "ingest"   // subject: a source
	Render   Kind = "render"   // subject: a lesson, or a course for all of its lessons
)

// State is where a job stands.
type State string

// The states of a job.
const (
	Queued    State = "queued"
	Running   State = "running"
	Waiting   State = "waiting" // for a person: an approved outline, a raised budget
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Canceled  State = "canceled"
)

// Open tells whether there is still something to come.
func (s State) Open() bool { return s == Queued || s == Running || s == Waiting }

// Job is long work as its owner sees it.
type Job struct {
	ID           string          `json:"id"`
	Organization string          `json:"-"`
	Kind         Kind            `json:"kind" enum:"generate,ingest,render"`
	Subject      string          `json:"subject" doc:"id of the course, source or lesson it works on"`
	CourseID     string          `json:"course"`
	State        State           `json:"state" enum:"queued,running,waiting,succeeded,failed,canceled"`
	WaitingFor   string          `json:"waiting_for,omitempty" enum:"approval,budget" doc:"what a waiting job waits for; message says what to do"`
	Version      int64           `json:"version" doc:"rises with every change"`
	Done         int64           `json:"done" doc:"units of work finished"`
	Total        int64           `json:"total" doc:"units of work in all, as known now"`
	Message      string          `json:"message" doc:"what happens now"`
	Error        string          `json:"error,omitempty" doc:"why it failed"`
	SecondsLeft  *float64        `json:"seconds_left,omitempty" doc:"estimate from the pace so far; absent until there is a pace"`
	CreatedBy    string          `json:"-"`
	Input        json.RawMessage `json:"-"`
	Content      string          `json:"-"`
	CreatedAt    time.Time       `json:"created_at"`
	StartedAt    *time.Time      `json:"started_at,omitempty"`
	FinishedAt   *time.Time      `json:"finished_at,omitempty"`
}

// Step is a part of a job that one task executes.
type Step struct {
	Job          string
	Name         string // unique in the job: "plan", "write/les_…"
	Organization string
	User         string // who started the job
	CourseID     string
	Kind         string
	Subject      string
	Content      string
	Attempt      int64 // fencing number
	Failures     int64 // attempts that failed before this one
	Input        json.RawMessage
	JobInput     json.RawMessage
}

// NewJob is what Start makes a job of.
type NewJob struct {
	Organization, User string
	Kind               Kind
	Subject, CourseID  string
	Content            string // hash of what the work is made from
	Message            string // the first sentence that people see
	Input              any    // marshalled to JSON; shared by all steps
	Steps              []NewStep
	// Admit, unless nil, may refuse a job that was made, in the same transaction:
	// Runner.Admit does. An open job that is found instead is not asked about.
	Admit func(ctx context.Context, tx postgres.Querier, j Job) error
}

// NewStep is a step to come.
type NewStep struct {
	Name    string
	Kind    string
	Subject string
	Content string
	Needs   []string // names of steps that must have succeeded
	Units   int64    // how much of the job's work it is; at least 1
	Input   any      // marshalled to JSON
}

// Ref names a step in a task's body.
type Ref struct {
	Job  string `json:"job"`
	Step string `json:"step"`
}
