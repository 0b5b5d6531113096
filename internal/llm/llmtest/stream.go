package llmtest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

// RunStream checks a model that answers piece by piece, with a request that it can
// answer in more than one; and all that Run checks.
func RunStream(t *testing.T, m llm.Streamer, req llm.Request) {
	Run(t, m, req)
	t.Run("streams whole", func(t *testing.T) {
		var got listener
		resp, err := m.Stream(t.Context(), req, got.take)
		if err != nil {
			t.Fatal(err)
		}
		got.check(t, resp)
		if len(got.pieces) < 2 {
			t.Errorf("%d pieces: the request is no use for this test", len(got.pieces))
		}
		if resp.Model == "" || resp.Finish == "" {
			t.Errorf("an answer needs who gave it, and why it ended: %+v", resp)
		}
		if resp.Usage.Input <= 0 || resp.Usage.Output <= 0 {
			t.Errorf("usage %+v", resp.Usage)
		}
	})
	t.Run("ends with an error of who listens", func(t *testing.T) {
		enough := fault.New(fault.Conflict, "enough")
		for _, n := range []int{0, 1} {
			got := listener{most: n, then: enough}
			resp, err := m.Stream(t.Context(), req, got.take)
			if !errors.Is(err, enough) || !fault.Is(err, fault.Conflict) {
				t.Errorf("after %d pieces: %v", n, err)
			}
			got.check(t, resp)
			if resp.Finish != "" {
				t.Errorf("after %d pieces: finish %q", n, resp.Finish)
			}
			if got.refused != 1 {
				t.Errorf("after %d pieces and an error there were %d more", n, got.refused-1)
			}
		}
	})
	t.Run("begins nothing when its context has ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var got listener
		began := time.Now()
		_, err := m.Stream(ctx, req, got.take)
		if !fault.Is(err, fault.Unavailable) || len(got.pieces) > 0 {
			t.Errorf("%d pieces, kind %v of %v", len(got.pieces), fault.KindOf(err), err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("went on for %v", took)
		}
	})
	t.Run("ends in the middle with its context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		got := listener{during: cancel}
		resp, err := m.Stream(ctx, req, got.take)
		if !fault.Is(err, fault.Unavailable) || resp.Finish != "" {
			t.Errorf("finish %q, kind %v of %v", resp.Finish, fault.KindOf(err), err)
		}
		got.check(t, resp)
		if len(got.pieces) != 1 {
			t.Errorf("%d pieces after its context had ended", len(got.pieces)-1)
		}
	})
	t.Run("leaves the request alone and streams in parallel", func(t *testing.T) {
		before, err := json.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				var got listener
				resp, err := m.Stream(t.Context(), req, got.take)
				if err != nil {
					t.Error(err)
				}
				got.check(t, resp)
			})
		}
		wg.Wait()
		if after, _ := json.Marshal(req); string(after) != string(before) {
			t.Error("the request was changed")
		}
	})
}

// listener keeps what it is given.
type listener struct {
	most    int    // pieces that it takes, if then is set
	then    error  // what it says to the next ones
	during  func() // is called in the first piece
	pieces  []llm.Piece
	refused int

	busy  atomic.Int32
	twice atomic.Bool
}

func (l *listener) take(p llm.Piece) error {
	if l.busy.Add(1) > 1 {
		l.twice.Store(true)
	}
	defer l.busy.Add(-1)
	if l.then != nil && len(l.pieces) == l.most {
		l.refused++
		return l.then
	}
	l.pieces = append(l.pieces, p)
	if l.during != nil && len(l.pieces) == 1 {
		l.during()
	}
	return nil
}

// check compares the response with what was said.
func (l *listener) check(t *testing.T, resp llm.Response) {
	t.Helper()
	if l.twice.Load() {
		t.Error("two pieces were given at once")
	}
	var text strings.Builder
	var calls []llm.ToolCall
	for _, p := range l.pieces {
		if p.Text == "" && len(p.ToolCalls) == 0 {
			t.Error("a piece says nothing")
		}
		text.WriteString(p.Text)
		for _, c := range p.ToolCalls {
			for len(calls) <= c.Index {
				calls = append(calls, llm.ToolCall{})
			}
			call := &calls[c.Index]
			call.ID, call.Name, call.Arguments = call.ID+c.ID, call.Name+c.Name, call.Arguments+c.Arguments
		}
	}
	if resp.Text != text.String() {
		t.Errorf("the response says %q, its pieces %q", resp.Text, text.String())
	}
	if len(calls) != len(resp.ToolCalls) {
		t.Fatalf("the response has %d calls, its pieces %d", len(resp.ToolCalls), len(calls))
	}
	for i := range calls {
		if calls[i] != resp.ToolCalls[i] {
			t.Errorf("the response calls %+v, its pieces %+v", resp.ToolCalls[i], calls[i])
		}
	}
}
