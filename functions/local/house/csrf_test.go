package house_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"lectern.dev/lectern/functions/local/house"
	"lectern.dev/lectern/internal/account"
)

// door passes requests on to the house and remembers them.
type door struct {
	*httptest.Server
	mu      sync.Mutex
	entered []entered
}

type entered struct {
	method, path, origin string
	cookie               bool
	status               int
}

func newDoor(t *testing.T, target string) *door {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{}
	d.Server = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.Out.Host = p.In.Host
		},
		ModifyResponse: func(answer *http.Response) error {
			q := answer.Request
			_, err := q.Cookie("lectern")
			d.mu.Lock()
			defer d.mu.Unlock()
			d.entered = append(d.entered, entered{q.Method, q.URL.Path, q.Header.Get("Origin"), err == nil, answer.StatusCode})
			return nil
		},
	})
	t.Cleanup(d.Close)
	return d
}

// take gives what has entered since the last time, when it is so many requests beside
// preflights or a minute has passed: nothing tells a page when its beacons are sent.
func (d *door) take(least int) (all []entered) {
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		d.mu.Lock()
		for _, e := range d.entered {
			if e.method != http.MethodOptions {
				least--
			}
		}
		all = append(all, d.entered...)
		d.entered = nil
		d.mu.Unlock()
		if least <= 0 || time.Now().After(end) {
			return all
		}
	}
}

// mutating gives method and path of every operation that changes something, of the
// API's documents and of the pages' forms.
func mutating(t *testing.T, h *house.House) (routes [][2]string) {
	t.Helper()
	res, err := http.Get(h.URL() + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.NewDecoder(res.Body).Decode(&document); err != nil {
		t.Fatal(err)
	}
	for path, item := range document.Paths {
		for method := range item {
			if method = strings.ToUpper(method); slices.Contains([]string{"POST", "PUT", "PATCH", "DELETE"}, method) {
				routes = append(routes, [2]string{method, path})
			}
		}
	}
	if len(routes) < 30 {
		t.Fatalf("only %d operations", len(routes))
	}
	for _, path := range []string{"/courses/{id}/generations", "/courses/{id}/renders", "/lessons/{id}/renders", "/jobs/{id}/cancel", "/jobs/{id}/resume", "/sign-out", "/sign-in"} {
		routes = append(routes, [2]string{"POST", path})
	}
	return routes
}

// browser is a real Chromium that finds every name on this machine.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("chromium is not installed")
		}
		t.Skip("chromium is not installed")
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1"),
	)...)
	t.Cleanup(stop)
	tab, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	tab, cancel := context.WithTimeout(tab, 5*time.Minute)
	t.Cleanup(cancel)
	return tab
}

// attack is what a page of another site can make a browser send, for each route.
const attack = `
const body = '{"title":"stolen","email":"x@y.test","name":"x"}';
const form = (to, enctype, where) => new Promise(done => {
	const frame = document.createElement('iframe');
	frame.name = 'f' + Math.random();
	const f = document.createElement('form');
	f.method = 'POST'; f.action = to; f.enctype = enctype; f.target = frame.name;
	const i = document.createElement('input');
	i.name = enctype === 'text/plain' ? body.slice(0, -1) + ',"x":"' : 'title';
	i.value = enctype === 'text/plain' ? '"}' : 'stolen';
	f.append(i);
	document.body.append(frame, f);
	frame.onload = () => { frame.remove(); f.remove(); done(); };
	f.submit();
	setTimeout(done, 20000);
});
const quietly = p => p.catch(() => {});
const attackAll = async (routes, forms) => {
	await Promise.all(routes.map(async ([method, to]) => {
		navigator.sendBeacon(to, body);
		await Promise.all([
			quietly(fetch(to, {method: 'POST', mode: 'no-cors', credentials: 'include', body})),
			quietly(fetch(to, {method: 'POST', mode: 'no-cors', credentials: 'include', body: new Blob([body])})),
			quietly(fetch(to, {method, mode: 'cors', credentials: 'include', headers: {'Content-Type': 'application/json'}, body: method === 'DELETE' ? undefined : body})),
			quietly(fetch(to, {method: 'POST', mode: 'cors', credentials: 'include', body})),
		]);
	}));
	const kinds = ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data'];
	for (let at = 0; at < forms; at += 12) { // a few frames at a time
		await Promise.all(routes.slice(at, Math.min(at + 12, forms)).map(([, to], i) => form(to, kinds[i % 3])));
	}
	return routes.length;
};
`

