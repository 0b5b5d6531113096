package auth

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge/edgetest"
)

type credentialMade struct {
	Credential account.Credential `json:"credential"`
	Secret     string             `json:"secret"`
}

var program = fields{"label": "a program", "scopes": []string{"chat", "courses:read"}}

// rootBrowser is the operator's owner, signed in.
func (r *rig) rootBrowser() *browser {
	r.t.Helper()
	_, err := account.Bootstrap(r.t.Context(), r.db, r.deps.Hasher, account.Founders{
		RootEmail: "root@example.org", RootPassword: password, ClientSecret: "a secret of the client",
	})
	if err != nil {
		r.t.Fatal(err)
	}
	b := r.browser()
	b.signIn("root@example.org", password).Want(200)
	return b
}

// admitted tells whether a credential passes the gate: it has no role, so that every
// route here denies it what it lets nobody but people do.
func (r *rig) admitted(authorization string) bool {
	r.t.Helper()
	a := r.browser().do("GET", "/v1/auth/me", nil, "Authorization", authorization)
	if a.Code != 401 && a.Code != 403 {
		r.t.Errorf("a credential got %d: %s", a.Code, a.Body)
	}
	return a.Code == 403
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann := r.signUp("ann@example.com")
	made := ann.do("POST", "/v1/auth/credentials", program).Want(201)
	got := edgetest.Into[credentialMade](made)
	c := got.Credential
	if c.Label != "a program" || len(c.Scopes) != 2 || c.CreatedBy != ann.me().ID || c.ExpiresAt != nil || len(got.Secret) != 43 || made.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%+v %v", got, made.Header())
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(c.ID+":"+got.Secret))
	if !r.admitted("Bearer "+c.ID+"."+got.Secret) || !r.admitted(basic) {
		t.Error("the credential is not admitted")
	}
	if r.admitted("Bearer "+c.ID+"."+got.Secret+"x") || r.admitted("Bearer dreambridge."+got.Secret) {
		t.Error("another is")
	}

	later := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	edgetest.Into[credentialMade](ann.do("POST", "/v1/auth/credentials", fields{"label": "another", "scopes": []string{"chat"}, "expires_at": later}).Want(201))
	first := ann.do("GET", "/v1/auth/credentials?limit=1", nil).Want(200)
	page := edgetest.Into[credentialPage](first)
	if len(page.Items) != 1 || page.Items[0].Label != "another" || !page.Items[0].ExpiresAt.Equal(later) || page.Items[0].LastUsedAt != nil {
		t.Errorf("%s", first.Body)
	}
	rest := ann.do("GET", "/v1/auth/credentials?limit=1&cursor="+page.NextCursor, nil).Want(200)
	page = edgetest.Into[credentialPage](rest)
	if len(page.Items) != 1 || page.Items[0].ID != c.ID || page.Items[0].LastUsedAt == nil || page.NextCursor != "" {
		t.Errorf("%s", rest.Body)
	}
	for _, a := range []edgetest.Answer{first, rest} {
		if strings.Contains(a.Body.String(), got.Secret) || strings.Contains(a.Body.String(), "argon2") {
			t.Errorf("%s", a.Body)
		}
	}

	for range 2 {
		ann.do("DELETE", "/v1/auth/credentials/"+c.ID, nil).Want(204)
		if r.admitted(basic) {
			t.Error("a revoked credential is admitted")
		}
	}
	page = edgetest.Into[credentialPage](ann.do("GET", "/v1/auth/credentials", nil).Want(200))
	if len(page.Items) != 2 || page.Items[0].RevokedAt != nil || page.Items[1].RevokedAt == nil {
		t.Errorf("%+v", page)
	}
}

