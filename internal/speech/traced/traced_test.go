package traced_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"lectern.dev/lectern/internal/speech"
	"lectern.dev/lectern/internal/speech/speechtest"
	"lectern.dev/lectern/internal/speech/traced"
)

func TestItIsTheVoice(t *testing.T) {
	t.Parallel()
	speechtest.Run(t, traced.Speaker{Speaker: new(speech.Fake)})
}

func TestSentencesAreShownWithoutTheirWords(t *testing.T) {
	t.Parallel()
	seen := tracetest.NewSpanRecorder()
	ctx, above := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(seen)).Tracer("test").Start(t.Context(), "POST /")
	fake := new(speech.Fake)
	s := traced.Speaker{Speaker: fake}
	if _, err := s.Speak(ctx, speech.Request{Text: "A secret.", Language: "en"}); err != nil {
		t.Fatal(err)
	}
	fake.Fail(errors.New("a secret failure"))
	if _, err := s.Speak(ctx, speech.Request{Text: "A secret.", Language: "en"}); err == nil {
		t.Error("no failure")
	}
	ended := seen.Ended()
	if len(ended) != 2 || ended[0].Parent().SpanID() != above.SpanContext().SpanID() || ended[0].Status().Code == codes.Error || ended[1].Status().Code != codes.Error {
		t.Fatalf("%v", ended)
	}
	for _, span := range ended {
		if text := fmt.Sprint(span.Name(), span.Attributes(), span.Events(), span.Status()); strings.Contains(text, "secret") || !strings.Contains(text, "lectern.characters") {
			t.Errorf("it says %s", text)
		}
	}
}
