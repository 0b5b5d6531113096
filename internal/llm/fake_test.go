package llm_test

import (
	"testing"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/llm/llmtest"
)

func TestFake(t *testing.T) {
	t.Parallel()
	f := &llm.Fake{Answer: func(llm.Request) (llm.Response, error) { return llm.Response{Text: "Good day to you"}, nil }}
	llmtest.RunStream(t, f, llm.Request{Messages: []llm.Message{{Role: llm.User, Text: "Hello"}}})
}

func TestFakeFails(t *testing.T) {
	t.Parallel()
	f := &llm.Fake{}
	f.Fail(fault.New(fault.Unavailable, "down"))
	if _, err := f.Complete(t.Context(), llm.Request{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
	f.Fail(nil)
	if _, err := f.Complete(t.Context(), llm.Request{}); err != nil {
		t.Errorf("got %v", err)
	}
	if n := len(f.Requests()); n != 2 {
		t.Errorf("%d requests", n)
	}
}
