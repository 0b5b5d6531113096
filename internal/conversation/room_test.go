package conversation

import (
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
)

// begin begins a session where there is room for one.
func (s *shelf) begin(t *testing.T, p account.Principal, limits Limits) error {
	t.Helper()
	ctx := as(t, p)
	return s.tx(ctx, func(tx pgx.Tx) error {
		if err := Room(ctx, tx, p, limits); err != nil {
			return err
		}
		_, err := CreateSession(ctx, tx, p, NewSession{})
		return err
	})
}

// Nobody has more sessions than they may, also when they begin many at once; room that
// was made can be used. An API credential, which may stand for many people, is bound by
// what its organization may have.
func TestRoom(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	limits := Limits{SessionsPerUser: 3, SessionsPerOrganization: 6}
	count := func(p account.Principal) int64 {
		return s.number(t, `SELECT count(*) FROM sessions WHERE user_id = $1`, p.User)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := s.begin(t, ann, limits); err != nil && (!fault.Is(err, fault.Exhausted) || !strings.Contains(err.Error(), "You have 3 conversations")) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := count(ann); n != 3 {
		t.Errorf("%d sessions of a person who may have 3", n)
	}
	for range 8 {
		all.Go(func() {
			if err := s.begin(t, program, limits); err != nil && (!fault.Is(err, fault.Exhausted) || !strings.Contains(err.Error(), "Your organization has 6 conversations")) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := count(program); n != 3 {
		t.Errorf("%d sessions of a program whose organization has room for 3", n)
	}
	wantKind(t, s.begin(t, bob, limits), fault.Exhausted)
	if err := s.begin(t, eve, limits); err != nil {
		t.Errorf("another organization: %v", err)
	}
	if err := s.begin(t, ann, Limits{}); err != nil {
		t.Errorf("without limits: %v", err)
	}
	s.exec(t, `DELETE FROM sessions WHERE user_id = 'usr_ann'`)
	if err := s.begin(t, ann, limits); err != nil {
		t.Errorf("with room: %v", err)
	}
}