// Whatever a page of another site makes a browser send, with the cookie of somebody
// who is signed in, is refused, on every route that changes something.
func TestPagesOfOtherSitesChangeNothing(t *testing.T) {
	t.Parallel()
	h := open(t, house.Options{Sweep: time.Hour})
	front := newDoor(t, h.URL())
	tab := browser(t)
	secret, err := account.Begin(t.Context(), h.Pool(), account.Local.User, "")
	if err != nil {
		t.Fatal(err)
	}
	cookie, err := h.Tokens().NewCookie(secret)
	if err != nil {
		t.Fatal(err)
	}
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>evil</title><body>")
	}))
	t.Cleanup(evil.Close)
	at := func(host string, of *httptest.Server) string {
		return "http://" + host + ":" + of.URL[strings.LastIndexByte(of.URL, ':')+1:]
	}
	routes := mutating(t, h)
	before := state(t, h)
	// .localhost is trustworthy, as https is: browsers tell Sec-Fetch-Site there. To
	// .test they tell the Origin alone.
	for _, victim := range []string{"lectern.localhost", "lectern.test"} {
		us := at(victim, front.Server)
		if _, err := chromedp.Call(tab, network.SetCookie, network.SetCookieParams{
			Name: cookie.Name, Value: cookie.Value, URL: us + "/", HTTPOnly: new(true), SameSite: network.CookieSameSiteLax,
		}); err != nil {
			t.Fatal(err)
		}
		var targets [][2]string
		for _, route := range routes {
			path := strings.NewReplacer("{", "x", "}", "").Replace(route[1])
			targets = append(targets, [2]string{route[0], us + path})
		}
		list, err := json.Marshal(targets)
		if err != nil {
			t.Fatal(err)
		}
		for _, attacker := range []string{"evil." + victim, "evil" + victim[strings.IndexByte(victim, '.'):]} {
			if err := chromedp.Do(tab, chromedp.Navigate(at(attacker, evil))); err != nil {
				t.Fatal(err)
			}
			front.take(0)
			// Forms are slow: all of them where the cookie goes along, elsewhere some.
			sameSite := strings.HasSuffix(attacker, "."+victim)
			forms := 6
			if sameSite {
				forms = len(targets)
			}
			inSandbox, err := json.Marshal("<script>" + attack + "attackAll(" + string(list) + ", 6).then(n => parent.postMessage(n, '*'))</script><body>")
			if err != nil {
				t.Fatal(err)
			}
			for how, script := range map[string]string{
				"a page": "(() => {" + attack + fmt.Sprintf("return attackAll(%s, %d)})()", list, forms),
				"a sandboxed frame": `new Promise(done => { onmessage = e => done(e.data); const f = document.createElement('iframe');
					f.sandbox = 'allow-scripts allow-forms'; f.srcdoc = ` + strings.ReplaceAll(string(inSandbox), "</", `<\/`) + `; document.body.append(f); })`,
			} {
				tried, err := chromedp.Run(tab, chromedp.Evaluate[int](script, chromedp.EvalAwaitPromise))
				if err != nil || tried != len(targets) {
					t.Fatalf("%s of %s: %d routes were tried: %v", how, attacker, tried, err)
				}
				least := 4 * len(targets)
				signed := how == "a page" && sameSite // with the forms, and every request with the cookie
				if signed {
					least = 5 * len(targets)
				}
				withCookie, refused := 0, 0
				for _, e := range front.take(least) {
					if e.cookie {
						withCookie++
					}
					switch {
					case e.method == http.MethodOptions: // a preflight, which allows nothing
					case e.status == http.StatusForbidden:
						refused++
					default:
						t.Errorf("%s of %s: %+v", how, attacker, e)
					}
				}
				t.Logf("%s of %s: %d refused, %d carried the cookie", how, attacker, refused, withCookie)
				if refused < least {
					t.Errorf("%s of %s: only %d requests arrived", how, attacker, refused)
				}
				if signed && withCookie < least {
					t.Errorf("%s of %s: only %d requests carried the cookie, so nothing is shown", how, attacker, withCookie)
				}
			}
		}
		// The same cookie works on our own page.
		if err := chromedp.Do(tab, chromedp.Navigate(us+"/favicon.ico")); err != nil {
			t.Fatal(err)
		}
		status, err := chromedp.Run(tab, chromedp.Evaluate[int](
			`fetch('/v1/auth/sign-ins/none', {method: 'DELETE'}).then(a => a.status)`, chromedp.EvalAwaitPromise))
		if err != nil || status != http.StatusNotFound {
			t.Errorf("our own page gets %d, %v", status, err)
		}
	}
	if after := state(t, h); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
}

// state is what requests could change.
func state(t *testing.T, h *house.House) string {
	t.Helper()
	var all strings.Builder
	for _, table := range []string{"organizations", "users", "passwords", "credentials", "credential_revocations", "links", "budgets", "courses", "modules", "lessons", "sources", "jobs"} {
		var rows string
		if err := h.Pool().QueryRow(t.Context(), `SELECT coalesce(jsonb_agg(t ORDER BY t::text), '[]')::text FROM `+table+` t`).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		all.WriteString(table + rows + "\n")
	}
	var signIns int
	if err := h.Pool().QueryRow(t.Context(), `SELECT count(*) FROM sign_ins`).Scan(&signIns); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(all.String(), signIns)
}
