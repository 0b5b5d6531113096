package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// client calls the chat with a key.
type client struct {
	http *http.Client
	url  string
	key  string
	told io.Writer

	mu    sync.Mutex
	left  int // answers that may still be asked for
	asked int
}

// errSpent ends the probe: asking on would not be answered, and should not be.
var errSpent = errors.New("the organisation's budget is spent (402): raise it, or come again next month")

// longestWait is how long a Retry-After is obeyed; a longer one is a failure.
const longestWait = 70 * time.Second

// refusal is an answer with a status that says no.
type refusal struct {
	Status int
	Detail string
	Errors []struct{ Location, Message string }
	body   []byte
	header http.Header
}

// Error tells it in a line.
func (r *refusal) Error() string {
	if r.Detail == "" {
		return fmt.Sprintf("%d %s: %.200s", r.Status, http.StatusText(r.Status), r.body)
	}
	return fmt.Sprintf("%d: %s", r.Status, r.Detail)
}

// wants tells whether err is a refusal with this status.
func wants(err error, status int) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.Status == status
}

// request is a call of the API.
type request struct {
	method, path string
	body         any
	header       map[string]string
	answer       bool       // asks a model for an answer, which is counted
	sent         *time.Time // gets when it was sent, the last time that it was
}

// open calls, and gives a response whose status is below 300; its body is the caller's
// to close. Who is asked to come again later does so.
func (c *client) open(ctx context.Context, q request) (*http.Response, error) {
	for {
		resp, err := c.send(ctx, q)
		r, ok := errors.AsType[*refusal](err)
		if !ok {
			return resp, err
		}
		wait, limited := r.comeAgain()
		switch {
		case r.Status == http.StatusPaymentRequired:
			return nil, errSpent
		case !limited:
			return nil, err
		case wait > longestWait:
			return nil, fmt.Errorf("%w (to come again in %v)", err, wait)
		}
		fmt.Fprintf(c.told, "         asked to wait %v: %v\n", wait, err)
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// comeAgain tells whether a refusal is a limit that time makes good, and when.
func (r *refusal) comeAgain() (wait time.Duration, limited bool) {
	seconds, err := strconv.Atoi(r.header.Get("Retry-After"))
	if r.Status != http.StatusTooManyRequests || err != nil {
		return 0, false
	}
	return time.Duration(max(1, seconds)) * time.Second, true
}

func (c *client) send(ctx context.Context, q request) (*http.Response, error) {
	var body io.Reader
	if q.body != nil {
		encoded, err := json.Marshal(q.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(ctx, q.method, c.url+q.path, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "lectern-probe")
	if q.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		r.Header.Set("Authorization", "Bearer "+c.key)
	}
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	if q.answer {
		if err := c.take(); err != nil {
			return nil, err
		}
	}
	if q.sent != nil {
		*q.sent = time.Now()
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	no := &refusal{header: resp.Header}
	no.body, _ = io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	_ = json.Unmarshal(no.body, no) // another body has no detail
	no.Status = resp.StatusCode
	return nil, no
}

// take counts an answer, and refuses one more than was announced.
func (c *client) take() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == 0 {
		return errors.New("as many answers have been asked for as -max-calls allows")
	}
	c.left--
	c.asked++
	return nil
}

// call reads a JSON answer into out, which may be nil.
func (c *client) call(ctx context.Context, q request, out any) (*http.Response, error) {
	resp, err := c.open(ctx, q)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, fmt.Errorf("the body of %s %s broke off: %w", q.method, q.path, err)
	}
	if out == nil {
		return resp, nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return nil, fmt.Errorf("the body of %s %s is not the JSON it should be: %w: %.200s", q.method, q.path, err, body)
	}
	return resp, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
