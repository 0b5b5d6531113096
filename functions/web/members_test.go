package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
)

func TestRolesAreOfferedWhatTheyMay(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	api.change(func() { api.jobs = nil })
	for _, c := range []struct {
		page   string
		part   string
		from   string // the least role that sees it
		refuse bool   // others are refused the page
	}{
		{"/", `action="/courses"`, "author", false},
		{"/courses/" + courseID, "/generations", "author", false},
		{"/courses/" + courseID, "/renders", "author", false},
		{"/courses/" + courseID, "data-upload=", "author", false},
		{"/courses/" + courseID, "The home network handbook", "author", false},
		{"/lessons/les_wifi", "/renders", "author", false},
		{"/lessons/" + lessonID, "is right.", "author", false},
		{"/budget", "/v1/budget/ledger", "owner", false},
		{"/account", `href="/organization"`, "owner", false},
		{"/account", `href="/organizations"`, "root", false},
		{"/organization", "Send the invitation", "owner", true},
		{"/organizations", "Dockside Training", "root", true},
	} {
		for _, role := range roles {
			answer, page := fetch(t, "GET", site+c.page, nil, "Cookie", "lectern="+role)
			may := (&person{Role: role}).atLeast(c.from)
			if strings.Contains(page, c.part) != may {
				t.Errorf("%s sees %q on %s: %v", role, c.part, c.page, !may)
			}
			if refused := answer.StatusCode == http.StatusForbidden; refused != (c.refuse && !may) {
				t.Errorf("%s on %s: status %d", role, c.page, answer.StatusCode)
			}
		}
	}
	_, page := fetch(t, "GET", site+"/lessons/"+lessonID, nil, "Cookie", "lectern=learner")
	wants(t, page, "The box in your hallway is really three devices.", "Source, page 14", "mila@hillside.example")
	if strings.Contains(page, "removed") {
		t.Error("a learner is told that sources were removed")
	}
	_, page = fetch(t, "GET", site+"/organizations", nil, "Cookie", "lectern=learner")
	wants(t, page, "Not for your role", "Your role does not allow that.")

	// A role that was taken away while the page was asked for: what is refused is left out.
	api.change(func() {
		p := api.auth.people["author"]
		api.auth.people["changing"] = p
		api.auth.demoted = "changing"
	})
	answer, page := fetch(t, "GET", site+"/lessons/"+lessonID, nil, "Cookie", "lectern=changing")
	if answer.StatusCode != http.StatusOK || strings.Contains(page, "is right.") {
		t.Errorf("status %d", answer.StatusCode)
	}
}

func TestOwnersDoNotTouchWhoIsAboveThem(t *testing.T) {
	t.Parallel()
	site, _ := startSite(t)
	_, page := fetch(t, "GET", site+"/organization", nil)
	for _, id := range []string{"usr_noor", "usr_ops"} { // themselves, and a root
		if strings.Contains(page, "/organization/members/"+id+"/") {
			t.Errorf("an owner is offered to change %s", id)
		}
	}
	if strings.Contains(page, `value="root"`) {
		t.Error("an owner is offered to make somebody root")
	}
	_, page = fetch(t, "GET", site+"/organization", nil, "Cookie", "lectern=root")
	wants(t, page, `value="root"`, "/organization/members/usr_ops/role")
}

