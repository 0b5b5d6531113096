package courses

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/edge/edgetest"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
)

type event struct {
	id, name string
	job      job.Job
}

// watch follows a job's events over a real connection; the channel is closed when the stream ends.
func (r *rig) watch(id string, headers ...string) <-chan event {
	r.t.Helper()
	server := httptest.NewServer(r.Handler)
	q, err := http.NewRequestWithContext(r.t.Context(), "GET", server.URL+"/v1/jobs/"+id+"/events", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
	}
	response, err := server.Client().Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	events := make(chan event)
	r.t.Cleanup(func() { response.Body.Close(); server.Close() })
	go func() {
		defer close(events)
		var e event
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				e.id = value
			case "event":
				e.name = value
			case "data":
				if json.Unmarshal([]byte(value), &e.job) != nil {
					return
				}
			case "":
				if e.name != "" {
					events <- e
				}
				e = event{}
			}
		}
	}()
	return events
}

// next gives the next event.
func next(t *testing.T, events <-chan event) event {
	t.Helper()
	select {
	case e, ok := <-events:
		if !ok {
			t.Fatal("the stream ended")
		}
		return e
	case <-time.After(time.Minute):
		t.Fatal("no event within a minute")
	}
	return event{}
}

func TestAWatcherSeesTheJobToItsEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, event string
		state       job.State
		work        job.Work
	}{
		{"success", "done", job.Succeeded, func(context.Context, *job.Run) (job.Result, error) { return job.Result{}, nil }},
		{"failure", "failed", job.Failed, func(context.Context, *job.Run) (job.Result, error) {
			return job.Result{}, fault.New(fault.Invalid, "The source is empty.")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			id := r.one()["job"]
			events := r.watch(id)
			if e := next(t, events); e.name != "progress" || e.job.State != job.Queued || e.job.ID != id {
				t.Errorf("at once: %+v", e)
			}
			for _, task := range r.queue.Waiting() {
				if err := r.runner.Execute(t.Context(), task.Body, c.work); err != nil {
					t.Fatal(err)
				}
			}
			var last event
			for last.name == "" || last.name == "progress" {
				last = next(t, events)
			}
			if last.name != c.event || last.job.State != c.state || (c.state == job.Failed) != (last.job.Error != "") {
				t.Errorf("at the end: %+v", last)
			}
			if _, more := <-events; more {
				t.Error("the stream went on after the end")
			}

			// Who comes late gets the end at once; who has seen it gets 204 and stays away.
			if late := next(t, r.watch(id)); late.name != c.event || late.id != last.id {
				t.Errorf("late: %+v", late)
			}
			r.do("GET", "/v1/jobs/"+id+"/events", nil, "Last-Event-ID", last.id).Want(204)
		})
	}
}

func TestACanceledJobEndsItsStream(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.one()["job"]
	events := r.watch(id)
	next(t, events)
	if j := edgetest.Into[job.Job](r.do("DELETE", "/v1/jobs/"+id, nil).Want(200)); j.State != job.Canceled {
		t.Errorf("%+v", j)
	}
	if e := next(t, events); e.name != "failed" || e.job.State != job.Canceled {
		t.Errorf("%+v", e)
	}
	for range 2 { // with a key the second is the first, and no Conflict
		resumed := r.do("POST", "/v1/jobs/"+id+"/resume", nil, "Idempotency-Key", "again").Want(202)
		if j := edgetest.Into[struct{ Job job.Job }](resumed).Job; j.State != job.Queued {
			t.Errorf("resumed: %+v", j)
		}
	}
	r.do("POST", "/v1/jobs/"+id+"/resume", nil).Want(409)
}

// Without a board the stream reads the database.
func TestAStreamSurvivesTheBoard(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.one()["job"]
	r.board.Fail(fault.New(fault.Unavailable, "down"))
	events := r.watch(id)
	next(t, events)
	r.do("DELETE", "/v1/jobs/"+id, nil).Want(200)
	if e := next(t, events); e.name != "failed" {
		t.Errorf("%+v", e)
	}
}

func TestAStreamHoldsNoConnection(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.one()["job"]
	for range 20 { // the pool has 8
		next(t, r.watch(id))
	}
	tenants := r.deps.DB.(interface{ Stat() *pgxpool.Stat })
	for end := time.Now().Add(time.Minute); tenants.Stat().AcquiredConns() != 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d connections are held", tenants.Stat().AcquiredConns())
		}
	}
}
