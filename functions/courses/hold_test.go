package courses

import (
	"context"
	"testing"
	"time"

	"lectern.dev/lectern/internal/access"
	"lectern.dev/lectern/internal/access/accesstest"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// lax is a gate that lets nobody go.
type lax struct{ *access.Gate }

func (lax) Hold(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}

// admitting puts the real gate before a rig; hold tells whether it watches streams.
func (r *rig) admitting(gate *access.Gate, hold bool) *rig {
	d := r.deps
	d.Gate = gate
	if !hold {
		d.Gate = lax{gate}
	}
	guarded := *r
	guarded.Handler = New(d)
	return &guarded
}

// A stream ends within 5 s after its reader was signed out, revoked, deleted or given
// another role, and goes on for others. With a gate that watches nobody, all go on.
func TestAStreamEndsWithItsReader(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	job := r.one()["job"]
	gate := accesstest.New(t, r.db, pgtest.As(t, r.db, postgres.Tenant))
	strict, careless := r.admitting(gate.Gate, true), r.admitting(gate.Gate, false)
	exec := func(sql string) {
		t.Helper()
		if _, err := r.db.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	person := func(user string) string { return gate.Person(user, account.Author) }
	readers := map[string]string{
		"signed out": person("user_out"), "deleted": person("user_deleted"), "demoted": person("user_demoted"), "over": person("user_over"),
		"revoked": "Bearer " + gate.Program("org_local", "cred_1", account.ReadCourses), "": person("user_stays"),
	}
	watched, unwatched := map[string]<-chan event{}, map[string]<-chan event{}
	for why, token := range readers {
		watched[why], unwatched[why] = strict.watch(job, "Authorization", token), careless.watch(job, "Authorization", token)
		next(t, watched[why])
		next(t, unwatched[why])
	}

	exec(`DELETE FROM sign_ins WHERE user_id = 'user_out'`)
	exec(`DELETE FROM users WHERE user_id = 'user_deleted'`)
	exec(`UPDATE users SET role = 'learner' WHERE user_id = 'user_demoted'`)
	exec(`UPDATE sign_ins SET expires_at = now() WHERE user_id = 'user_over'`)
	exec(`INSERT INTO credential_revocations (auth_id, organization_id, revoked_by) VALUES ('cred_1', 'org_local', 'user_local')`)
	limit := time.After(time.Minute) // 5 s, on a machine that does nothing else
	for why, token := range readers {
		if why == "" {
			continue
		}
		select {
		case e, open := <-watched[why]:
			if open {
				t.Errorf("%s: the stream goes on with %+v", why, e)
			}
		case <-limit:
			t.Fatalf("%s: the stream goes on", why)
		}
		if a := strict.do("GET", "/v1/jobs/"+job+"/events", nil, "Authorization", token); a.Code != 401 && a.Code != 403 {
			t.Errorf("%s: asked again it answers %d", why, a.Code)
		}
	}
	r.do("DELETE", "/v1/jobs/"+job, nil).Want(200)
	for why := range readers {
		if e := next(t, unwatched[why]); e.name != "failed" {
			t.Errorf("%s: a gate that watches nobody shows %+v", why, e)
		}
	}
	if e := next(t, watched[""]); e.name != "failed" {
		t.Errorf("who may stay sees %+v", e)
	}
}