func TestMembersFormsReachTheAPI(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	for _, c := range []struct {
		path, form, next, write string
	}{
		{"/courses", "key=k1&title=+Tides+", "/courses/crs_new", `POST /v1/courses k1 {"title":"Tides"}`},
		{"/account/name", "name=+Noor+H.+", "/account?done=name", `PATCH /v1/auth/me {"name":"Noor H."}`},
		{"/account/address", "email=a@b.example&password=+nine+owls+", "/account?done=address", `POST /v1/auth/address {"email":"a@b.example","password":" nine owls "}`},
		{"/account/sign-ins/sgn_2/end", "", "/account?done=sign-in", "DELETE /v1/auth/sign-ins/sgn_2"},
		{"/account/sign-out-everywhere", "", "/sign-in?done=ended", "POST /v1/auth/sign-out-everywhere"},
		{"/account/password", "current=" + url.QueryEscape(goodPassword) + "&new=+a+new+one+", "/account?done=password", `POST /v1/auth/password {"current":"` + goodPassword + `","new":" a new one "}`},
		{"/organization/members", "email=b@c.example&role=learner", "/organization?done=invited", `POST /v1/auth/members {"email":"b@c.example","role":"learner"}`},
		{"/organization/members/usr_jonas/role", "role=owner", "/organization?done=role", `PATCH /v1/auth/members/usr_jonas {"role":"owner"}`},
		{"/organization/members/usr_jonas/remove", "", "/organization?done=removed", "DELETE /v1/auth/members/usr_jonas"},
		{"/organization/invitations/lnk_1/revoke", "", "/organization?done=invitation", "DELETE /v1/auth/invitations/lnk_1"},
		{"/organization/credentials/auth_lms/revoke", "", "/organization?done=revoked", "DELETE /v1/auth/credentials/auth_lms"},
		{"/organizations/org_dock/budget", "soft=1,000.5&hard=$2000", "/organizations?done=budget", `PUT /v1/organizations/org_dock/budget {"hard_micros":2000000000,"soft_micros":1000500000}`},
		{"/organization/members/..%2f..%2fme/remove", "", "/organization?done=removed", "DELETE /v1/auth/members/../../me"},
	} {
		answer, body := fetch(t, "POST", site+c.path, strings.NewReader(c.form), "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin", "Cookie", "lectern=root")
		if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != c.next {
			t.Errorf("%s: %d to %q: %s", c.path, answer.StatusCode, answer.Header.Get("Location"), body)
		}
		if writes := api.asked(); len(writes) == 0 || writes[len(writes)-1] != c.write {
			t.Errorf("%s: the API was asked %q", c.path, writes)
		}
		if strings.HasPrefix(c.next, "/account") || strings.HasPrefix(c.next, "/organization") {
			if _, page := fetch(t, "GET", site+c.next, nil, "Cookie", "lectern=root"); !strings.Contains(page, `class="notice" role="status"`) {
				t.Errorf("%s says nothing", c.next)
			}
		}
	}
	for _, path := range memberForms {
		if answer, _ := fetch(t, "POST", site+path, nil, "Sec-Fetch-Site", "cross-site", "Cookie", "lectern=root"); answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s from another site: %d", path, answer.StatusCode)
		}
	}
}

func TestRefusalsOnMembersPages(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	conflict := fault.New(fault.Conflict, "This is the last owner. Make somebody else an owner first.")
	limits := &fault.Error{Kind: fault.Invalid, Message: "See errors.", Fields: []fault.Field{{Location: "body.soft_micros", Message: "above the hard limit"}}}
	for _, c := range []struct {
		path, form, refuse string
		failure            error
		status             int
		says               []string
	}{
		{"/account/password", "current=wrong&new=something+else", "", nil, 422, []string{"This is not your password.", `id="password-current-wrong"`, "Your account"}},
		{"/account/name", "name=", "PATCH /v1/auth/me", &fault.Error{Kind: fault.Invalid, Message: "x", Fields: []fault.Field{{Location: "body.name", Message: "A name is missing."}}}, 422, []string{"A name is missing.", "Firefox on Linux"}},
		{"/organization/members", "email=b@c.example&role=learner", "POST /v1/auth/members", fault.New(fault.Conflict, "They are a member already."), 409, []string{"They are a member already.", `value="b@c.example"`, `value="learner" selected`}},
		{"/organization/members/usr_jonas/role", "role=learner", "PATCH /v1/auth/members/usr_jonas", conflict, 409, []string{"This is the last owner."}},
		{"/organization/credentials", "label=Robot", "", nil, 422, []string{"Choose at least one.", `value="Robot"`}},
		{"/organization/credentials", "label=Robot&scopes=chat&expires=soon", "", nil, 422, []string{"This is no date", `value="chat" checked`}},
		{"/organizations/org_dock/budget", "soft=1&hard=lots", "", nil, 422, []string{"This is no amount", `value="lots"`}},
		{"/organizations/org_dock/budget", "soft=3&hard=2", "PUT /v1/organizations/org_dock/budget", limits, 422, []string{"Above the hard limit.", `id="limits-org_dock-soft-wrong"`}},
		{"/courses", "title=", "POST /v1/courses", &fault.Error{Kind: fault.Invalid, Message: "x", Fields: []fault.Field{{Location: "body.title", Message: "A title is missing."}}}, 422, []string{"A title is missing.", "<details class=\"write new-course\" open>"}},
		{"/courses/crs_home/generations", "lessons=4", "POST /v1/courses/crs_home/generations", fault.New(fault.PaymentRequired, "The month's budget is spent."), 402, []string{"The budget is used up", `href="/budget">See the budget`, "The month&#39;s budget is spent."}},
	} {
		api.change(func() { api.auth.refuse = map[string]error{c.refuse: c.failure} })
		answer, page := fetch(t, "POST", site+c.path, strings.NewReader(c.form), "Content-Type", "application/x-www-form-urlencoded", "Cookie", "lectern=root")
		if answer.StatusCode != c.status {
			t.Errorf("%s: %d", c.path, answer.StatusCode)
		}
		wants(t, page, c.says...)
	}
}

