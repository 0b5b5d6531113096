package edge

import (
	"context"
	"errors"
	"io"
	"net/http"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/trail"
)

// maxDelivery is above the largest task (100 KB) and event (512 KB) that the
// platform delivers.
const maxDelivery = 1 << 20

// Task serves the deliveries of a Cloud Tasks queue, which takes any 2xx for done
// and everything else for "again, later":
//
//	nil          200
//	Internal     500 → retried up to the queue's limit
//	Unavailable  503 with Retry-After → retried
//	other kinds  200, logged as "not retried": the same task would fail again
//
// A handler returns nil only when its result is durable. Its ctx ends when the
// queue's deadline passes or the process is told to stop: the work then hands over,
// and the task comes again, elsewhere. Requests of others than the callers are
// refused before that.
func Task(callers Callers, handle func(ctx context.Context, body []byte) error) http.Handler {
	return Delivery(callers, func(r *http.Request, body []byte) error {
		ctx, stop := untilDrain(Follow(r.Context(), trail.Trail{})) // its headers are ours
		defer stop()
		return handle(ctx, body)
	})
}

// untilDrain gives a context that also ends when the process is told to stop.
func untilDrain(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(parent)
	go func() {
		select {
		case <-ctx.Done():
		case <-Draining(ctx):
			stop()
		}
	}()
	return ctx, stop
}

// Delivery answers whatever the callers deliver with POST, by the table of Task.
// The body has been read; it holds at most 1 MiB. What is delivered is not traced before
// the handler has told whose trail it is, with Follow.
func Delivery(callers Callers, handle func(r *http.Request, body []byte) error) http.Handler {
	served := healthz(Private(callers, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "deliveries are sent with POST", http.StatusMethodNotAllowed)
			return
		}
		noteDelivery(r)
		body, err := readDelivery(w, r)
		if err == nil {
			LongLived(w)
			err = handle(r, body)
		}
		switch {
		case err == nil:
			w.WriteHeader(http.StatusOK)
		case fault.Retryable(err):
			failing(err).ServeHTTP(w, r)
		default:
			Failed(r.Context(), err) // answered 200, so the log says "not retried"
			w.WriteHeader(http.StatusOK)
		}
	})))
	return Front{}.instrumented(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Pattern = "/" // wherever it is delivered to
		served.ServeHTTP(w, r)
	}), false)
}

func readDelivery(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDelivery))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge(maxDelivery)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The delivery could not be read.")
	}
	return body, nil
}
