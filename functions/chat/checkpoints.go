package chat

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/idempotency"
)

type ByCheckpoint struct {
	BySession
	Checkpoint string `path:"checkpoint" maxLength:"64" example:"ckp_06fz3qk8v0g1m2n4p5r6s7t8"`
}

func (s *server) listCheckpoints(ctx context.Context, in *listMessages) (*edge.Listed[conversation.Checkpoint], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	return edge.Listing(conversation.Checkpoints(ctx, s.DB, p, in.Session, in.Cursor, in.Limit))
}

func (s *server) getCheckpoint(ctx context.Context, in *ByCheckpoint) (*edge.Single[conversation.Snapshot], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	return edge.One(conversation.StateAt(ctx, s.DB, p, in.Session, in.Checkpoint))
}

func (s *server) replayCheckpoint(ctx context.Context, in *ByCheckpoint) (edge.Producer, error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	then, err := conversation.StateAt(ctx, s.DB, p, in.Session, in.Checkpoint)
	if err != nil {
		return nil, err
	}
	answer, err := conversation.GetMessage(ctx, s.DB, p, in.Session, then.Checkpoint.Message)
	if err != nil {
		return nil, err
	}
	return s.ask(ctx, in.Session, conversation.Prompt{Parent: answer.Parent, Replay: &then.Checkpoint})
}

type forkCheckpoint struct {
	ByCheckpoint
	idempotency.Keyed
	Body *struct {
		Title string `json:"title,omitempty" maxLength:"200" doc:"absent: the session's"`
	} `required:"false"`
}

// forkCheckpoint counts as a request for an answer: it copies what may be much.
func (s *server) forkCheckpoint(ctx context.Context, in *forkCheckpoint) (*made[conversation.Session], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.guard.ask(ctx, p); err != nil {
		return nil, err
	}
	title := ""
	if in.Body != nil {
		title = in.Body.Title
	}
	return idempotency.Write(ctx, s.DB, "fork-checkpoint", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*made[conversation.Session], error) {
		return s.begin(ctx, tx, p, func() (conversation.Session, error) {
			return conversation.Fork(ctx, tx, p, in.Session, in.Checkpoint, title)
		})
	})
}