func TestSecretOfACredentialIsShownOnce(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	form := url.Values{"label": {"Robot"}, "scopes": {"chat", "courses:read"}, "expires": {"2027-01-31"}}
	answer, page := submit(t, site+"/organization/credentials", "lectern=owner", form)
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Cache-Control") != "no-store" || answer.Header.Get("ETag") != "" {
		t.Errorf("%d %v", answer.StatusCode, answer.Header)
	}
	if field := `value="auth_new.` + goodSecret + `"`; !strings.Contains(page, field) || strings.Count(page, goodSecret) != 1 {
		t.Error("the secret stands elsewhere than in its field")
	}
	wants(t, page, "Robot", "31 January 2027", "courses:read")
	if writes := api.asked(); writes[len(writes)-1] != `POST /v1/auth/credentials {"label":"Robot","scopes":["chat","courses:read"],"expires_at":"2027-01-31T23:59:59Z"}` {
		t.Errorf("the API was asked for %q", writes)
	}
	api.change(func() {
		if key := api.seen[len(api.seen)-1].Get("Idempotency-Key"); key != "" {
			t.Error("the answer with the secret would be kept under a key")
		}
	})
	for _, path := range []string{"/organization", "/organization/credentials"} {
		if _, page := fetch(t, "GET", site+path, nil); strings.Contains(page, goodSecret) {
			t.Errorf("%s shows it again", path)
		}
	}
}

// What a client says about itself, by which others might know it.
var forged = []string{
	"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "Forwarded", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Via",
	"X-Lectern-Client", "X-Goog-Authenticated-User-Email", "X-Serverless-Authorization", "X-Cloudtasks-Queuename", "X-Cloud-Trace-Context", "X-Http-Method-Override", "X-Original-Url", "X-Rewrite-Url", "X-Anything",
}

func TestClientsForgeNothing(t *testing.T) {
	t.Parallel()
	for _, hops := range []int{0, 1, 2} {
		api := newFakeAPI("")
		deps := api.serve(t)
		deps.Front.TrustedHops = hops
		site := httptest.NewServer(New(deps))
		t.Cleanup(site.Close)
		headers := []string{"Authorization", "Bearer a.b", "Idempotency-Key", "k", "If-Match", "e", "Last-Event-Id", "4"}
		for _, name := range forged {
			headers = append(headers, name, "evil.example")
		}
		// As if the gateway had signed it: with its header, but not with its key.
		signed, _ := http.NewRequest("GET", site.URL+"/v1/auth/me", nil)
		edge.SignClient(signed, "another key, which is long enough too", netip.MustParseAddr("6.6.6.6"))
		headers = append(headers, "X-Lectern-Client", signed.Header.Get("X-Lectern-Client"), "X-Forwarded-For", "6.6.6.6, 203.0.113.9, 203.0.113.10", "Host", "evil.example")
		for _, path := range []string{"/v1/auth/me", "/v1/courses/crs_home", "/budget"} {
			q, _ := http.NewRequestWithContext(t.Context(), "GET", site.URL+path, nil)
			for i := 0; i < len(headers); i += 2 {
				q.Header.Set(headers[i], headers[i+1])
			}
			q.Header.Set("Cookie", "lectern=owner")
			q.Host = "evil.example"
			answer, err := http.DefaultClient.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			api.change(func() {
				seen := api.seen[len(api.seen)-1]
				for _, name := range forged {
					if values := seen.Values(name); name != "X-Lectern-Client" && len(values) > 0 {
						t.Errorf("%s passed %s on: %q", path, name, values)
					}
				}
				if host := api.hosts[len(api.hosts)-1]; host == "evil.example" {
					t.Errorf("%s passed the host on", path)
				}
				if seen.Get("Cookie") != "lectern=owner" || seen.Get("Authorization") != "Bearer a.b" || strings.HasPrefix(path, "/v1") && seen.Get("Last-Event-Id") != "4" {
					t.Errorf("%s did not pass on %v", path, seen)
				}
				want := []string{"127.0.0.1", "203.0.113.10", "203.0.113.9"}[hops]
				if from := api.from[len(api.from)-1]; from != want {
					t.Errorf("%s with %d hops: asked by %s, not %s", path, hops, from, want)
				}
			})
		}
	}
}

func TestAccountsAreRoutedToTheirFunction(t *testing.T) {
	t.Parallel()
	function := func(name string) *url.URL {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(name + " " + r.URL.Path)) }))
		t.Cleanup(server.Close)
		return mustURL(t, server.URL+"/"+name)
	}
	site := httptest.NewServer(New(Deps{Courses: function("courses"), Auth: function("auth"), Chat: function("chat")}))
	t.Cleanup(site.Close)
	for path, name := range map[string]string{
		"/v1/auth/sign-in": "auth", "/v1/budget": "auth", "/v1/budget/ledger": "auth", "/v1/organizations": "auth", "/v1/organizations/o/budget": "auth",
		"/v1/courses": "courses", "/v1/jobs/j": "courses", "/v1/chat/sessions": "chat", "/v1/models": "chat", "/v1/models/lectern": "chat",
	} {
		if _, body := fetch(t, "GET", site.URL+path, nil); body != name+" /"+name+path {
			t.Errorf("%s is answered by %q", path, body)
		}
	}
}

