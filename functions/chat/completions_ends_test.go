package chat

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lectern.dev/lectern/internal/access"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/edgetest"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

// waits is a model that says its pieces, and then waits until nobody wants more.
type waits struct {
	says
	name string
}

func (m waits) Name() string { return m.name }

func (m waits) Stream(ctx context.Context, req llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
	if resp, err := m.says.Stream(ctx, req, emit); err != nil {
		return resp, err
	}
	<-ctx.Done()
	return llm.Response{}, llm.Interrupted(ctx.Err())
}

// fickle is a gate that lets everybody in, and go after a minute.
type fickle struct{ anybody }

func (fickle) Hold(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	revoked := time.AfterFunc(time.Minute, func() { end(access.ErrNotAdmitted) })
	return ctx, func() {
		revoked.Stop()
		end(nil)
	}
}

// What ends an answer that is not the model's doing is told as what it was, with a
// status as long as nothing has been sent.
func TestCompletionsAreEnded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		gate   edge.Gate
		after  time.Duration
		status int
		words  string
	}{
		"too long": {anybody{}, longestCompletion, http.StatusServiceUnavailable, "The answer took too long."},
		"revoked":  {fickle{}, time.Minute, http.StatusUnauthorized, "not valid any more"},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := New(Deps{Model: waits{says: says{pieces: []llm.Piece{{Text: "Hel"}}}, name: "small"}, Gate: c.gate})
			for _, stream := range []bool{false, true} {
				begun, body, status := time.Now(), `{`+hello+`}`, c.status
				if stream {
					body, status = `{`+hello+`,"stream":true}`, http.StatusOK
				}
				w := complete(h, body)
				text := w.Body.String()
				if w.Code != status || !strings.Contains(text, c.words) || strings.Contains(text, "[DONE]") || stream != strings.Contains(text, "Hel") {
					t.Errorf("%s, streaming %t: %d %s", name, stream, w.Code, text)
				}
				if took := time.Since(begun); took != c.after {
					t.Errorf("%s, streaming %t: it ends after %s", name, stream, took)
				}
			}
		})
	}
}

// A process that has been told to stop lets an answer go on for a while, and then says
// that the request should be sent again.
func TestCompletionsAreDrained(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		draining := make(chan struct{})
		ctx, end := bounded(t.Context(), draining)
		defer end()
		time.Sleep(time.Minute)
		close(draining)
		told := time.Now()
		<-ctx.Done()
		err := reasonFor(ctx, llm.Interrupted(ctx.Err()))
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "being restarted") || time.Since(told) != drainCompletion {
			t.Errorf("%v after %s", err, time.Since(told))
		}
	})
}

// A stream in which nothing is said yet is kept open by comments.
func TestCompletionsStayOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := complete(New(Deps{Model: waits{name: "small"}, Gate: fickle{}}), `{`+hello+`,"stream":true}`)
		if text := w.Body.String(); strings.Count(text, ": still here\n\n") < 4 || w.Code != http.StatusOK {
			t.Errorf("in a minute there is no more than: %d %s", w.Code, text)
		}
	})
}

// What has been said is sent within a moment, whatever comes next, and in its order.
func TestCompletionsDoNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := waits{says: says{pieces: []llm.Piece{{Text: "I "}, {Text: "look."}, {ToolCalls: []llm.ToolCallPiece{{ID: "call_1", Name: "look"}}}}}, name: "small"}
		w := httptest.NewRecorder()
		ctx, leave := context.WithCancel(t.Context())
		go stateless(m).ServeHTTP(w, edgetest.Request(t, http.MethodPost, "/v1/chat/completions", `{`+hello+`,"stream":true}`).WithContext(ctx))
		time.Sleep(coalesce)
		synctest.Wait()
		said, called := strings.Index(w.Body.String(), "look."), strings.Index(w.Body.String(), "call_1")
		if said < 0 || called < said {
			t.Errorf("after %s there is %s", coalesce, w.Body)
		}
		leave()
	})
}

