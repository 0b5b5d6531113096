package conversation

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// maxTasks is how many tasks of its own an organisation may have, each in any
// number of versions.
const maxTasks = 100

// NewTask is an instruction that an organisation writes.
type NewTask struct {
	Name         string `json:"task" pattern:"^[a-z][a-z0-9-]{0,39}$" doc:"what sessions and messages name; a name that there is gets a new version" example:"socratic"`
	Title        string `json:"title" minLength:"1" maxLength:"200"`
	Instructions string `json:"instructions" minLength:"1" maxLength:"16000" doc:"what the model is told"`
}

const taskColumns = `t.task_id, t.task, t.version, t.built_in, t.title, t.instructions, t.created_at`

func scanTask(row pgx.CollectableRow) (t Task, err error) {
	err = row.Scan(t.into()...)
	return t, err
}

// into lists where a row of taskColumns goes.
func (t *Task) into() []any {
	return []any{&t.ID, &t.Name, &t.Version, &t.BuiltIn, &t.Title, &t.Instructions, &t.CreatedAt}
}

// Tasks lists the newest version of every task that an organisation can use, by name.
func Tasks(ctx context.Context, q postgres.Querier, organization string) ([]Task, error) {
	rows, err := q.Query(ctx, `
		SELECT DISTINCT ON (t.task) `+taskColumns+`
		FROM tasks t
		WHERE t.organization_id = $1
		ORDER BY t.task, t.version DESC`, organization)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	tasks, err := pgx.CollectRows(rows, scanTask)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	for _, b := range builtIn() { // what the organisation has not used yet is not in the table
		i := slices.IndexFunc(tasks, func(t Task) bool { return t.Name == b.Name })
		switch {
		case i < 0:
			tasks = append(tasks, b)
		case tasks[i].BuiltIn && tasks[i].Version < b.Version:
			tasks[i] = b
		}
	}
	for i := range tasks {
		if tasks[i].BuiltIn {
			tasks[i].CreatedAt = time.Time{} // when it came into the table tells nothing
		}
	}
	slices.SortFunc(tasks, func(a, b Task) int { return strings.Compare(a.Name, b.Name) })
	return tasks, nil
}

// CreateTask writes the first or next version of an organisation's own task.
func CreateTask(ctx context.Context, tx postgres.Querier, p account.Principal, n NewTask) (Task, error) {
	switch {
	case !taskName.MatchString(n.Name):
		return Task{}, wrong("task", "must begin with a letter and have at most 40 lower-case letters, digits and hyphens")
	case isBuiltIn(n.Name):
		return Task{}, fault.New(fault.Conflict, "The task %s is built in. Give yours another name.", n.Name)
	}
	if err := errors.Join(checkText("title", n.Title, 1, MaxTitle), checkText("instructions", n.Instructions, 1, MaxInstructions)); err != nil {
		return Task{}, err
	}
	rows, err := tx.Query(ctx, `
		WITH there AS (
			SELECT coalesce(max(version) FILTER (WHERE task = $2), 0) AS version, count(DISTINCT task) FILTER (WHERE NOT built_in AND task <> $2) AS others
			FROM tasks
			WHERE organization_id = $1)
		INSERT INTO tasks AS t (organization_id, task_id, task, version, built_in, title, instructions, created_by)
		SELECT $1, $2 || '@' || (version + 1), $2, version + 1, false, $3, $4, $5
		FROM there
		WHERE others < $6
		RETURNING `+taskColumns, p.Organization, n.Name, n.Title, n.Instructions, p.User, maxTasks)
	if err != nil {
		return Task{}, postgres.Fault(err)
	}
	t, err := pgx.CollectExactlyOneRow(rows, scanTask)
	switch pg, ok := errors.AsType[*pgconn.PgError](err); {
	case ok && pg.Code == uniqueViolation: // somebody else wrote that version at this moment
		return Task{}, postgres.ErrAgain
	case errors.Is(err, pgx.ErrNoRows):
		return Task{}, fault.New(fault.Exhausted, "Your organization has %d tasks of its own, as many as it may have. Write a new version of one of them.", maxTasks)
	}
	return t, postgres.Fault(err)
}

const uniqueViolation = "23505"

// ensureTasks puts the built-in tasks into an organisation's table, so that messages
// can point to them. A task of its own that had a name first keeps it.
func ensureTasks(ctx context.Context, q postgres.Querier, organization string) error {
	b := new(pgx.Batch)
	for _, t := range builtIn() {
		b.Queue(`
			INSERT INTO tasks (organization_id, task_id, task, version, built_in, title, instructions)
			SELECT $1, $2, $3, $4, true, $5, $6
			WHERE NOT EXISTS (SELECT FROM tasks WHERE organization_id = $1 AND task = $3 AND NOT built_in)
			ON CONFLICT DO NOTHING`, organization, t.ID, t.Name, t.Version, t.Title, t.Instructions)
	}
	return postgres.Fault(q.SendBatch(ctx, b).Close())
}

// noTask says that there is no task of a name; "": that the session's is gone.
func noTask(name string) error {
	e := fault.New(fault.Invalid, "There is no task %q. GET /v1/chat/tasks lists those that there are.", name)
	if name == "" {
		e.Message = "The session's task is not there any more. Name one of those that GET /v1/chat/tasks lists."
	}
	e.Fields = []fault.Field{{Location: "body.task", Message: "no such task"}}
	return e
}
