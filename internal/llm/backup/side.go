package backup

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sony/gobreaker/v2"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

// side is one of the two models, with what is known of its health.
type side struct {
	llm.Streamer
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	rest    time.Duration
}

// A model rests after so many failures in a row, or so many within a minute when they
// are no fewer than its successes.
const enough = 5

// errNothingSaid is a verdict that speaks neither for nor against a model.
var errNothingSaid = errors.New("says nothing of the model")

// errSilent is the verdict on a model that did not speak in time.
var errSilent = errors.New("no first token in time")

func newSide(m llm.Streamer, rest time.Duration) *side {
	return &side{m, gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         m.Name(),
		Interval:     time.Minute,
		BucketPeriod: 10 * time.Second,
		Timeout:      rest,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.ConsecutiveFailures >= enough || c.TotalFailures >= enough && c.TotalFailures >= c.TotalSuccesses
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errNothingSaid) },
		OnStateChange: func(model string, from, to gobreaker.State) {
			slog.Warn("a model's circuit breaker has changed", "model", model, "from", from.String(), "to", to.String())
		},
	}), rest}
}

// probed tells whether one call now tries whether the model is well again.
func (s *side) probed() bool { return s.breaker.State() == gobreaker.StateHalfOpen }

// complete answers whole, unless the model is left alone.
func (s *side) complete(ctx context.Context, req llm.Request) (resp llm.Response, err error) {
	tell, refused := s.breaker.Allow()
	if refused != nil {
		return llm.Response{}, s.restful(refused)
	}
	verdict := errNothingSaid // of a panic
	defer func() { tell(verdict) }()
	resp, err = s.Complete(ctx, req)
	verdict = judge(ctx, err)
	return resp, err
}

// judge says what an error tells of a model that had until the end of ctx.
func judge(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case again(ctx, err):
		return err
	}
	return errNothingSaid
}

func (s *side) restful(refused error) error {
	e := fault.Wrap(fault.Unavailable, refused, "The language model has failed several times, and is asked again in some seconds.")
	e.RetryAfter = s.rest
	return e
}

// resting tells whether an error came of a model that was left alone.
func resting(err error) bool {
	return errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests)
}
