package chat

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/idempotency"
)

type BySession struct {
	Session string `path:"session" maxLength:"64" example:"ses_06fz3qk8v0g1m2n4p5r6s7t8"`
}

type listSessions struct {
	edge.Page
	Course string `query:"course" maxLength:"64" doc:"only those beside this course"`
}

func (s *server) listSessions(ctx context.Context, in *listSessions) (*edge.Listed[conversation.Session], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	return edge.Listing(conversation.ListSessions(ctx, s.DB, p, in.Course, in.Cursor, in.Limit))
}

// newSession is what a session is begun with.
type newSession struct {
	Course string `json:"course,omitempty" maxLength:"64" doc:"whose material the answers rest on"`
	Lesson string `json:"lesson,omitempty" maxLength:"64" doc:"beside which it stands; its course is the session's"`
	Task   string `json:"task,omitempty" maxLength:"64" doc:"what messages are answered by that name no task; absent: tutor"`
	Title  string `json:"title,omitempty" maxLength:"200"`
}

type createSession struct {
	idempotency.Keyed
	Body newSession
}

func (s *server) createSession(ctx context.Context, in *createSession) (*made[conversation.Session], error) {
	return idempotency.Write(ctx, s.DB, "create-session", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*made[conversation.Session], error) {
		return s.begin(ctx, tx, p, func() (conversation.Session, error) {
			return conversation.CreateSession(ctx, tx, p, conversation.NewSession{
				CourseID: in.Body.Course, LessonID: in.Body.Lesson, Task: in.Body.Task, Title: in.Body.Title,
			})
		})
	})
}

// made is the answer to who made something.
type made[T any] struct {
	Location string `header:"Location"`
	Body     T
}

// begin begins a session where there is room for one.
func (s *server) begin(ctx context.Context, tx pgx.Tx, p account.Principal, session func() (conversation.Session, error)) (*made[conversation.Session], error) {
	if err := conversation.Room(ctx, tx, p, s.Limits.ofTutor()); err != nil {
		return nil, err
	}
	begun, err := session()
	if err != nil {
		return nil, err
	}
	return &made[conversation.Session]{Location: "/v1/chat/sessions/" + begun.ID, Body: begun}, nil
}

func (s *server) getSession(ctx context.Context, in *BySession) (*edge.Single[conversation.Session], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	return edge.One(conversation.GetSession(ctx, s.DB, p, in.Session))
}

type renameSession struct {
	BySession
	idempotency.Keyed
	Body struct {
		Title string `json:"title" maxLength:"200"`
	}
}

func (s *server) renameSession(ctx context.Context, in *renameSession) (*edge.Single[conversation.Session], error) {
	return idempotency.Write(ctx, s.DB, "rename-session", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*edge.Single[conversation.Session], error) {
		return edge.One(conversation.RenameSession(ctx, tx, p, in.Session, in.Body.Title))
	})
}

type deleteSession struct {
	BySession
	idempotency.Keyed
}

func (s *server) deleteSession(ctx context.Context, in *deleteSession) (*struct{}, error) {
	return idempotency.Write(ctx, s.DB, "delete-session", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*struct{}, error) {
		return &struct{}{}, conversation.DeleteSession(ctx, tx, p, in.Session)
	})
}