func TestWhoMayHaveCredentials(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann, eve := r.signUp("ann@example.com"), r.signUp("eve@example.com")
	c := edgetest.Into[credentialMade](ann.do("POST", "/v1/auth/credentials", program).Want(201))
	path := "/v1/auth/credentials/" + c.Credential.ID
	for _, b := range []*browser{ann.join("bob@example.com", account.Author), ann.join("cyd@example.com", account.Learner)} {
		b.do("GET", "/v1/auth/credentials", nil).Want(403)
		b.do("POST", "/v1/auth/credentials", program).Want(403)
		b.do("DELETE", path, nil).Want(403)
	}
	nobody := r.browser()
	nobody.do("GET", "/v1/auth/credentials", nil).Want(401)
	nobody.do("POST", "/v1/auth/credentials", program).Want(401)
	nobody.do("DELETE", path, nil).Want(401)
	nobody.do("POST", "/v1/auth/credentials", program, "Authorization", "Bearer "+c.Credential.ID+"."+c.Secret).Want(403)

	eve.do("DELETE", path, nil).Want(404)
	own := ann.me().Organization.ID
	eve.do("DELETE", path+"?organization="+own, nil).Want(403)
	eve.do("GET", "/v1/auth/credentials?organization="+own, nil).Want(403)
	eve.do("POST", "/v1/auth/credentials?organization="+own, program).Want(403)
	if page := edgetest.Into[credentialPage](eve.do("GET", "/v1/auth/credentials", nil).Want(200)); page.Items == nil || len(page.Items) != 0 {
		t.Errorf("%+v", page)
	}
	ann.do("GET", "/v1/auth/credentials?organization="+own, nil).Want(200)
	if !r.admitted("Bearer " + c.Credential.ID + "." + c.Secret) {
		t.Error("it was touched")
	}
	if n := r.count(`SELECT count(*) FROM credentials`); n != 1 {
		t.Errorf("%d credentials", n)
	}
}

// The operator sets a secret for a client, and cleans up after one.
func TestRootWorksForAClient(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann, root := r.signUp("ann@example.com"), r.rootBrowser()
	organization := ann.me().Organization.ID
	with := func(more fields) fields {
		f := fields{"label": "set", "scopes": []string{"chat"}}
		for name, value := range more {
			f[name] = value
		}
		return f
	}
	ann.do("POST", "/v1/auth/credentials", with(fields{"password": "chosen by an owner"})).Want(403)
	root.do("POST", "/v1/auth/credentials", with(fields{"password": "password1"})).Want(422)
	root.do("POST", "/v1/auth/credentials?organization=org_unknown", program).Want(404)
	root.do("POST", "/v1/auth/credentials?organization=org_unknown", program, "Idempotency-Key", "k").Want(404)
	root.do("GET", "/v1/auth/credentials?organization=org_unknown", nil).Want(404)

	c := edgetest.Into[credentialMade](root.do("POST", "/v1/auth/credentials?organization="+organization, with(fields{"password": "chosen.for: a client \u00e9"}), "Idempotency-Key", "k").Want(201))
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Credential.ID+":chosen.for: a client \u00e9"))
	if !r.admitted(basic) || c.Secret != "chosen.for: a client \u00e9" || c.Credential.CreatedBy != root.me().ID {
		t.Errorf("%+v", c)
	}
	if page := edgetest.Into[credentialPage](ann.do("GET", "/v1/auth/credentials", nil).Want(200)); len(page.Items) != 1 || page.Items[0].ID != c.Credential.ID {
		t.Errorf("%+v", page)
	}
	if page := edgetest.Into[credentialPage](root.do("GET", "/v1/auth/credentials?organization="+organization, nil).Want(200)); len(page.Items) != 1 {
		t.Errorf("%+v", page)
	}
	root.do("DELETE", "/v1/auth/credentials/"+c.Credential.ID, nil).Want(404) // not its own
	root.do("DELETE", "/v1/auth/credentials/"+c.Credential.ID+"?organization="+organization, nil).Want(204)
	if r.admitted(basic) {
		t.Error("a revoked credential is admitted")
	}
	if n := r.count(`SELECT count(*) FROM credential_revocations WHERE revoked_by = $1 AND organization_id = $2`, root.me().ID, organization); n != 1 {
		t.Errorf("%d revocations", n)
	}
}

