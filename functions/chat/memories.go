package chat

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation"
)

type listMemories struct {
	Course string `query:"course" maxLength:"64" doc:"only of this course"`
}

func (s *server) listMemories(ctx context.Context, in *listMemories) (*listed[conversation.Memory], error) {
	p, err := who(ctx)
	if err != nil {
		return nil, err
	}
	memories, err := conversation.Memories(ctx, s.DB, p, in.Course)
	return listOf(memories, "", err)
}

type forgetAll struct {
	Keyed
	Course string `query:"course" required:"true" minLength:"1" maxLength:"64" example:"crs_06fz3qk8v0g1m2n4p5r6s7t8"`
}

func (s *server) forgetAll(ctx context.Context, in *forgetAll) (*nothing, error) {
	return write(ctx, s, "forget-all", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*nothing, error) {
		return &nothing{}, conversation.ForgetAll(ctx, tx, p, in.Course)
	})
}

type forget struct {
	Memory string `path:"memory" maxLength:"64" example:"mem_06fz3qk8v0g1m2n4p5r6s7t8"`
	Keyed
}

func (s *server) forget(ctx context.Context, in *forget) (*nothing, error) {
	return write(ctx, s, "forget", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*nothing, error) {
		return &nothing{}, conversation.Forget(ctx, tx, p, in.Memory)
	})
}
