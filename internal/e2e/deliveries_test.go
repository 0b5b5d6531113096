package e2e

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/functions/local/house"
	"lectern.dev/lectern/internal/account"
	gcs "lectern.dev/lectern/internal/gcp/gcs/emulator"
	tasks "lectern.dev/lectern/internal/gcp/tasks/emulator"
	"lectern.dev/lectern/internal/postgres"
)

// A course is made while deliveries go wrong, for every task and every event. The
// final state is that of a run without a fault.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	want, _ := reference(t)
	for name, c := range map[string]struct {
		disturb func(*house.Options)
		// impatient is what the sweep would wait minutes for, in SQL.
		impatient string
	}{
		"F04: twice, one after the other": {disturb: func(o *house.Options) {
			o.Tasks.Faults = func(tasks.Delivery) tasks.Fault { return tasks.Fault{Copies: 1} }
			o.Events.Plan = func(gcs.Event) []time.Duration { return []time.Duration{0, 50 * time.Millisecond} }
		}},
		"F05: five at once": {disturb: func(o *house.Options) {
			o.Tasks.Faults = func(tasks.Delivery) tasks.Fault { return tasks.Fault{Copies: 4, AtOnce: true} }
			o.Events.Plan = func(gcs.Event) []time.Duration { return make([]time.Duration, 5) }
		}},
		"F06: in any order": {disturb: func(o *house.Options) {
			o.Tasks.Pick = func(due []string) int { return rand.IntN(len(due)) }
			o.Events.Plan = func(gcs.Event) []time.Duration { return []time.Duration{rand.N(time.Second)} }
		}},
		"F07: the first answers are lost": {disturb: func(o *house.Options) {
			o.Tasks.Faults = func(d tasks.Delivery) tasks.Fault { return tasks.Fault{DropResponse: d.Retry == 0} }
		}},
		"F11: no event arrives": {
			disturb: func(o *house.Options) {
				o.Events.Plan = func(gcs.Event) []time.Duration { return nil }
			},
			impatient: `
				UPDATE job_steps SET lease_until = now() - interval '1 second' WHERE state = 'delivered';
				UPDATE sources SET created_at = now() - interval '5 minutes' WHERE state = 'uploading'`,
		},
		"no task arrives at first": {
			disturb: func(o *house.Options) {
				o.Tasks.Faults = firstOfEachIsLost()
			},
			impatient: `UPDATE job_steps SET changed_at = now() - interval '1 hour' WHERE state = 'queued'`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t, c.disturb)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if c.impatient != "" {
				hurry(t, h.Pool(), c.impatient)
			}
			if _, err := (client{url: h.URL(), data: tokenFor(t, h)}).makeCourse(ctx, "testdata/tea.md", 2); err != nil {
				t.Fatal(err)
			}
			settle(t, h.Pool())
			checkInvariants(t, h.Pool(), h.Bucket())
			if diff := cmp.Diff(want, state(t, h.Pool(), h.Bucket())); diff != "" {
				t.Errorf("the final state differs (-undisturbed +got):\n%s", diff)
			}
		})
	}
}

// firstOfEachIsLost loses the first two tasks of every three.
func firstOfEachIsLost() func(tasks.Delivery) tasks.Fault {
	var mu sync.Mutex
	n := 0
	return func(tasks.Delivery) tasks.Fault {
		mu.Lock()
		defer mu.Unlock()
		n++
		return tasks.Fault{Lose: n%3 != 0}
	}
}

// hurry lets time pass, twice a second, for what the sweep waits for.
func hurry(t *testing.T, pool *pgxpool.Pool, sql string) {
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() { stop(); running.Wait() })
	running.Go(func() {
		for tick := time.Tick(500 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				return
			case <-tick:
			}
			err := postgres.InTx(ctx, pool, func(tx pgx.Tx) error { // it takes all rows at once, and may be refused for a deadlock
				_, err := tx.Exec(ctx, sql)
				return err
			})
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
}

// tokenFor leaves a token in a folder, as a server of its own process does.
func tokenFor(t *testing.T, h *house.House) (folder string) {
	t.Helper()
	folder = t.TempDir()
	token, err := h.Token(t.Context(), account.Local.User)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, tokenFile), []byte(token), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return folder
}
