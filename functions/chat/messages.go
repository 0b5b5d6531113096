package chat

import (
	"context"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
)

type listMessages struct {
	BySession
	edge.Page
}

func (s *server) listMessages(ctx context.Context, in *listMessages) (*edge.Listed[conversation.Message], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	return edge.Listing(conversation.Messages(ctx, s.DB, p, in.Session, in.Cursor, in.Limit))
}

type ByMessage struct {
	BySession
	Message string `path:"message" maxLength:"64" example:"msg_06fz3qk8v0g1m2n4p5r6s7t8"`
}

func (s *server) getMessage(ctx context.Context, in *ByMessage) (*edge.Single[conversation.Message], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	return edge.One(conversation.GetMessage(ctx, s.DB, p, in.Session, in.Message))
}

// newMessage is what a person sends.
type newMessage struct {
	ID        string `json:"id,omitempty" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" doc:"of your own, such as a UUID: sent again, it is the same message; absent: a new one"`
	Content   string `json:"content,omitempty" minLength:"1" maxLength:"32000" doc:"what is asked; absent: another answer to parent, or the rest of it"`
	Parent    string `json:"parent,omitempty" maxLength:"64" doc:"the message that is followed; absent: the newest; root: none, a new beginning"`
	Task      string `json:"task,omitempty" maxLength:"64" doc:"how it is answered; absent: the session's task"`
	MaxTokens int    `json:"max_tokens,omitempty" minimum:"1" maximum:"32000" doc:"of the answer; absent: the model's own bound"`
}

type sendMessage struct {
	BySession
	Body newMessage
}

func (s *server) sendMessage(ctx context.Context, in *sendMessage) (edge.Producer, error) {
	if in.Body.Content == "" && in.Body.Parent == "" {
		e := fault.New(fault.Invalid, "There is nothing to answer: send content, or the parent that another answer is wanted to.")
		e.Fields = []fault.Field{{Location: "body.content", Message: "required without a parent"}}
		return nil, e
	}
	return s.ask(ctx, in.Session, conversation.Prompt{
		ID: in.Body.ID, Content: in.Body.Content, Parent: in.Body.Parent, Task: in.Body.Task, MaxTokens: in.Body.MaxTokens,
	})
}

// ask begins an answer and follows it from its start. All that can be refused is
// refused before, as a problem; what goes wrong later the last event tells.
func (s *server) ask(ctx context.Context, session string, prompt conversation.Prompt) (edge.Producer, error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	done, err := s.guard.read(ctx, p)
	if err != nil {
		return nil, err
	}
	read, err := func() (conversation.Reader, error) {
		if err := s.guard.ask(ctx, p); err != nil {
			return nil, err
		}
		turn, err := s.tutor.Send(ctx, p, session, prompt)
		if err != nil {
			return nil, err
		}
		return s.tutor.Follow(ctx, p, session, turn.Answer.ID, "")
	}()
	return s.producer(read, done, err)
}
