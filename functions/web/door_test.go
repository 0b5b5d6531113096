package web

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"lectern.dev/lectern/internal/fault"
)

// submit sends a form as the page's own, from who the cookie names.
func submit(t *testing.T, address, cookie string, form url.Values, headers ...string) (*http.Response, string) {
	t.Helper()
	headers = append([]string{"Cookie", cookie, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin"}, headers...)
	return fetch(t, "POST", address, strings.NewReader(form.Encode()), headers...)
}

// asked gives what the API was asked to change.
func (f *fakeAPI) asked() (all []string) {
	f.change(func() { all = append(all, f.writes...) })
	return all
}

const nobody = "lectern=somebody-else; theme=dark"

// The pages for members, and the forms on them.
var (
	memberPages = []string{"/", "/?cursor=abc", "/courses/" + courseID, "/lessons/" + lessonID, "/account", "/organization", "/budget", "/organizations"}
	memberForms = []string{
		"/courses", "/courses/crs_home/generations", "/courses/crs_home/renders", "/lessons/les_wifi/renders", "/jobs/job_render/cancel", "/jobs/job_safe/resume",
		"/account/name", "/account/address", "/account/password", "/account/sign-out-everywhere", "/account/sign-ins/sgn_2/end",
		"/organization/members", "/organization/members/usr_jonas/role", "/organization/members/usr_jonas/remove", "/organization/invitations/lnk_1/revoke",
		"/organization/credentials", "/organization/credentials/auth_lms/revoke", "/organizations/org_dock/budget",
	}
	tokenPages = []string{"/sign-in/link", "/sign-up/confirm", "/invitation", "/reset"}
)

func TestPagesAreForMembers(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	for _, cookie := range []string{"", nobody} {
		for _, page := range memberPages {
			answer, _ := fetch(t, "GET", site+page, nil, "Cookie", cookie)
			if want := "/sign-in?next=" + url.QueryEscape(page); answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != want {
				t.Errorf("%s: %d to %q", page, answer.StatusCode, answer.Header.Get("Location"))
			}
		}
		for _, form := range memberForms {
			answer, page := submit(t, site+form, cookie, url.Values{"title": {"x"}}, "Referer", site+"/courses/crs_home?x=1")
			if answer.StatusCode != http.StatusUnauthorized || answer.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %d", form, answer.StatusCode)
			}
			wants(t, page, "What you sent was not carried out", `name="next" value="/courses/crs_home?x=1"`, `action="/sign-in"`)
		}
	}
	if writes := api.asked(); len(writes) > 0 {
		t.Errorf("the API was asked for %q", writes)
	}
}

// An id that is a step up the path reaches no other operation.
func TestIdsAreNoSteps(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	for _, path := range []string{"/courses/%2e%2e", "/lessons/%2e", "/courses/%2e%2e%2f", "/courses/..%2f..%2fauth%2fme"} {
		if answer, _ := fetch(t, "GET", site+path, nil, "Cookie", "lectern=root"); answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, answer.StatusCode)
		}
	}
	for _, path := range []string{"/organization/members/%2e%2e/remove", "/organization/members/%2e/remove", "/organizations/%2e%2e/budget", "/account/sign-ins/%2e%2e/end"} {
		if answer, _ := submit(t, site+path, "lectern=root", url.Values{"role": {"owner"}, "soft": {"1"}, "hard": {"2"}}); answer.StatusCode < 300 || answer.StatusCode >= 500 || answer.StatusCode == http.StatusTemporaryRedirect {
			t.Errorf("%s: %d", path, answer.StatusCode)
		}
	}
	if writes := api.asked(); len(writes) > 0 {
		t.Errorf("the API was asked for %q", writes)
	}
}

func TestMembersPagesAreKeptNowhere(t *testing.T) {
	t.Parallel()
	site, _ := startSite(t)
	for _, page := range append([]string{"/sign-up", "/docs", "/nothing", "/v1/auth/me", "/v1/budget/ledger?month=2026-11"}, memberPages...) {
		if answer, _ := fetch(t, "GET", site+page, nil, "Cookie", "lectern=root"); answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: Cache-Control %q, status %d", page, answer.Header.Get("Cache-Control"), answer.StatusCode)
		}
	}
}

func TestNextLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	site, _ := startSite(t)
	good := []string{"/", "/courses/crs_home", "/?cursor=ab.c-_%3D", "/budget", "/organization?done=role"}
	bad := []string{
		"", "//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, `/\/evil.example`, "/%5cevil.example", "/%2f/evil.example", "/%09/evil.example",
		"https://evil.example", "http:evil.example", "https:/evil.example", "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "//evil.example@127.0.0.1/",
		"\t//evil.example", "/\t/evil.example", "/\n/evil.example", "/\r\nSet-Cookie: a=b", " //evil.example", "/ /evil.example", "/..//evil.example", "/.//evil.example", "/courses//evil.example",
		"/\u2215/evil.example", "/@evil.example", "/:80", "evil.example", "?x", "#x", "/courses/a#b", "/budget?next=//evil.example", "/\x00/evil.example", strings.Repeat("/a", 600),
		"/sign-in", "/sign-in/link?token=x", "/sign-up", "/sign-out", "/invitation?token=x", "/reset?token=x", "/v1/auth/me", "/static/x",
	}
	try := func(next, want string) {
		t.Helper()
		_, page := fetch(t, "GET", site+"/sign-in?next="+url.QueryEscape(next), nil, "Cookie", "")
		if got := html.UnescapeString(regexp.MustCompile(`name="next" value="([^"]*)"`).FindStringSubmatch(page)[1]); got != want {
			t.Errorf("%q: the form leads to %q", next, got)
		}
		answer, _ := fetch(t, "GET", site+"/sign-in?next="+url.QueryEscape(next), nil)
		if got := answer.Header.Get("Location"); got != want {
			t.Errorf("%q: who is signed in is led to %q", next, got)
		}
		answer, _ = submit(t, site+"/sign-in", "", url.Values{"email": {"a@b.example"}, "password": {goodPassword}, "next": {next}})
		if got := answer.Header.Get("Location"); answer.StatusCode != http.StatusSeeOther || got != want {
			t.Errorf("%q: signing in leads to %d %q", next, answer.StatusCode, got)
		}
	}
	for _, next := range good {
		try(next, next)
	}
	for _, next := range bad {
		try(next, "/")
	}
	answer, _ := submit(t, site+"/account/name", nobody, nil, "Referer", "https://evil.example//evil.example")
	if answer.StatusCode != http.StatusUnauthorized {
		t.Error(answer.Status)
	}
}

func TestSignInHandsTheCookiesOn(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	answer, _ := submit(t, site+"/sign-in", "lectern=old; device=d", url.Values{"email": {" Noor@hillside.example"}, "password": {" " + goodPassword}, "next": {"/budget"}})
	if answer.StatusCode != http.StatusUnauthorized {
		t.Error("a password with a space before it was taken as one without")
	}
	answer, _ = submit(t, site+"/sign-in", "lectern=old; device=d", url.Values{"email": {"noor@hillside.example"}, "password": {goodPassword}, "next": {"/budget"}}, "User-Agent", "Testing/1")
	if got := answer.Header.Values("Set-Cookie"); len(got) != 2 || got[0] != setCookie || got[1] != deviceCookie {
		t.Errorf("cookies %q", got)
	}
	if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/budget" {
		t.Errorf("%d to %q", answer.StatusCode, answer.Header.Get("Location"))
	}
	api.change(func() {
		seen := api.seen[len(api.seen)-1]
		if seen.Get("Cookie") != "lectern=old; device=d" || seen.Get("User-Agent") != "Testing/1" {
			t.Errorf("the API was told %v", seen)
		}
	})
	// Programs use the API itself: the gateway changes nothing either.
	answer, _ = fetch(t, "POST", site+"/v1/auth/sign-in", strings.NewReader(`{"email":"noor@hillside.example","password":"`+goodPassword+`"}`), "Content-Type", "application/json")
	if got := answer.Header.Values("Set-Cookie"); len(got) != 2 || got[0] != setCookie {
		t.Errorf("through the gateway: %q", got)
	}

	answer, _ = submit(t, site+"/sign-out", "lectern=owner", nil)
	if answer.Header.Get("Location") != "/sign-in?done=signed-out" || answer.Header.Get("Set-Cookie") != noCookie {
		t.Errorf("signed out: %v", answer.Header)
	}
	if answer, _ := fetch(t, "GET", site+"/sign-out", nil); answer.StatusCode == http.StatusSeeOther || answer.Header.Get("Set-Cookie") != "" {
		t.Error("looking at an address signs out")
	}
}

