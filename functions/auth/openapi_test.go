package auth

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge/edgetest"
)

// Nobody gets in where everybody is not let in, and what is for everybody needs no
// sign-in. No read changes anything.
func TestWhoIsAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	open := []string{"confirm-sign-up", "redeem-reset", "reset-password", "sign-in", "sign-in-by-link", "sign-out", "sign-up"}
	for _, o := range edgetest.Operations(r.api.OpenAPI()) {
		if lacks := edgetest.Described(o); lacks != "" {
			t.Error(lacks)
		}
		for _, p := range o.Parameters { // of requests only what is the operation's own
			if strings.EqualFold(p.Name, "cookie") || strings.EqualFold(p.Name, "user-agent") {
				t.Errorf("%s takes the parameter %s", o.OperationID, p.Name)
			}
		}
		if slices.Contains(open, o.OperationID) {
			if o.Method != "POST" || len(o.Security) != 0 {
				t.Errorf("%s: %s, %v", o.OperationID, o.Method, o.Security)
			}
			continue
		}
		path := strings.NewReplacer("{", "", "}", "").Replace(o.Path)
		a := r.browser().do(o.Method, path, r.body(o))
		if a.Code != 401 || a.Header().Get("WWW-Authenticate") == "" || !strings.HasPrefix(a.Header().Get("Content-Type"), "application/problem+json") {
			t.Errorf("%s: %d %s", o.OperationID, a.Code, a.Body)
		}
	}
}

func (r *rig) body(o *huma.Operation) any {
	return edgetest.Sample{Schemas: r.api.OpenAPI().Components.Schemas}.ValidBody(o)
}

// Without its database every operation says so, and that it may come again.
func TestADeadDatabaseIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.signUp("ann@example.com")
	r.deps.DB.(interface{ Close() }).Close()
	for _, o := range edgetest.Operations(r.api.OpenAPI()) {
		path := strings.NewReplacer("{", "", "}", "").Replace(o.Path)
		a := b.do(o.Method, path, r.good(o))
		if a.Code != 503 || a.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d: %s", o.OperationID, a.Code, a.Body)
		}
	}
}

// good gives an operation a body that passes.
func (r *rig) good(o *huma.Operation) any {
	schema := edgetest.BodySchema(o)
	if schema == nil {
		return nil
	}
	schema = edgetest.Sample{Schemas: r.api.OpenAPI().Components.Schemas}.Resolve(schema)
	known := fields{
		"email": "bob@example.com", "password": password, "name": "Bob", "organization": "Owls", "token": "t",
		"current": password, "new": password, "role": "learner", "label": "l", "scopes": []string{"chat"},
		"soft_micros": 1, "hard_micros": 2,
	}
	body := fields{}
	for name := range schema.Properties {
		if v, ok := known[name]; ok && (name != "password" || o.OperationID != "create-credential") {
			body[name] = v
		}
	}
	return body
}

// Whatever is sent, the answer is one that the document declares, and never our fault.
func TestNoInputIsOurFault(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var b *browser
	var ids map[string]string
	fresh := func() {
		r.exec(`UPDATE users SET address = NULL`)
		b = r.signUp("ann@example.com")
		other := b.join("bob@example.com", account.Learner)
		open := edgetest.Into[account.Invitation](b.do("POST", "/v1/auth/members", fields{"email": "cyd@example.com", "role": "author"}).Want(201))
		ids = map[string]string{"user": other.me().ID, "invitation": open.ID, "sign_in": "sgn_0", "credential": "cred_0", "organization": b.me().Organization.ID}
	}
	fresh()
	operations := edgetest.Operations(r.api.OpenAPI())
	reached := map[string]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		for range 10 {
			if b.do("GET", "/v1/auth/me", nil).Code != 200 {
				fresh()
			}
			reached[throw(rt, b, operations, ids)] = true
		}
	})
	if len(reached) < len(operations) {
		t.Errorf("only %d outcomes were reached: %v", len(reached), slices.Sorted(maps.Keys(reached)))
	}
}

// throw sends one request that is wrong somewhere. It tells the operation with the
// first digit of the status.
func throw(rt *rapid.T, b *browser, operations []*huma.Operation, ids map[string]string) string {
	o := rapid.SampledFrom(operations).Draw(rt, "operation")
	g := edgetest.Sample{Schemas: b.api.OpenAPI().Components.Schemas, T: rt, Texts: plain}
	a := g.Throw(o, ids, b.do)
	return o.OperationID + " " + strconv.Itoa(a.Code)[:1]
}

// plain are texts that are right in most fields.
var plain = []string{"Owls", "ann@example.com", "new@example.com", "nine owls on a fence", "日本語", "e\u0301", "a\nb"}
