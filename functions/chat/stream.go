package chat

import (
	"context"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/edge"
)

type followAnswer struct {
	BySession
	LastEventID string `header:"Last-Event-ID" maxLength:"100" doc:"id of the last event that was seen"`
}

func (s *server) followAnswer(ctx context.Context, in *followAnswer) (edge.Producer, error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	done, err := s.guard.read(ctx, p)
	if err != nil {
		return nil, err
	}
	read, err := s.tutor.Follow(ctx, p, in.Session, "", in.LastEventID)
	return s.producer(read, done, err)
}

// producer sends what is read, and gives back the place among the readers.
func (s *server) producer(read conversation.Reader, done func(), err error) (edge.Producer, error) {
	if err != nil || read == nil {
		done()
		return nil, err
	}
	return func(ctx context.Context, send func(edge.Message) error) error {
		defer done()
		defer s.observer.reading(ctx)()
		return read(ctx, func(e conversation.Event) error {
			return send(edge.Message{ID: e.ID, Event: e.Name, Data: e.Data})
		})
	}, nil
}

func (s *server) stopAnswer(ctx context.Context, in *BySession) (*struct{}, error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	return &struct{}{}, s.tutor.Stop(ctx, p, in.Session)
}
