package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/job"
)

// A course is made on a budget that does not hold it. Its jobs wait, and go on by
// themselves when it is raised; the end is that of a run without a limit.
func TestBudgetHolds(t *testing.T) {
	t.Parallel()
	want, _ := reference(t)
	h := open(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := client{url: h.URL(), data: tokenFor(t, h)}
	const step = 100_000 // micros: a few calls of the model
	limit := int64(step)
	raise(t, ctx, c, limit)
	waited := 0
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for pause(watching) {
			if n := waiting(ctx, h.Pool()); n > 0 && watching.Err() == nil {
				waited++
				limit += step
				raise(t, ctx, c, limit)
			}
		}
	}()
	_, err := c.makeCourse(ctx, "testdata/tea.md", 2)
	stop()
	<-watched
	if err != nil {
		t.Fatal(err)
	}
	if waited == 0 {
		t.Errorf("no job waited for a budget of %d micros", limit)
	}
	settle(t, h.Pool())
	checkInvariants(t, h.Pool(), h.Bucket())
	if diff := cmp.Diff(want, state(t, h.Pool(), h.Bucket())); diff != "" {
		t.Errorf("the final state differs (-without a limit +got):\n%s", diff)
	}
}

func raise(t *testing.T, ctx context.Context, c client, hard int64) {
	body, err := json.Marshal(map[string]int64{"soft_micros": hard, "hard_micros": hard})
	if err == nil {
		_, err = c.send(ctx, http.MethodPut, c.url+"/v1/organizations/"+account.Local.Organization+"/budget", body,
			map[string]string{"Content-Type": "application/json"})
	}
	if err != nil && ctx.Err() == nil {
		t.Error(err)
	}
}

func waiting(ctx context.Context, pool *pgxpool.Pool) (n int) {
	_ = pool.QueryRow(ctx, `SELECT count(*) FROM jobs WHERE state = $1 AND waiting_for = 'budget'`, job.Waiting).Scan(&n)
	return n
}
