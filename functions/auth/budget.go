package auth

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/edge"
)

// roots are the operator's.
var roots = edge.Policy{Role: string(account.Root)}

// budget adds the operations of what organisations may spend.
func (s *server) budget(api *edge.API) {
	edge.Register(api, members, edge.Operation(http.MethodGet, "get-budget", "/v1/budget", "Read the budget",
		"What your organisation may spend this month, and what it has spent, by kind.", http.StatusOK), s.getBudget)
	edge.Register(api, owners, ledgerOperation(api), s.getLedger)
	edge.Register(api, roots, edge.Operation(http.MethodGet, "list-organizations", "/v1/organizations", "List organisations",
		"With what each may spend this month, and what it has spent.", http.StatusOK), s.listOrganizations)
	edge.Register(api, roots, edge.Operation(http.MethodPut, "set-budget", "/v1/organizations/{organization}/budget", "Set a budget",
		"From now on, for every month. Jobs that wait for the budget go on by themselves within minutes.", http.StatusOK), s.setBudget)
}

func (s *server) getBudget(ctx context.Context, _ *struct{}) (*struct {
	CacheControl string `header:"Cache-Control"`
	Body         budget.Month
}, error,
) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	m, err := s.Ledger.Month(ctx, p.Organization)
	return &struct {
		CacheControl string `header:"Cache-Control"`
		Body         budget.Month
	}{"no-store", m}, err
}

type ledgerPage edge.List[budget.Entry] // named as in the document

const aboutLedger = "Every entry of a month, in the order in which they were written. As CSV the whole month; as JSON, " +
	"to who sends `Accept: application/json`, a page."

// ledgerOperation has two forms of the same answer.
func ledgerOperation(api *edge.API) huma.Operation {
	op := edge.Operation(http.MethodGet, "get-ledger", "/v1/budget/ledger", "Read the ledger", aboutLedger, http.StatusOK)
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[ledgerPage](), true, "LedgerPage")
	op.Responses = map[string]*huma.Response{"200": {
		Description: "The month's entries",
		Content: map[string]*huma.MediaType{
			"text/csv":         {Schema: &huma.Schema{Type: huma.TypeString}},
			"application/json": {Schema: schema},
		},
	}}
	return op
}

type getLedger struct {
	Month  string `query:"month" pattern:"^([0-9]{4}-[0-9]{2})?$" patternDescription:"month" example:"2026-11" doc:"In UTC; absent: the present one"`
	Cursor string `query:"cursor" maxLength:"200" doc:"next_cursor of the page before; for JSON"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"how many at most; for JSON"`
	Accept string `header:"Accept"`
}

// streamed is an answer that is written as it is read.
type streamed struct{ Body func(huma.Context) }

func (s *server) getLedger(ctx context.Context, in *getLedger) (*streamed, error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	month, err := s.Ledger.ParseMonth(ctx, in.Month)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(in.Accept, "application/json") {
		return s.ledgerFile(p.Organization, month), nil
	}
	entries, next, err := s.Ledger.Entries(ctx, p.Organization, month, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	return &streamed{func(c huma.Context) {
		ledgerHeader(c, "application/json")
		_ = json.NewEncoder(c.BodyWriter()).Encode(ledgerPage(edge.ListOf(entries, next))) // the client may be gone
	}}, nil
}

// ledgerFile streams a month as a file. One that cannot be read to its end is broken
// off, so that nobody takes it for whole.
func (s *server) ledgerFile(organization string, month time.Time) *streamed {
	return &streamed{func(c huma.Context) {
		_, w := humago.Unwrap(c)
		edge.LongLived(w)
		ledgerHeader(c, "text/csv; charset=utf-8")
		c.SetHeader("Content-Disposition", `attachment; filename="lectern-ledger-`+month.Format("2006-01")+`.csv"`)
		if err := s.Ledger.WriteCSV(c.Context(), c.BodyWriter(), organization, month); err != nil {
			edge.Failed(c.Context(), err)
			panic(http.ErrAbortHandler)
		}
	}}
}

func ledgerHeader(c huma.Context, contentType string) {
	c.SetHeader("Content-Type", contentType)
	c.SetHeader("Cache-Control", "no-store")
	c.AppendHeader("Vary", "Accept")
}

type organizationPage edge.List[budget.Account]

func (s *server) listOrganizations(ctx context.Context, in *struct {
	Cursor string `query:"cursor" maxLength:"64" doc:"next_cursor of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"how many at most"`
},
) (*struct{ Body organizationPage }, error) {
	list, next, err := s.Ledger.Accounts(ctx, in.Cursor, in.Limit)
	return &struct{ Body organizationPage }{organizationPage(edge.ListOf(list, next))}, err
}

func (s *server) setBudget(ctx context.Context, in *struct {
	Organization string `path:"organization" maxLength:"64" example:"org_06fz3qk8v0g1m2n4p5r6s7t8"`
	Body         struct {
		Soft int64 `json:"soft_micros" minimum:"0" maximum:"1000000000000000" doc:"from this amount on the owners are warned, in millionths of a US dollar; not above hard_micros"`
		Hard int64 `json:"hard_micros" minimum:"0" maximum:"1000000000000000" doc:"what may be spent in a month, in millionths of a US dollar"`
	}
},
) (*edge.Single[budget.Account], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	return edge.One(s.Ledger.SetLimits(ctx, in.Organization, budget.Limits{Soft: in.Body.Soft, Hard: in.Body.Hard}, p.User))
}