func TestRefusalsAreToldOnTheForm(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	entered := url.Values{"email": {`noor"><b@hillside.example`}, "password": {"canary wrong password"}, "name": {"Noor"}, "organization": {"Hill"}}
	for _, c := range []struct {
		path    string
		failure error
		status  int
		says    []string
	}{
		{"/sign-in", nil, 401, []string{"The e-mail address or the password is wrong.", `role="alert"`}},
		{"/sign-in", &fault.Error{Kind: fault.Exhausted, Message: "Too many attempts.", RetryAfter: 90 * time.Second}, 429, []string{"Too many attempts.", "You can try again in 2 minutes."}},
		{"/sign-in", &fault.Error{Kind: fault.Unavailable, Message: "Much is going on here.", RetryAfter: 3 * time.Second}, 503, []string{"Much is going on here.", "You can try again in 3 seconds."}},
		{
			"/sign-up", &fault.Error{Kind: fault.Invalid, Message: "See errors.", Fields: []fault.Field{{Location: "body.password", Message: "this one is common"}, {Location: "body.email", Message: "not an address"}, {Location: "body", Message: "odd"}}}, 422,
			[]string{"This one is common.", "Not an address.", "Odd.", `id="sign-up-email-wrong"`, `aria-describedby="sign-up-password-hint sign-up-password-wrong"`},
		},
		{"/resets", &fault.Error{Kind: fault.Exhausted, Message: "Too many letters.", RetryAfter: 3 * time.Hour}, 429, []string{"You can try again in 3 hours."}},
	} {
		api.change(func() {
			api.auth.refuse = map[string]error{"POST /v1/auth" + c.path: c.failure}
		})
		answer, page := submit(t, site+c.path, "", entered)
		if answer.StatusCode != c.status || answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: status %d, Cache-Control %q", c.path, answer.StatusCode, answer.Header.Get("Cache-Control"))
		}
		if (answer.Header.Get("Retry-After") != "") != (c.status == 429 || c.status == 503) {
			t.Errorf("%s: Retry-After %q", c.path, answer.Header.Get("Retry-After"))
		}
		wants(t, page, append(c.says, `value="noor&#34;&gt;&lt;b@hillside.example"`)...)
		if strings.Contains(page, "canary wrong password") {
			t.Errorf("%s: the page holds the password", c.path)
		}
		if n := strings.Count(page, "autofocus"); n != 1 {
			t.Errorf("%s: %d elements want the focus", c.path, n)
		}
		if c.status == 422 && !regexp.MustCompile(`id="sign-up-email"[^>]*aria-invalid="true"[^>]*autofocus`).MatchString(page) {
			t.Error("the first wrong field of the page has not got the focus")
		}
	}
}

