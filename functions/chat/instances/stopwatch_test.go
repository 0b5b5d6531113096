package instances

import (
	"testing"
	"time"
)

// stopwatch measures how long something takes, and how much of that the machine was
// busy with other things: pauses of 20 ms tell.
type stopwatch struct {
	began time.Time
	over  chan struct{}
	lag   chan time.Duration
}

func watch() *stopwatch {
	w := &stopwatch{time.Now(), make(chan struct{}), make(chan time.Duration, 1)}
	go func() {
		const pause = 20 * time.Millisecond
		var lag time.Duration
		for {
			at := time.Now()
			select {
			case <-w.over:
				w.lag <- lag
				return
			case <-time.After(pause):
				lag += max(0, time.Since(at)-pause-5*time.Millisecond)
			}
		}
	}()
	return w
}

// within fails unless what began with the watch had ended at a time, after so long; it
// may take longer by what each of the processes that it takes had to wait for the
// processor. It is called once.
func (w *stopwatch) within(t testing.TB, limit time.Duration, at time.Time, what string) time.Duration {
	t.Helper()
	close(w.over)
	took, lag := at.Sub(w.began), <-w.lag
	if took > limit+3*lag {
		t.Errorf("%s after %v, while this process waited %v for the processor", what, took, lag)
	}
	return took
}
