package auth

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge/edgetest"
	"lectern.dev/lectern/internal/fault"
)

func TestMembers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann, eve := r.signUp("ann@example.com"), r.signUp("eve@example.com")
	bob := ann.join("bob@example.com", account.Author)
	cyd := ann.join("cyd@example.com", account.Learner)
	ann.do("POST", "/v1/auth/members", fields{"email": "dan@example.com", "role": "author", "name": "Dan"}).Want(201)

	page := edgetest.Into[memberPage](ann.do("GET", "/v1/auth/members?limit=2", nil).Want(200))
	rest := edgetest.Into[memberPage](ann.do("GET", "/v1/auth/members?limit=2&cursor="+page.NextCursor, nil).Want(200))
	if len(page.Items) != 2 || page.Items[0].Email != "ann@example.com" || page.Items[1].Role != account.Author || page.Items[0].SeenAt == nil ||
		len(rest.Items) != 1 || rest.Items[0].Email != "cyd@example.com" || rest.NextCursor != "" || rest.Invitations == nil || len(rest.Invitations) != 0 {
		t.Errorf("%+v\n%+v", page, rest)
	}
	if len(page.Invitations) != 1 || page.Invitations[0].Email != "dan@example.com" || page.Invitations[0].Name != "Dan" || page.Invitations[0].Role != account.Author {
		t.Errorf("%+v", page.Invitations)
	}
	if got := edgetest.Into[memberPage](eve.do("GET", "/v1/auth/members", nil).Want(200)); len(got.Items) != 1 || len(got.Invitations) != 0 {
		t.Errorf("a stranger sees %+v", got)
	}
	ann.do("GET", "/v1/auth/members?cursor=x", nil).Want(422)

	bobs := "/v1/auth/members/" + bob.me().ID
	for _, b := range []*browser{bob, cyd} {
		b.do("GET", "/v1/auth/members", nil).Want(403)
		b.do("POST", "/v1/auth/members", fields{"email": "x@example.com", "role": "learner"}).Want(403)
		b.do("PATCH", bobs, fields{"role": "owner"}).Want(403) // nobody raises themselves
		b.do("DELETE", bobs, nil).Want(403)
	}
	eve.do("PATCH", bobs, fields{"role": "owner"}).Want(404)
	eve.do("DELETE", bobs, nil).Want(404)

	if m := edgetest.Into[account.Member](ann.do("PATCH", bobs, fields{"role": "owner"}).Want(200)); m.Role != account.Owner || m.Email != "bob@example.com" {
		t.Errorf("%+v", m)
	}
	bob.do("DELETE", "/v1/auth/members/"+ann.me().ID, nil).Want(204)
	ann.do("GET", "/v1/auth/me", nil).Want(401)
	bob.do("DELETE", bobs, nil).Want(409)
	bob.do("PATCH", bobs, fields{"role": "author"}).Want(409)
	bob.do("PATCH", bobs, fields{"role": "owner"}).Want(200)
	ann.do("POST", "/v1/auth/sign-in", fields{"email": "ann@example.com", "password": password}).Want(401)
	for _, table := range []string{"passwords", "sign_ins"} {
		if n := r.count(`SELECT count(*) FROM ` + table + ` t WHERE NOT EXISTS (SELECT FROM users u WHERE u.user_id = t.user_id)`); n != 0 {
			t.Errorf("%d %s of nobody", n, table)
		}
	}
}

