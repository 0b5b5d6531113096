package openai

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

const (
	tries    = 3
	maxBytes = 32 << 20 // of an answer
)

// bounded keeps an endless answer from filling the memory, and what was asked from
// staying there for as long as the answer takes.
func bounded(req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	if req.Body != nil {
		req.Body = &sent{body: req.Body}
	}
	resp, err := next(req)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxBytes)
	}
	return resp, err
}

// sent is the body of a request that is let go of when it was read: connections keep
// the body until the answer has ended.
type sent struct {
	mu   sync.Mutex // of the field: who closes it may not wait for who reads
	body io.ReadCloser
}

func (s *sent) Read(p []byte) (int, error) {
	body := s.now()
	n, err := body.Read(p)
	if err == io.EOF {
		_ = body.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.body = http.NoBody
	}
	return n, err
}

func (s *sent) Close() error { return s.now().Close() }

func (s *sent) now() io.ReadCloser {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.body
}

// try calls the server, at most three times. It repeats what a status says may work
// later and what failed before the first byte of an answer: after it, the answer
// is paid for (llm.Used), and whoever asked decides. A longer wait than Config.Wait is left to
// the caller's queue, which costs nothing while it waits. Calls is how many were made.
func try[T any](ctx context.Context, s *Server, call func(ctx context.Context) (T, error)) (out T, calls int, err error) {
	for n := range tries {
		calls = n + 1
		var answered atomic.Bool
		traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: func() { answered.Store(true) }})
		out, err = call(traced)
		if err == nil {
			return out, calls, nil
		}
		err = s.faultOf(ctx, err)
		status, again := statusOf(err)
		if status == 0 && answered.Load() {
			err = llm.Used(err)
		}
		if ctx.Err() != nil || !fault.Is(err, fault.Unavailable) || !again && (status != 0 || answered.Load()) {
			return out, calls, err
		}
		pause := time.Duration(float64(500*time.Millisecond<<n) * (0.5 + rand.Float64()))
		if e, ok := errors.AsType[*fault.Error](err); ok && e.RetryAfter > 0 {
			pause = e.RetryAfter
		}
		if pause > s.config.Wait || n == tries-1 {
			return out, calls, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return out, calls, llm.Interrupted(ctx.Err())
		}
	}
	return out, calls, err
}

// statusOf gives the HTTP status behind an error, and whether it asks to come again.
func statusOf(err error) (status int, again bool) {
	api, ok := errors.AsType[*sdk.Error](err)
	if !ok {
		return 0, false
	}
	switch api.StatusCode {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return api.StatusCode, true
	}
	return api.StatusCode, api.StatusCode >= 500
}

// faultOf gives an error of the SDK its kind and a sentence for people. What the
// server said goes to the log only.
func (s *Server) faultOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return llm.Interrupted(ctx.Err())
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	api, ok := errors.AsType[*sdk.Error](err)
	if !ok {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return fault.Wrap(fault.Invalid, err, "The language model's answer was far too long.")
		}
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return fault.Wrap(fault.Unavailable, err, "The connection to the language model broke.")
		}
		return fault.Wrap(fault.Unavailable, err, "The language model cannot be reached, or does not answer in its protocol.")
	}
	said := errors.Join(err, errors.New(short(api.RawJSON())))
	switch {
	case api.Code == "insufficient_quota":
		return fault.Wrap(fault.Exhausted, said, "The account of the language model has no credit left.")
	case api.StatusCode == http.StatusUnauthorized, api.StatusCode == http.StatusForbidden:
		return fault.Wrap(fault.Invalid, said, "The server at %s refused the API key. Check OPENAI_API_KEY, or BACKUP_API_KEY when it is the backup.", s.host)
	case api.StatusCode == http.StatusNotFound:
		return fault.Wrap(fault.Invalid, said, "The server at %s has no such model. Check OPENAI_MODEL and OPENAI_BASE_URL, or BACKUP_MODEL and BACKUP_BASE_URL when it is the backup.", s.host)
	case api.Code == "context_length_exceeded":
		return fault.Wrap(fault.Invalid, said, "There is more text than the language model can take in.")
	case api.StatusCode == http.StatusTooManyRequests:
		e := fault.Wrap(fault.Unavailable, said, "The language model is busy at the moment. Try again in a little while.")
		e.RetryAfter = retryAfter(api.Response)
		return e
	case api.StatusCode == http.StatusRequestTimeout, api.StatusCode == http.StatusConflict, api.StatusCode >= 500:
		e := fault.Wrap(fault.Unavailable, said, "The language model has a problem of its own at the moment. Try again in a little while.")
		e.RetryAfter = retryAfter(api.Response)
		return e
	}
	return fault.Wrap(fault.Invalid, said, "The language model did not accept the request.")
}

// retryAfter reads when to come again: seconds or a date, RFC 9110 section 10.2.3.
func retryAfter(resp *http.Response) time.Duration {
	if resp == nil {
		return 0
	}
	header := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseFloat(header, 64); err == nil && seconds > 0 && seconds < 1e6 {
		return time.Duration(seconds * float64(time.Second))
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

func short(s string) string {
	if len(s) > 500 {
		return s[:500]
	}
	return s
}
