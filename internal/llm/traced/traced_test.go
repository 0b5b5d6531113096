package traced_test

import (
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/llm/llmtest"
	"lectern.dev/lectern/internal/llm/traced"
)

var question = llm.Request{Messages: []llm.Message{{Role: llm.User, Text: "a secret question"}}, MaxTokens: 64}

func TestItIsTheModel(t *testing.T) {
	t.Parallel()
	llmtest.RunStream(t, traced.Streamer{Streamer: &llm.Fake{Answer: func(llm.Request) (llm.Response, error) {
		return llm.Response{Text: "An answer of some words."}, nil
	}}}, question)
}

func TestCallsAreShownWithoutWhatIsSaid(t *testing.T) {
	t.Parallel()
	seen := tracetest.NewSpanRecorder()
	ctx, above := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(seen)).Tracer("test").Start(t.Context(), "POST /")
	down := false
	m := traced.Streamer{Streamer: &llm.Fake{Answer: func(llm.Request) (llm.Response, error) {
		if down {
			return llm.Response{}, fault.New(fault.Unavailable, "a secret failure")
		}
		return llm.Response{Text: "a secret answer", Usage: llm.Usage{Input: 7, Output: 3}}, nil
	}}}
	if _, err := m.Complete(ctx, question); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Stream(ctx, question, func(llm.Piece) error { return nil }); err != nil {
		t.Fatal(err)
	}
	down = true
	if _, err := m.Complete(ctx, question); err == nil {
		t.Error("no failure")
	}
	ended := seen.Ended()
	if len(ended) != 3 {
		t.Fatalf("%d spans", len(ended))
	}
	for i, span := range ended {
		has := attribute.NewSet(span.Attributes()...)
		input, _ := has.Value("gen_ai.usage.input_tokens")
		if span.Name() != "chat fake" || span.SpanKind() != trace.SpanKindClient || span.Parent().SpanID() != above.SpanContext().SpanID() {
			t.Errorf("%s of %v", span.Name(), span.Parent())
		}
		if failed := i == 2; failed != (span.Status().Code == codes.Error) || !failed && input.AsInt64() != 7 {
			t.Errorf("call %d: %v, %v", i, span.Status(), span.Attributes())
		}
		if first := i == 1; first != (len(span.Events()) == 1) {
			t.Errorf("call %d has events %v", i, span.Events())
		}
		if strings.Contains(fmt.Sprint(span.Name(), span.Attributes(), span.Events(), span.Status()), "secret") {
			t.Errorf("what was said is in %v", span.Attributes())
		}
	}
}
