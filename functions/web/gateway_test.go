package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// line is a connection whose deadline can be seen.
type line struct {
	*httptest.ResponseRecorder
	deadline time.Time
}

func (l *line) SetReadDeadline(time.Time) error { return nil }

func (l *line) SetWriteDeadline(at time.Time) error {
	l.deadline = at
	return nil
}

type carrier func(*http.Request) (*http.Response, error)

func (c carrier) RoundTrip(r *http.Request) (*http.Response, error) { return c(r) }

// F48: a stream may go on for ever, a write of it may not: who reads nothing is let go.
func TestStreamsOfTheGatewayHaveDeadlines(t *testing.T) {
	t.Parallel()
	chat := &url.URL{Scheme: "http", Host: "chat.test"}
	site := New(Deps{Courses: chat, Auth: chat, Chat: chat, Transport: carrier(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Request: r, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(strings.NewReader("data: 1\n\n"))}, nil
	})})
	l := &line{ResponseRecorder: httptest.NewRecorder()}
	site.ServeHTTP(l, httptest.NewRequest("GET", "/v1/chat/sessions/ses_1/stream", nil))
	if left := time.Until(l.deadline); l.Body.String() != "data: 1\n\n" || left <= 0 || left > 10*time.Second {
		t.Errorf("%d %q, with a deadline %v away", l.Code, l.Body, left)
	}
}