func TestBudgetIsShown(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	_, page := fetch(t, "GET", site+"/budget", nil)
	wants(t, page, "November 2026", "$25.47", "of $50.00", "$21.38", "$3.15", "$40.00", "4,183,220 tokens in, 611,904 out", "$0.02", `month=2026-09`, `width="427"`, `x="427" width="63"`, `x="800"`)
	api.change(func() {
		api.auth.budget.Spent, api.auth.budget.Reserved, api.auth.budget.Warning = 45_000_000, 0, "$45.00 of this month's $50.00 are spent."
	})
	_, page = fetch(t, "GET", site+"/budget", nil)
	wants(t, page, "$45.00 of this month&#39;s $50.00 are spent.", `class="spent over"`)
	api.change(func() { api.auth.budget.Spent = 51_000_000 })
	_, page = fetch(t, "GET", site+"/budget", nil)
	wants(t, page, "budget is used up", "$0.00", `width="1000"`)
	api.change(func() { api.auth.budget = budget{Month: "2026-11", limits: limits{Soft: 1, Hard: 2}} })
	_, page = fetch(t, "GET", site+"/budget", nil)
	wants(t, page, "Nothing is spent yet")
	api.change(func() { api.auth.budget = budget{Month: "2026-11"} }) // nothing may be spent
	_, page = fetch(t, "GET", site+"/budget", nil)
	wants(t, page, "budget is used up")
}

func TestMoney(t *testing.T) {
	t.Parallel()
	for m, want := range map[money]string{0: "$0.00", 1: "$0.000001", 9_999: "$0.009999", 10_000: "$0.01", 1_004_999: "$1.00", 1_005_000: "$1.01", 999_995_000: "$1,000.00", 1_234_567_890_000: "$1,234,567.89", -2_500_000: "-$2.50"} {
		if m.String() != want {
			t.Errorf("%d is %s, not %s", int64(m), m, want)
		}
	}
	for _, wrong := range []string{"", "-1", "1.2.3", "1e3", "1.1234567", "12345678901", "NaN", "$", "1 000", "١٢"} {
		if got, ok := micros(wrong); ok {
			t.Errorf("%q is taken for %d", wrong, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.Int64Range(0, 999_999_999_999_999).Draw(t, "micros")
		if got, ok := micros(plain(money(m))); !ok || got != m {
			t.Fatalf("%d is written %s and read %d", m, plain(money(m)), got)
		}
	})
}

func TestDevicesAreNamed(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0": "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/19.0 Safari/605.1.15":         "Safari on Mac",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/142.0.0.0 Mobile Safari/537.36":               "Chrome on Android",
		"curl/8.5.0": "curl/8.5.0", "": "Unknown device", "this machine": "this machine",
	} {
		if got := device(words); got != want {
			t.Errorf("%q is %q", words, got)
		}
	}
}

func TestTimesInWords(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{time.Millisecond: "1 second", 59 * time.Second: "59 seconds", 61 * time.Second: "2 minutes", 3 * time.Hour: "3 hours", 72 * time.Hour: "3 days"} {
		if got := lasting(d); got != want {
			t.Errorf("%v is %q", d, got)
		}
	}
	for d, want := range map[time.Duration]string{time.Minute: "just now", 5 * time.Minute: "5 minutes ago", 5 * time.Hour: "5 hours ago", 100 * time.Hour: "4 days ago", 2400 * time.Hour: "on 12 August 2026"} {
		if got := ago(now.Add(-d), now); got != want {
			t.Errorf("%v is %q", d, got)
		}
	}
}

// The shapes of the answers are written down a second time here: these are examples
// of functions/auth's own.
func TestAnswersAreUnderstood(t *testing.T) {
	t.Parallel()
	var c credentialPage
	err := json.Unmarshal([]byte(`{"credential":{"id":"auth_1","label":"L","scopes":["chat"],"created_by":"usr_1","created_at":"2026-11-20T09:30:00Z","last_used_at":"2026-11-20T09:30:00Z","expires_at":"2027-01-01T00:00:00Z"},"secret":"s"}`), &c)
	if err != nil || c.Credential.ID != "auth_1" || c.Credential.UsedAt == nil || !c.Credential.Works(now) || c.Credential.Works(now.AddDate(1, 0, 0)) || c.Secret != "s" {
		t.Errorf("%v %+v", err, c)
	}
	var made course.Course
	if err := json.Unmarshal([]byte(`{"id":"crs_1"}`), &made); err != nil || made.ID != "crs_1" {
		t.Error(err)
	}
}
