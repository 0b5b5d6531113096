package conversation

import (
	"context"
	"log/slog"
	"time"
)

const (
	drainMargin = 2 * time.Second // see Tutor.margin
	drainTime   = 6 * time.Second // when ctx has no deadline
)

// Drain lets answers go on until shortly before ctx ends, then hands over those that
// are not done: who follows them next goes on with them. Where there is nobody else, it
// does so at once. Nothing may be sent after it.
func (t *Tutor) Drain(ctx context.Context) {
	t.mu.Lock()
	if t.draining {
		t.mu.Unlock()
		return
	}
	t.draining = true
	t.mu.Unlock()
	t.summaries.drain()
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(drainTime)
	}
	done := make(chan struct{})
	go func() {
		t.began.Wait()
		close(done)
	}()
	wait := time.Until(end) - t.margin
	if t.p.Alone {
		wait = 0
	}
	select {
	case <-done:
	case <-ctx.Done():
	case <-time.After(wait):
	}
	handing, cancel := context.WithDeadline(context.WithoutCancel(ctx), end)
	defer cancel()
	if err := t.p.Relay.HandOver(handing); err != nil {
		slog.WarnContext(ctx, "answers could not be handed over; their readers find them interrupted", "error", err)
	}
	close(t.gone)
	select {
	case <-done:
	case <-handing.Done():
	}
	if err := t.p.Relay.Close(handing); err != nil {
		slog.WarnContext(ctx, "the end of the process could not be noted; it is found out", "error", err)
	}
}
