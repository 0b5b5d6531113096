package web

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipes are connections in memory, whose time is that of a test.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	conn, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p pipes) Close() error { return nil }

func (p pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (p pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p <- theirs
	return ours, nil
}

// A completion that is silent for longer than the server's timeouts arrives; others
// are held to them.
func TestGatewayWaitsForCompletions(t *testing.T) {
	t.Parallel()
	chat := &url.URL{Scheme: "http", Host: "chat.test"}
	site := New(Deps{Courses: chat, Auth: chat, Chat: chat, Transport: carrier(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		select {
		case <-time.After(time.Second):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
		text := string(body) + r.Header.Get("X-Stainless-Retry-Count")
		return &http.Response{StatusCode: http.StatusOK, Request: r, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text))}, nil
	})})
	for path, want := range map[string]string{completions: "Hello2", "/v1/chat/sessions": ""} {
		synctest.Test(t, func(t *testing.T) {
			dialled := make(pipes)
			front := &http.Server{Handler: site, ReadTimeout: 300 * time.Millisecond, WriteTimeout: 300 * time.Millisecond}
			go func() { _ = front.Serve(dialled) }()
			defer close(dialled)
			client := http.Client{Transport: &http.Transport{DialContext: dialled.dial, DisableKeepAlives: true}}
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://front.test"+path, strings.NewReader("Hello"))
			r.Header.Set("X-Stainless-Retry-Count", "2")
			got := ""
			if res, err := client.Do(r); err == nil {
				body, _ := io.ReadAll(res.Body)
				res.Body.Close()
				got = string(body)
			}
			if got != want {
				t.Errorf("%s answers %q, want %q", path, got, want)
			}
		})
	}
}
