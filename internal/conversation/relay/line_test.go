package relay_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/postgres"
)

// clerk stands for the database where only the times of what it is asked count.
type clerk struct {
	postgres.Beginner
	slow time.Duration             // that everything takes but logging
	look func(ctx context.Context) // before all else that is asked in one exchange; nil: nothing

	mu    sync.Mutex
	beats []time.Time // of the process saying that it lives
	logs  []time.Time // of events being logged
}

func (c *clerk) Exec(ctx context.Context, _ string, _ ...any) (pgconn.CommandTag, error) {
	select {
	case <-time.After(c.slow):
		return pgconn.CommandTag{}, nil
	case <-ctx.Done():
		return pgconn.CommandTag{}, ctx.Err()
	}
}

func (c *clerk) QueryRow(ctx context.Context, _ string, _ ...any) pgx.Row {
	if _, err := c.Exec(ctx, ""); err != nil {
		return noRow{err}
	}
	return noRow{pgx.ErrNoRows}
}

// noRow is the answer when there is none, for a reason.
type noRow struct{ why error }

func (r noRow) Scan(...any) error { return r.why }

func (c *clerk) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last := b.QueuedQueries[len(b.QueuedQueries)-1]; strings.Contains(last.SQL, "INSERT INTO stream_events") {
		c.logs = append(c.logs, time.Now())
		return &logged{n: len(last.Arguments[4].([]int64))}
	}
	c.beats = append(c.beats, time.Now())
	if c.look != nil {
		c.look(ctx)
	}
	return pgx.FailedBatchResults(b, errors.New("not now"))
}

// logged is the answer to an append.
type logged struct {
	pgx.BatchResults
	n int
}

func (l *logged) Exec() (pgconn.CommandTag, error) {
	return pgconn.NewCommandTag(fmt.Sprintf("INSERT 0 %d", l.n)), nil
}

func (l *logged) Close() error { return nil }

// However many want something at once, a process says in time that it lives.
func TestACrowdIsInNobodysWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &clerk{slow: 100 * time.Millisecond}
		r := relay.New(relay.Options{DB: c})
		live := r.Begin(relay.Answer{Organization: "o", Session: "s", Message: "m"}, 0, make(causes, 1).cancel)
		ctx, leave := context.WithTimeout(t.Context(), time.Minute)
		defer leave()
		var crowd sync.WaitGroup
		for i := range 1000 {
			crowd.Go(func() { _ = r.Stop(ctx, relay.Answer{Organization: "o", Session: "s", Message: fmt.Sprint(i)}) })
		}
		crowd.Wait()
		live.End()
		_ = r.Close(context.Background())
		synctest.Wait()
		for i := 1; i < len(c.beats); i++ {
			if pause := c.beats[i].Sub(c.beats[i-1]); pause > time.Second {
				t.Errorf("nothing for %v, where the lease is 6 s", pause)
			}
		}
		if len(c.beats) < 60 {
			t.Errorf("%d times in a minute", len(c.beats))
		}
	})
}

// What comes in within a moment is logged together, also when the database is quick
// and nobody else writes; only the first words do not wait.
func TestTextIsLoggedTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &clerk{}
		r := relay.New(relay.Options{DB: c})
		live := r.Begin(relay.Answer{Organization: "o", Session: "s", Message: "m"}, 0, make(causes, 1).cancel)
		began := time.Now()
		for range 200 { // a second of a model that is quick
			must(t, live.Text("word "))
			time.Sleep(5 * time.Millisecond)
		}
		if n, err := live.Flush(t.Context()); err != nil || n < 30 {
			t.Errorf("%d events, %v", n, err)
		}
		live.End()
		_ = r.Close(context.Background())
		synctest.Wait()
		if n := len(c.logs); n > 45 || c.logs[0].Sub(began) > 0 {
			t.Errorf("logged %d times in a second, first after %v", n, c.logs[0].Sub(began))
		}
	})
}

// One look at the log that took long does not keep readers waiting for several times
// as long.
func TestASlowLookIsFollowedSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &clerk{}
		c.look = func(ctx context.Context) {
			if len(c.beats) == 2 {
				<-ctx.Done() // as when somebody has locked the rows
			}
		}
		r := relay.New(relay.Options{DB: c})
		ctx, leave := context.WithTimeout(t.Context(), time.Minute)
		defer leave()
		_ = r.Follow(ctx, relay.Answer{Organization: "o", Session: "s", Message: "m"}, 0, new(transcript).give)
		_ = r.Close(context.Background())
		synctest.Wait()
		for i := 1; i < len(c.beats); i++ {
			if pause := c.beats[i].Sub(c.beats[i-1]); pause > 5*time.Second {
				t.Errorf("nothing was looked up for %v", pause)
			}
		}
	})
}
