// Package auth is the API of accounts: signing up, in and out, the members of an
// organisation, its API credentials, and its budget.
package auth

import (
	"net/http"

	"lectern.dev/lectern/internal/access"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/postgres"
)

// Deps are the parts that the handler works with.
type Deps struct {
	DB             postgres.Beginner // sees every organisation, unless ctx names one
	Gate           *access.Gate
	Hasher         account.PasswordHasher
	Desk           *account.Desk
	Ledger         *budget.Ledger
	TrustedOrigins []string
	Front          edge.Front // who tells the client's address, by which guessing is slowed
}

type server struct{ Deps }

// New makes the handler: the routes, which are the manual, behind the edge.
func New(d Deps) http.Handler {
	return edge.HTTP(newAPI(d), edge.Options{MaxBody: 64 << 10, TrustedOrigins: d.TrustedOrigins, Front: d.Front})
}

const about = "Accounts of people and organisations, API credentials and budgets."

// Who may do what.
var (
	everyone = edge.Policy{Everyone: true}
	members  = edge.Policy{Role: string(account.Learner)}
	owners   = edge.Policy{Role: string(account.Owner)}
)

func newAPI(d Deps) *edge.API {
	s := &server{d}
	api := edge.NewAPI("Lectern: accounts", about, d.Gate)
	s.people(api)
	s.credentials(api)
	s.budget(api)
	return api
}
