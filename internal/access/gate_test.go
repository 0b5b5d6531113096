package access

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
)

func TestEveryWayToSayWhoOneIs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	secret := r.person(account.Learner)
	made := string(r.credential("cred_made", "", account.ReadCourses))
	const chosen = "Grünes Licht: für.alle 7"
	r.credential("dreambridge", chosen, account.ReadCourses)
	basic := func(pair string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) }
	for name, c := range map[string]struct {
		q    *http.Request
		want string
	}{
		"cookie":                      {asks(r.cookie(secret)), "user_learner"},
		"bearer":                      {asks(nil, r.bearer(secret)), "user_learner"},
		"bearer in lower case":        {asks(nil, "bearer"+r.bearer(secret)[6:]), "user_learner"},
		"bearer and an old cookie":    {asks(&http.Cookie{Name: "__Host-lectern", Value: "old"}, r.bearer(secret)), "user_learner"},
		"credential by bearer":        {asks(nil, "Bearer cred_made."+made), "cred_made"},
		"credential by Basic":         {asks(nil, basic("cred_made:"+made)), "cred_made"},
		"a chosen password by Basic":  {asks(nil, basic("dreambridge:"+chosen)), "dreambridge"},
		"credential before a cookie":  {asks(r.cookie(secret), "Bearer cred_made."+made), "cred_made"},
		"several spaces, as RFC 9110": {asks(nil, "Bearer   "+r.bearer(secret)[7:]), "user_learner"},
	} {
		if user, refused := admit(r.Gate, c.q, learners); user != c.want {
			t.Errorf("%s: %q, refused %v", name, user, refused)
		}
	}
}

// What is malformed or ambiguous is refused before it costs a query, and a cookie that is right
// makes nothing good.
func TestAHeaderThatIsWrongIsRefusedForNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	secret := r.person(account.Owner)
	cookie, right := r.cookie(secret), r.bearer(secret)
	for name, authorization := range map[string][]string{
		"empty":                 {""},
		"two":                   {right, right},
		"two, one of them mine": {"", right},
		"two in one":            {right + ", " + right},
		"a scheme alone":        {"Bearer"},
		"a scheme and a space":  {"Bearer "},
		"no scheme":             {right[7:]},
		"another scheme":        {"Digest username=x"},
		"a glued scheme":        {"Bearer" + right[7:]},
		"huge":                  {"Bearer " + long(1<<20)},
		"just too long":         {"Bearer " + long(maxAuthorization-6)},
		"as long as it may be":  {"Bearer " + long(maxAuthorization-7)},
		"not ASCII":             {"Bearer é" + right[7:]},
		"a line break":          {"Bearer " + right[7:] + "\r\nX: y"},
		"a space in it":         {right[:20] + " " + right[20:]},
		"a tab":                 {"Bearer\t" + right[7:]},
		"NUL":                   {right + "\x00"},
		"a broken token":        {right[:len(right)-5]},
		"the cookie's value":    {"Bearer " + cookie.Value},
		"Basic without base64":  {"Basic !!!"},
		"Basic without a colon": {"Basic " + base64.StdEncoding.EncodeToString([]byte("cred"))},
		"Basic without a name":  {"Basic " + base64.StdEncoding.EncodeToString([]byte(":secret"))},
		"no auth_id":            {"Bearer .secret"},
		"no secret":             {"Bearer cred_1."},
		"an auth_id with SQL":   {"Bearer x'OR'1'='1.secret"},
		"an auth_id in capital": {"Bearer CRED.secret"},
		"a huge auth_id":        {"Bearer " + long(2000) + ".secret"},
		"a NUL in the auth_id":  {"Basic " + base64.StdEncoding.EncodeToString([]byte("cr\x00ed:secret"))},
		"a NUL in the scheme":   {"Bea\x00rer " + right[7:]},
	} {
		before := r.q.asked.Load()
		if user, refused := admit(r.Gate, asks(cookie, authorization...), learners); refused != fault.Unauthenticated {
			t.Errorf("%s: %q, refused %v", name, user, refused)
		}
		if n := r.q.asked.Load() - before; n != 0 {
			t.Errorf("%s: %d queries", name, n)
		}
	}
	twice := asks(cookie)
	twice.AddCookie(cookie)
	for name, q := range map[string]*http.Request{
		"nothing":                  asks(nil),
		"the bearer in a cookie":   asks(&http.Cookie{Name: "__Host-lectern", Value: right[7:]}),
		"a cookie of another name": asks(&http.Cookie{Name: "lectern", Value: cookie.Value}),
		"two cookies":              twice,
		"a huge cookie":            asks(&http.Cookie{Name: "__Host-lectern", Value: long(60_000)}),
		"an empty cookie":          asks(&http.Cookie{Name: "__Host-lectern"}),
	} {
		before := r.q.asked.Load()
		if user, refused := admit(r.Gate, q, learners); refused != fault.Unauthenticated || r.q.asked.Load() != before {
			t.Errorf("%s: %q, refused %v, %d queries", name, user, refused, r.q.asked.Load()-before)
		}
	}
}

