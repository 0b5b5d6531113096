package access

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/postgres"
)

// Every two seconds a process asks about all whom it holds; with an answer within
// two more, an answer that goes on ends 5 s after its reader was signed out.
const (
	askEvery = 2 * time.Second
	askTime  = 2 * time.Second
)

// ErrNotAdmitted is the cause of a held context's end when who asked has been signed
// out or revoked, or has another role.
var ErrNotAdmitted = errors.New("no longer admitted")

// held knows who gets a long answer right now. Somebody asks the database about them
// as long as there is anybody, and nobody otherwise.
type held struct {
	db postgres.Querier

	mu     sync.Mutex
	holds  map[string]map[*hold]struct{} // by what admitted them: a sign-in or a credential
	asking bool
}

// hold is one long answer.
type hold struct {
	role account.Role
	end  context.CancelCauseFunc
}

// admittedBy names what may be taken away from p.
func admittedBy(p account.Principal) string {
	if p.Credential() {
		return p.User
	}
	return p.SignIn
}

// add gives a context that ends when p is no longer admitted.
func (h *held) add(ctx context.Context, p account.Principal) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	one, by := &hold{p.Role, end}, admittedBy(p)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.holds == nil {
		h.holds = map[string]map[*hold]struct{}{}
	}
	if h.holds[by] == nil {
		h.holds[by] = map[*hold]struct{}{}
	}
	h.holds[by][one] = struct{}{}
	if !h.asking {
		h.asking = true
		go h.keepAsking(context.Background()) // it outlives the first of them
	}
	return ctx, func() {
		end(nil)
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.holds[by], one)
		if len(h.holds[by]) == 0 {
			delete(h.holds, by)
		}
	}
}

// keepAsking runs until nobody is held.
func (h *held) keepAsking(ctx context.Context) {
	every := time.NewTicker(askEvery)
	defer every.Stop()
	down := false
	for range every.C {
		ids, ok := h.whom()
		if !ok {
			return
		}
		roles, err := stillAdmitted(ctx, h.db, ids)
		if err != nil {
			// An outage of the database throws nobody out: new requests are refused already.
			if !down {
				slog.WarnContext(ctx, "who reads a stream cannot be looked up; the streams go on", "held", len(ids), "error", err)
			}
			down = true
			continue
		}
		down = false
		h.endOthers(ids, roles)
	}
}

// whom gives everybody who is held; with nobody, it is over.
func (h *held) whom() (ids []string, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asking = len(h.holds) > 0
	return slices.Collect(maps.Keys(h.holds)), h.asking
}

// endOthers ends the answers of those among ids who are not admitted as they were.
// Any other role ends them, a higher one too: the client comes again.
func (h *held) endOthers(ids []string, roles map[string]account.Role) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		role, admitted := roles[id]
		for one := range h.holds[id] {
			if !admitted || role != one.role {
				one.end(ErrNotAdmitted)
			}
		}
	}
}

// stillAdmitted gives the roles of the sign-ins and credentials that are good.
func stillAdmitted(ctx context.Context, db postgres.Querier, ids []string) (map[string]account.Role, error) {
	ctx, cancel := context.WithTimeout(postgres.AnyOrganization(ctx), askTime)
	defer cancel()
	rows, err := db.Query(ctx, `
		SELECT id, role
		FROM still_admitted($1)`, ids)
	if err != nil {
		return nil, err
	}
	roles := make(map[string]account.Role, len(ids))
	var id string
	var role account.Role
	_, err = pgx.ForEachRow(rows, []any{&id, &role}, func() error {
		roles[id] = role
		return nil
	})
	return roles, err
}