func TestLooksOfALinkDoNotUseItUp(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	for _, path := range tokenPages {
		for _, method := range []string{"GET", "GET", "HEAD"} {
			answer, page := fetch(t, method, site+path+"?token="+goodToken, nil, "Cookie", "", "Purpose", "prefetch")
			if answer.StatusCode != http.StatusOK || answer.Header.Get("Set-Cookie") != "" {
				t.Errorf("%s: %d %v", path, answer.StatusCode, answer.Header)
			}
			if answer.Header.Get("Referrer-Policy") != "strict-origin" || answer.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: Referrer-Policy %q, Cache-Control %q", path, answer.Header.Get("Referrer-Policy"), answer.Header.Get("Cache-Control"))
			}
			if method == "HEAD" {
				continue
			}
			if field := `<input type="hidden" name="token" value="` + goodToken + `">`; !strings.Contains(page, field) || strings.Count(page, goodToken) != 1 {
				t.Errorf("%s: the token stands elsewhere than in its field", path)
			}
			if strings.Count(page, "<form") != 1 || !strings.Contains(page, `method="post" action="`+path+`"`) {
				t.Errorf("%s: not one form that goes to the page's own address", path)
			}
			if out := regexp.MustCompile(`(?:href|src)="(https?:)?//`).FindString(page); out != "" {
				t.Errorf("%s: the page holds %q", path, out)
			}
		}
	}
	if writes := api.asked(); len(writes) > 0 {
		t.Fatalf("looking asked the API for %q", writes)
	}
	for i, path := range tokenPages {
		form := url.Values{"token": {goodToken}, "name": {"Noor"}, "password": {goodPassword}}
		answer, _ := submit(t, site+path, "", form)
		if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/" || answer.Header.Get("Set-Cookie") != setCookie {
			t.Errorf("%s: %d to %q, %v", path, answer.StatusCode, answer.Header.Get("Location"), answer.Header)
		}
		if n := len(api.asked()); n != i+1 {
			t.Errorf("%s: %d requests", path, n)
		}
		form.Set("token", "used-up")
		answer, page := submit(t, site+path, "", form)
		if answer.StatusCode != http.StatusUnauthorized || answer.Header.Get("Set-Cookie") != "" || strings.Contains(page, "used-up") {
			t.Errorf("%s: a link that was used: %d", path, answer.StatusCode)
		}
		wants(t, page, "This link does not work", "older than 30 minutes")
		api.change(func() { api.writes = api.writes[:i+1] })
	}

	// A password that is refused does not cost the link: the form stays, with its token.
	api.change(func() {
		api.auth.refuse["POST /v1/auth/resets/redeem"] = &fault.Error{Kind: fault.Invalid, Message: "No.", Fields: []fault.Field{{Location: "body.password", Message: "Too common."}}}
	})
	answer, page := submit(t, site+"/reset", "", url.Values{"token": {goodToken}, "password": {"password"}})
	if answer.StatusCode != http.StatusUnprocessableEntity || strings.Count(page, goodToken) != 1 {
		t.Errorf("a common password: %d", answer.StatusCode)
	}
	wants(t, page, "Too common.", `name="token" value="`+goodToken)
}

func TestResetIsAnsweredAlike(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	var first string
	for _, address := range []string{"noor@hillside.example", "unknown@hillside.example"} {
		answer, _ := submit(t, site+"/resets", "", url.Values{"email": {address}})
		_, page := fetch(t, "GET", site+answer.Header.Get("Location"), nil, "Cookie", "")
		if first == "" {
			first = page
		}
		if page != first || strings.Contains(page, address) {
			t.Errorf("%s is told something else", address)
		}
	}
	api.change(func() {
		if fmt.Sprint(api.auth.letters) != "[noor@hillside.example unknown@hillside.example]" {
			t.Errorf("letters to %v", api.auth.letters)
		}
	})
}

func TestPasswordManagersKnowTheFields(t *testing.T) {
	t.Parallel()
	site, _ := startSite(t)
	for path, fields := range map[string]map[string]string{
		"/sign-in":          {"email": "username", "password": "current-password"},
		"/sign-up":          {"email": "username", "password": "new-password", "name": "name", "organization": "organization"},
		"/reset?token=x":    {"password": "new-password"},
		"/invitation?token": {"password": "new-password", "name": "name"},
		"/account":          {"username": "username", "current": "current-password", "new": "new-password", "name": "name"},
	} {
		cookie := ""
		if path == "/account" {
			cookie = "lectern=owner"
		}
		_, page := fetch(t, "GET", site+path, nil, "Cookie", cookie)
		for name, complete := range fields {
			found := false
			for _, tag := range regexp.MustCompile(`<input[^>]*>`).FindAllString(page, -1) {
				if strings.Contains(tag, `name="`+name+`"`) && strings.Contains(tag, `autocomplete="`+complete+`"`) {
					found = true
					if strings.Contains(tag, `type="password"`) && strings.Contains(tag, "maxlength") {
						t.Errorf("%s: a pasted password would be cut in %s", path, name)
					}
				}
			}
			if !found {
				t.Errorf("%s: no field %s for %s", path, name, complete)
			}
		}
	}
}