// Root is a role of the operator's organisation alone, and given by root alone.
func TestRoot(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann, ops := r.signUp("ann@example.com"), r.signUp("ops@example.com")
	bob := ann.join("bob@example.com", account.Learner)
	r.exec(`UPDATE organizations SET operator = true WHERE organization_id = $1`, ops.me().Organization.ID)
	second := ops.join("second@example.com", account.Owner)

	for _, b := range []*browser{ann, ops} { // owners both: not above themselves
		b.do("PATCH", "/v1/auth/members/"+b.me().ID, fields{"role": "root"}).Want(403)
		b.do("POST", "/v1/auth/members", fields{"email": "x@example.com", "role": "root"}).Want(403)
	}
	r.exec(`UPDATE users SET role = 'root' WHERE user_id IN ($1, $2)`, ops.me().ID, ann.me().ID) // ann's by mistake
	ann.do("PATCH", "/v1/auth/members/"+bob.me().ID, fields{"role": "root"}).Want(403)
	ann.do("POST", "/v1/auth/members", fields{"email": "x@example.com", "role": "root"}).Want(403)
	// An owner of the operator's organisation has no power over its root.
	second.do("PATCH", "/v1/auth/members/"+ops.me().ID, fields{"role": "learner"}).Want(403)
	second.do("DELETE", "/v1/auth/members/"+ops.me().ID, nil).Want(403)
	third := ops.join("third@example.com", account.Root)
	if third.me().Role != account.Root {
		t.Errorf("%+v", third.me())
	}
	// Nor is an invitation to be root worth anything once its sender is not.
	third.do("POST", "/v1/auth/members", fields{"email": "fifth@example.com", "role": "root"}).Want(201)
	r.exec(`UPDATE users SET role = 'owner' WHERE user_id = $1`, third.me().ID)
	use["invitation"](r.browser(), r.mail.token(t, "fifth@example.com")).Want(401)
	// An invitation to be root is worth nothing once the organisation is no operator's.
	ops.do("POST", "/v1/auth/members", fields{"email": "fourth@example.com", "role": "root"}).Want(201)
	r.exec(`UPDATE organizations SET operator = false`)
	if a := use["invitation"](r.browser(), r.mail.token(t, "fourth@example.com")); a.Code < 400 {
		t.Errorf("%d", a.Code)
	}
}

// Who was let in as root and is one no more by the time that it counts gives nobody
// what they have lost.
func TestRolesAreGivenByWhatOneIsNow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ops := r.signUp("ops@example.com")
	second := ops.join("second@example.com", account.Owner)
	me := ops.me()
	r.exec(`UPDATE organizations SET operator = true WHERE organization_id = $1`, me.Organization.ID)
	was := account.Principal{Organization: me.Organization.ID, User: me.ID, Role: account.Root, SignIn: "sgn_0"}
	if m, err := account.ChangeRole(account.With(t.Context(), was), r.deps.DB, was, second.me().ID, account.Root); !fault.Is(err, fault.Denied) {
		t.Errorf("%+v, %v", m, err)
	}
}

// However the owners fall upon each other, one stays.
func TestTheLastOwnerStays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for round := range 5 {
		first := r.signUp(fmt.Sprintf("first%d@example.com", round))
		all := []*browser{first}
		for i := range 3 {
			all = append(all, first.join(fmt.Sprintf("owner%d.%d@example.com", round, i), account.Owner))
		}
		organization := first.me().Organization.ID
		ids := make([]string, len(all))
		for i, b := range all {
			ids[i] = b.me().ID
		}
		var done sync.WaitGroup
		for i, b := range all {
			done.Go(func() { // each against the next, and against themselves
				b.do("PATCH", "/v1/auth/members/"+ids[(i+1)%len(ids)], fields{"role": "learner"})
				b.do("DELETE", "/v1/auth/members/"+ids[i], nil)
				b.do("PATCH", "/v1/auth/members/"+ids[i], fields{"role": "learner"})
			})
		}
		done.Wait()
		if n := r.count(`SELECT count(*) FROM users WHERE organization_id = $1 AND role = 'owner'`, organization); n < 1 {
			t.Fatal("no owner is left")
		}
	}
}

// The same race, held open: while one owner's demotion is under way, the other's
// waits for its outcome.
func TestTheLastOwnerWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann := r.signUp("ann@example.com")
	bob := ann.join("bob@example.com", account.Owner)
	anns, bobs := ann.me().ID, bob.me().ID
	tx, err := r.db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `UPDATE users SET role = 'learner' WHERE user_id = $1`, anns); err != nil {
		t.Fatal(err)
	}
	outcome := make(chan int, 1)
	go func() { outcome <- bob.do("DELETE", "/v1/auth/members/"+bobs, nil).Code }()
	waits := func() bool {
		return r.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) > 0
	}
	for len(outcome) == 0 && !waits() {
		time.Sleep(time.Millisecond)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code := <-outcome; code != 409 {
		t.Errorf("the last owner went: %d", code)
	}
}
