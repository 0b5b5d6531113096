// Package traced shows the calls of a model in the trace of who asks, in the words of
// https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/. What is asked and
// what is answered is not shown.
package traced

import (
	"context"

	"go.opentelemetry.io/otel/attribute"

	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/trail"
)

// Streamer is a model whose calls are shown. Those of a request that is not traced cost
// nothing more than without it.
type Streamer struct{ llm.Streamer }

// Complete implements llm.Model.
func (s Streamer) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	if !trail.Recording(ctx) {
		return s.Streamer.Complete(ctx, req)
	}
	ctx, span := s.begin(ctx, req)
	resp, err := s.Streamer.Complete(ctx, req)
	end(span, resp, err)
	return resp, err
}

// Stream implements llm.Streamer; the first piece is an event of the span.
func (s Streamer) Stream(ctx context.Context, req llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
	if !trail.Recording(ctx) {
		return s.Streamer.Stream(ctx, req, emit)
	}
	ctx, span := s.begin(ctx, req)
	spoke := false
	resp, err := s.Streamer.Stream(ctx, req, func(p llm.Piece) error {
		if !spoke {
			spoke = true
			span.Event("first token")
		}
		return emit(p)
	})
	end(span, resp, err)
	return resp, err
}

func (s Streamer) begin(ctx context.Context, req llm.Request) (context.Context, trail.Span) {
	ctx, span := trail.Call(ctx, "chat "+s.Name(), attribute.String("gen_ai.operation.name", "chat"), attribute.String("gen_ai.request.model", s.Name()))
	if req.MaxTokens > 0 {
		span.Set(attribute.Int("gen_ai.request.max_tokens", req.MaxTokens))
	}
	if req.Schema != nil {
		span.Set(attribute.String("gen_ai.output.type", "json"), attribute.String("lectern.schema", req.Schema.Name))
	}
	return ctx, span
}

func end(span trail.Span, resp llm.Response, err error) {
	span.Set(
		attribute.Int("gen_ai.usage.input_tokens", resp.Usage.Input), attribute.Int("gen_ai.usage.output_tokens", resp.Usage.Output),
		attribute.Int("lectern.calls", resp.Tries.Calls), attribute.Int("lectern.retries", resp.Tries.Retries),
	)
	if resp.Model != "" {
		span.Set(attribute.String("gen_ai.response.model", resp.Model))
	}
	if resp.Finish != "" {
		span.Set(attribute.StringSlice("gen_ai.response.finish_reasons", []string{string(resp.Finish)}))
	}
	span.End(err)
}
