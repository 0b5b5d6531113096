// Package chat is the tutor's API: sessions beside a course whose answers stream,
// with citations, and an endpoint that OpenAI's clients can use unchanged.
package chat

import (
	"net/http"

	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres"
)

// Deps are the parts that the handler works with.
type Deps struct {
	DB             postgres.Beginner
	Tutor          *conversation.Tutor
	Model          llm.Streamer // paid for, with its backup behind it
	Gate           edge.Gate
	TrustedOrigins []string
	Front          edge.Front
}

// New makes the handler: the routes, which are the manual, behind the edge.
func New(d Deps) http.Handler {
	return edge.HTTP(newAPI(d), edge.Options{TrustedOrigins: d.TrustedOrigins, Front: d.Front, Drain: d.Tutor.Drain})
}

func newAPI(d Deps) *edge.API {
	return edge.NewAPI("Lectern: chat", "A tutor beside a course, and any model behind OpenAI's API.", d.Gate)
}