// Who has gone is told nothing, and is no failure of ours.
func TestCompletionsThatNobodyReads(t *testing.T) {
	t.Parallel()
	for _, more := range []string{"", `,"stream":true`} {
		synctest.Test(t, func(t *testing.T) {
			m := waits{says: says{pieces: []llm.Piece{{Text: "Hel"}}}, name: t.Name() + more}
			ctx, leave := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, leave)
			w := httptest.NewRecorder()
			stateless(m).ServeHTTP(w, edgetest.Request(t, http.MethodPost, "/v1/chat/completions", `{`+hello+more+`}`).WithContext(ctx))
			if text := w.Body.String(); strings.Contains(text, "error") || strings.Contains(text, "[DONE]") {
				t.Errorf("%q: %s", more, text)
			}
			if state, disconnects := turnOf(t, m.name); state != "stopped" || disconnects != 1 {
				t.Errorf("%q: %s, %d disconnects", more, state, disconnects)
			}
		})
	}
}

// turnOf is what operators are told of the one answer of a model.
func turnOf(t *testing.T, model string) (state string, disconnects int64) {
	t.Helper()
	found := 0
	for _, r := range lines.of("") {
		told := map[string]slog.Value{}
		r.Attrs(func(a slog.Attr) bool { told[a.Key] = a.Value; return true })
		if told["model"].String() == model {
			found++
			state, disconnects = told["state"].String(), told["disconnects"].Int64()
		}
	}
	if found != 1 {
		t.Fatalf("%d lines about the model %s", found, model)
	}
	return state, disconnects
}

func TestCompletionsAreTold(t *testing.T) {
	t.Parallel()
	down := fault.New(fault.Unavailable, "The connection to the language model broke.")
	said := []llm.Piece{{Text: "Hel"}}
	for state, m := range map[string]says{
		"complete":    {said, llm.Response{Model: "told: complete", Finish: llm.Stop}, nil},
		"interrupted": {said, llm.Response{Model: "told: interrupted"}, down},
		"failed":      {nil, llm.Response{Model: "told: failed"}, down},
	} {
		complete(stateless(m), `{`+hello+`}`)
		if got, disconnects := turnOf(t, m.end.Model); got != state || disconnects != 0 {
			t.Errorf("%s is told as %s, with %d disconnects", state, got, disconnects)
		}
	}
}

// deadlined is a response that remembers until when it may be written.
type deadlined struct {
	*httptest.ResponseRecorder
	until time.Time
}

func (d *deadlined) SetWriteDeadline(at time.Time) error {
	d.until = at
	return nil
}

// An answer that is sent whole cannot hold its handler for ever.
func TestCompletionsAreWrittenInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &deadlined{ResponseRecorder: httptest.NewRecorder()}
		if err := writeJSON(w, "x"); err != nil || time.Until(w.until) != writeCompletion {
			t.Errorf("%v, %s", err, time.Until(w.until))
		}
	})
}

// What one may ask for binds completions as well, with a session and without.
func TestCompletionsAreLimited(t *testing.T) {
	t.Parallel()
	limited := func(limits Limits) *rig { return newRig(t, func(d *Deps) { d.Limits = limits }) }
	for _, bound := range []bool{false, true} {
		r := limited(Limits{RequestsPerMinutePerUser: 1})
		ask := func(r *rig, session string) edgetest.Answer {
			if bound {
				return r.bound(session, "Hello", "")
			}
			return r.do("POST", "/v1/chat/completions", `{`+hello+`}`)
		}
		session := r.session()
		ask(r, session).Want(200)
		if a := ask(r, session).Want(429); errorOf(t, a) != "rate_limit_exceeded" || r.model.asked != 1 {
			t.Errorf("%s, %d calls", a.Body, r.model.asked)
		}

		r = limited(Limits{StreamsPerUser: 1, AnswersPerUser: 1})
		goOn, first := make(chan struct{}), make(chan edgetest.Answer)
		r.model.says(held(goOn, "One ", "two."))
		one, other := r.session(), r.session()
		go func() { first <- ask(r, one) }()
		places := &r.guard.answers
		if bound {
			places = &r.guard.readers
		}
		eventually(t, func() bool { return places.count() > 0 })
		ask(r, other).Want(429)
		close(goOn)
		(<-first).Want(200)
		if n := places.count(); n != 0 {
			t.Errorf("%d places are taken by nobody", n)
		}
		ask(r, other).Want(200)
	}
}

// count tells for how many places are taken.
func (c *places) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.taken)
}
