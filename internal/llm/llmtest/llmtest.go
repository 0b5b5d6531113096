// Package llmtest holds what every implementation of llm.Model must do.
package llmtest

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

// Run checks a model with a request that it can answer; the answer is JSON when the
// request has a schema.
func Run(t *testing.T, m llm.Model, req llm.Request) {
	t.Run("answers whole", func(t *testing.T) {
		resp, err := m.Complete(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Text == "" || resp.Model == "" {
			t.Errorf("an answer needs a text and who gave it: %+v", resp)
		}
		if resp.Finish != llm.Stop && resp.Finish != llm.Length && resp.Finish != llm.Refusal && resp.Finish != llm.ToolCalls {
			t.Errorf("finish %q", resp.Finish)
		}
		if resp.Usage.Input <= 0 || resp.Usage.Output <= 0 {
			t.Errorf("usage %+v", resp.Usage)
		}
		if req.Schema != nil && !json.Valid([]byte(resp.Text)) {
			t.Errorf("not JSON: %.200s", resp.Text)
		}
	})
	t.Run("has a name", func(t *testing.T) {
		if first, again := m.Name(), m.Name(); first == "" || first != again {
			t.Errorf("names %q, %q", first, again)
		}
	})
	t.Run("ends with its context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		_, err := m.Complete(ctx, req)
		if err == nil {
			t.Fatal("answered after its context had ended")
		}
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("kind %v of %v", fault.KindOf(err), err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("went on for %v", took)
		}
	})
	t.Run("leaves the request alone and works in parallel", func(t *testing.T) {
		before, err := json.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, err := m.Complete(t.Context(), req); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if after, _ := json.Marshal(req); string(after) != string(before) {
			t.Error("the request was changed")
		}
	})
}
