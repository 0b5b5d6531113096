package chat

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/idempotency"
)

func (s *server) listTasks(ctx context.Context, _ *struct{}) (*edge.Listed[conversation.Task], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	tasks, err := conversation.Tasks(ctx, s.DB, p.Organization)
	return edge.Listing(tasks, "", err)
}

type createTask struct {
	idempotency.Keyed
	Body conversation.NewTask
}

func (s *server) createTask(ctx context.Context, in *createTask) (*made[conversation.Task], error) {
	return idempotency.Write(ctx, s.DB, "create-task", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*made[conversation.Task], error) {
		task, err := conversation.CreateTask(ctx, tx, p, in.Body)
		if err != nil {
			return nil, err
		}
		return &made[conversation.Task]{Location: "/v1/chat/tasks", Body: task}, nil
	})
}
