package chat

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/idempotency"
)

type listMemories struct {
	Course string `query:"course" maxLength:"64" doc:"only of this course"`
}

func (s *server) listMemories(ctx context.Context, in *listMemories) (*edge.Listed[conversation.Memory], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	memories, err := conversation.Memories(ctx, s.DB, p, in.Course)
	return edge.Listing(memories, "", err)
}

type forgetAll struct {
	idempotency.Keyed
	Course string `query:"course" required:"true" minLength:"1" maxLength:"64" example:"crs_06fz3qk8v0g1m2n4p5r6s7t8"`
}

func (s *server) forgetAll(ctx context.Context, in *forgetAll) (*struct{}, error) {
	return idempotency.Write(ctx, s.DB, "forget-all", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*struct{}, error) {
		return &struct{}{}, conversation.ForgetAll(ctx, tx, p, in.Course)
	})
}

type forget struct {
	Memory string `path:"memory" maxLength:"64" example:"mem_06fz3qk8v0g1m2n4p5r6s7t8"`
	idempotency.Keyed
}

func (s *server) forget(ctx context.Context, in *forget) (*struct{}, error) {
	return idempotency.Write(ctx, s.DB, "forget", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*struct{}, error) {
		return &struct{}{}, conversation.Forget(ctx, tx, p, in.Memory)
	})
}
