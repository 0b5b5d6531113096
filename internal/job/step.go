package job

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// FindStep reads one step of an organization's job; NotFound when there is none.
func FindStep(ctx context.Context, q postgres.Querier, organization string, ref Ref) (Step, error) {
	s := Step{Job: ref.Job, Name: ref.Step, Organization: organization}
	err := q.QueryRow(ctx, `
		SELECT j.created_by, j.course_id, s.kind, s.subject, s.content, s.attempt, s.failures, s.input, j.input
		FROM job_steps s JOIN jobs j USING (job_id)
		WHERE s.organization_id = $1 AND s.job_id = $2 AND s.name = $3`, organization, ref.Job, ref.Step).
		Scan(&s.User, &s.CourseID, &s.Kind, &s.Subject, &s.Content, &s.Attempt, &s.Failures, &s.Input, &s.JobInput)
	if errors.Is(err, pgx.ErrNoRows) {
		return Step{}, fault.New(fault.NotFound, "There is no step %s in job %s.", ref.Step, ref.Job)
	}
	return s, postgres.Fault(err)
}

// Ref gives the name by which tasks and objects refer to the step.
func (s Step) Ref() Ref { return Ref{Job: s.Job, Step: s.Name} }