// A secret is shown once: the same key again names the credential instead.
func TestCredentialWithAnIdempotencyKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann, root := r.signUp("ann@example.com"), r.rootBrowser()
	made := edgetest.Into[credentialMade](ann.do("POST", "/v1/auth/credentials", program, "Idempotency-Key", "k").Want(201))
	again := ann.do("POST", "/v1/auth/credentials", program, "Idempotency-Key", "k").Want(409)
	if body := again.Body.String(); !strings.Contains(body, made.Credential.ID) || strings.Contains(body, made.Secret) {
		t.Error(body)
	}
	other := fields{"label": "other", "scopes": []string{"chat"}}
	ann.do("POST", "/v1/auth/credentials", other, "Idempotency-Key", "k").Want(409)
	ann.do("POST", "/v1/auth/credentials", program, "Idempotency-Key", "k2").Want(201)
	if n := r.count(`SELECT count(*) FROM credentials WHERE created_by = $1`, ann.me().ID); n != 2 {
		t.Errorf("%d credentials", n)
	}
	// Neither a secret nor a fast hash of a chosen one is stored: the request with
	// another password counts as the same.
	set := func(chosen string) fields {
		return fields{"label": "set", "scopes": []string{"chat"}, "password": chosen}
	}
	set1 := edgetest.Into[credentialMade](root.do("POST", "/v1/auth/credentials", set("chosen canary 1"), "Idempotency-Key", "k").Want(201))
	if body := root.do("POST", "/v1/auth/credentials", set("chosen canary 2"), "Idempotency-Key", "k").Want(409).Body.String(); !strings.Contains(body, set1.Credential.ID) {
		t.Errorf("the password is in the digest: %s", body)
	}
	if n := r.count(`SELECT count(*) FROM idempotency WHERE response::text LIKE '%' || $1 || '%' OR response::text LIKE '%canary%' OR response IS NULL`, made.Secret); n != 0 {
		t.Errorf("%d answers hold a secret", n)
	}
}

func TestCredentialsThatCannotBeMade(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann := r.signUp("ann@example.com")
	for name, body := range map[string]any{
		"no label":         fields{"scopes": []string{"chat"}},
		"a blank label":    fields{"label": "  ", "scopes": []string{"chat"}},
		"a label of lines": fields{"label": "a\nb", "scopes": []string{"chat"}},
		"no scopes":        fields{"label": "x", "scopes": []string{}},
		"null":             fields{"label": "x", "scopes": nil},
		"an odd scope":     fields{"label": "x", "scopes": []string{"root"}},
		"over already":     fields{"label": "x", "scopes": []string{"chat"}, "expires_at": "2020-01-01T00:00:00Z"},
		"the year 0":       fields{"label": "x", "scopes": []string{"chat"}, "expires_at": "0000-01-01T00:00:00Z"},
		"more than asked":  fields{"label": "x", "scopes": []string{"chat"}, "id": "cred_mine"},
		"U+0000":           `{"label":"a\u0000b","scopes":["chat"]}`,
	} {
		if a := ann.do("POST", "/v1/auth/credentials", body); a.Code != 422 {
			t.Errorf("%s: %d %s", name, a.Code, a.Body)
		}
	}
	ann.do("POST", "/v1/auth/credentials", fields{"label": "x", "scopes": []string{"chat"}, "expires_at": "9999-12-31T23:59:59Z"}).Want(201)
	ann.do("GET", "/v1/auth/credentials?cursor=x", nil).Want(422)
	ann.do("GET", "/v1/auth/credentials?organization=a%00b", nil).Want(403)
	ann.do("DELETE", "/v1/auth/credentials/a%00b", nil).Want(404)
}
