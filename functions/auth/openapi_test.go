package auth

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/edgetest"
)

// Nobody gets in where everybody is not let in, and what is for everybody needs no
// sign-in. No read changes anything.
func TestWhoIsAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	open := []string{"confirm-sign-up", "redeem-reset", "reset-password", "sign-in", "sign-in-by-link", "sign-out", "sign-up"}
	for _, o := range edgetest.Operations(r.api.OpenAPI()) {
		if o.Summary == "" || o.Description == "" || o.OperationID == "" {
			t.Errorf("%s %s has no summary or description", o.Method, o.Path)
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
	if schema := edgetest.BodySchema(o); schema != nil {
		return edgetest.Sample{Schemas: r.api.OpenAPI().Components.Schemas}.Valid(schema)
	}
	return nil
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
	path := g.Path(o, ids)
	values := url.Values{}
	var headers []string
	for _, p := range o.Parameters {
		if rapid.IntRange(0, 2).Draw(rt, "absent") > 0 {
			continue
		}
		text := rapid.SampledFrom([]string{"", "1", "0", "-1", "1e99", "x", "\x00", "\xff", "*", `"1"`, "99999999999999999999", strings.Repeat("y", 250)}).Draw(rt, p.Name)
		switch p.In {
		case "query":
			values.Set(p.Name, text)
		case "header":
			headers = append(headers, p.Name, strings.Map(printable, text))
		}
	}
	body := g.Body(o)
	a := b.do(o.Method, path+"?"+values.Encode(), body, headers...)
	if _, declared := o.Responses[strconv.Itoa(a.Code)]; !declared && a.Code != 404 && a.Code != 405 && a.Code != 307 { // a path that is no longer this operation's
		rt.Fatalf("%s %s with %v %.500v: %d is not declared: %.500s", o.Method, path, headers, body, a.Code, a.Body)
	}
	if a.Code >= 500 {
		rt.Fatalf("%s %s with %v %.2000v: %d %s", o.Method, path, headers, body, a.Code, a.Body)
	}
	if a.Code >= 400 {
		var p edge.Problem
		if err := json.Unmarshal(a.Body.Bytes(), &p); err != nil || p.Detail == "" {
			rt.Fatalf("%s %s: not a problem: %s", o.Method, path, a.Body)
		}
	}
	return o.OperationID + " " + strconv.Itoa(a.Code)[:1]
}

func printable(c rune) rune {
	if c < ' ' || c > '~' {
		return -1
	}
	return c
}

// plain are texts that are right in most fields.
var plain = []string{"Owls", "ann@example.com", "new@example.com", "nine owls on a fence", "日本語", "e\u0301", "a\nb"}