// Whoever is known but may not is told so with 403; nobody is asked about where
// everyone may.
func TestPolicies(t *testing.T) {
	t.Parallel()
	people := map[string]account.Principal{
		"learner": {SignIn: "s", Role: account.Learner}, "author": {SignIn: "s", Role: account.Author}, "owner": {SignIn: "s", Role: account.Owner},
		"root": {SignIn: "s", Role: account.Root}, "of no role": {SignIn: "s"}, "of an unknown role": {SignIn: "s", Role: "admin"},
		"chat": {Scopes: []string{account.Chat}}, "read": {Scopes: []string{account.ReadCourses}}, "write": {Scopes: []string{account.WriteCourses}},
		"all": {Scopes: []string{account.Chat, account.ReadCourses, account.WriteCourses}}, "none": {}, "of an empty scope": {Scopes: []string{""}},
	}
	for name, c := range map[string]struct {
		need edge.Policy
		may  string
	}{
		"learners":           {edge.Policy{Role: "learner"}, "learner author owner root"},
		"authors":            {edge.Policy{Role: "author"}, "author owner root"},
		"owners":             {edge.Policy{Role: "owner"}, "owner root"},
		"the operator":       {edge.Policy{Role: "root"}, "root"},
		"an unknown role":    {edge.Policy{Role: "admin"}, ""},
		"nobody":             {edge.Policy{}, ""},
		"programs alone":     {edge.Policy{Scope: account.Chat}, "chat all"},
		"readers":            {edge.Policy{Role: "learner", Scope: account.ReadCourses}, "learner author owner root read all"},
		"writers":            {edge.Policy{Role: "author", Scope: account.WriteCourses}, "author owner root write all"},
		"owners, and chat":   {edge.Policy{Role: "owner", Scope: account.Chat}, "owner root chat all"},
		"everyone but by us": {edge.Policy{Everyone: false, Role: ""}, ""},
	} {
		for who, p := range people {
			err := check(p, c.need)
			if may := strings.Contains(" "+c.may+" ", " "+who+" "); (err == nil) != may || err != nil && !fault.Is(err, fault.Denied) {
				t.Errorf("%s: %s: %v, want allowed %t", name, who, err, may)
			}
		}
	}
	g := newGate(nil, tokens(t, newKey), nil) // a query would panic
	if _, err := g.Admit(asks(&http.Cookie{Name: "__Host-lectern", Value: "x"}, "nonsense"), edge.Policy{Everyone: true}); err != nil {
		t.Errorf("where everyone may: %v", err)
	}
}

// What is taken away is gone at the next request.
func TestARevocationHoldsAtTheNextRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, c := range map[string]struct {
		role account.Role
		act  func(secret account.Secret)
		need edge.Policy
		want fault.Kind
	}{
		"signed out": {account.Learner, func(secret account.Secret) {
			r.exec(`DELETE FROM sign_ins WHERE token_hash = $1`, secret.Hash())
		}, learners, fault.Unauthenticated},
		"over": {account.Learner, func(secret account.Secret) {
			r.exec(`UPDATE sign_ins SET expires_at = now() WHERE token_hash = $1`, secret.Hash())
		}, learners, fault.Unauthenticated},
		"deleted": {account.Author, func(account.Secret) {
			r.exec(`DELETE FROM users WHERE user_id = 'user_author'`)
		}, learners, fault.Unauthenticated},
		"demoted": {account.Owner, func(account.Secret) {
			r.exec(`UPDATE users SET role = 'learner' WHERE user_id = 'user_owner'`)
		}, edge.Policy{Role: "owner"}, fault.Denied},
	} {
		secret := r.person(c.role)
		for _, q := range []*http.Request{asks(r.cookie(secret)), asks(nil, r.bearer(secret))} {
			if user, refused := admit(r.Gate, q, c.need); user == "" {
				t.Errorf("%s: refused before with %v", name, refused)
			}
		}
		c.act(secret)
		for _, q := range []*http.Request{asks(r.cookie(secret)), asks(nil, r.bearer(secret))} {
			if user, refused := admit(r.Gate, q, c.need); refused != c.want {
				t.Errorf("%s: %q, refused %v", name, user, refused)
			}
		}
	}
	secret := r.credential("cred_1", "", account.ReadCourses)
	q := asks(nil, "Bearer cred_1."+string(secret))
	if user, refused := admit(r.Gate, q, learners); user != "cred_1" {
		t.Errorf("refused before with %v", refused)
	}
	r.exec(`INSERT INTO credential_revocations (auth_id, organization_id, revoked_by) VALUES ('cred_1', 'org_local', 'user_local')`)
	if user, refused := admit(r.Gate, q, learners); refused != fault.Unauthenticated {
		t.Errorf("revoked: %q, refused %v", user, refused)
	}
}

// Without the database nobody is admitted, and nobody is told that they are signed out.
func TestADeadDatabaseAdmitsNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	secret, cred := r.person(account.Owner), r.credential("cred_1", "", account.ReadCourses)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, q := range []*http.Request{asks(r.cookie(secret)), asks(nil, r.bearer(secret)), asks(nil, "Bearer cred_1."+string(cred))} {
		if user, refused := admit(r.Gate, q.WithContext(gone), learners); user != "" || refused == fault.Unauthenticated {
			t.Errorf("%q, %v", user, refused)
		}
	}
}

func TestALongHeaderIsNotRead(t *testing.T) {
	t.Parallel()
	for length, taken := range map[int]bool{maxAuthorization: true, maxAuthorization + 1: false} {
		if _, err := parseAuthorization([]string{"Bearer " + long(length-7)}); (err == nil) != taken {
			t.Errorf("%d bytes: %v", length, err)
		}
	}
}

// What no token and no secret of ours holds is read no further: the header would mean
// something else to who stands before us.
func TestAHeaderIsOneWordAfterItsScheme(t *testing.T) {
	t.Parallel()
	for _, header := range []string{
		"Bearer cred_1.a b", "Bearer cred_1.a\tb", "Bearer cred_1.a\x00", "Bearer cred_1.a\x7f", "Bearer cred_1.\u00e9", "Bearer cred_1.\u202ea", "Bearer abc, Basic abc",
	} {
		if a, err := parseAuthorization([]string{header}); err == nil {
			t.Errorf("%q is taken as %+v", header, a)
		}
	}
}
