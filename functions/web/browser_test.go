package web

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"lectern.dev/lectern/internal/logtest"
)

// chromium is the one browser of all tests of this package; nil where none is installed.
var chromium context.Context

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	log := &logWatch{}
	slog.SetDefault(slog.New(logtest.Handler(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))) // shown, it would hide what failed
	if path, err := exec.LookPath("chromium"); err == nil {
		options := append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
			chromedp.Flag("disable-component-update", true),
			chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1"),
			chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
			// A page of the same site takes the process of the one before, and none is kept in reserve.
			chromedp.Flag("disable-features", "Translate,BlinkGenPropertyTrees,ProactivelySwapBrowsingInstance,SpareRendererForSitePerProcess,BackForwardCache"),
			chromedp.Flag("disable-site-isolation-trials", true),
			chromedp.Flag("in-process-gpu", true),
		)
		allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
		defer stop()
		var cancel context.CancelFunc
		chromium, cancel = chromedp.NewContext(allocator)
		defer cancel()
		if err := chromedp.Do(chromium); err != nil {
			panic(err)
		}
	}
	flag.Parse()
	_ = flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))) // tests wait for the browser more than they work
	code := m.Run()
	if leaks := log.found(); leaks != "" {
		fmt.Println("a secret is in the log:", leaks)
		code = 1
	}
	if filmMade {
		_ = os.RemoveAll(filmFolder())
	}
	return code
}

// logWatch reads the log of all tests together, and keeps what no log may hold.
type logWatch struct {
	mu    sync.Mutex
	leaks strings.Builder
}

func (l *logWatch) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, secret := range []string{goodPassword, goodToken, goodSecret, "canary"} {
		if strings.Contains(string(line), secret) {
			l.leaks.Write(line)
			break
		}
	}
	return len(line), nil
}

func (l *logWatch) found() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leaks.String()
}

// view is how a page is looked at.
type view struct {
	width    int64
	dark     bool
	noScript bool
	as       string // who is signed in, of fakeAuth.people; "": the owner; "nobody"
}

// openTab gives a tab in which somebody is signed in, and which holds nothing of other
// tests.
func openTab(t *testing.T, site string, v view) context.Context {
	t.Helper()
	tab := takeTab(t)
	setWidth(t, tab, cmp.Or(v.width, 1440))
	setScheme(t, tab, v.dark)
	if v.as != "nobody" {
		signAs(t, tab, site, cmp.Or(v.as, "owner"))
	}
	call(t, tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: v.noScript})
	return tab
}

// tabs are those that no test uses. A new one, with a storage and a process of its own,
// takes longer than most of what is done in it.
var tabs = make(chan context.Context, 100)

// takeTab gives a tab to a test, until its end.
func takeTab(t *testing.T) context.Context {
	t.Helper()
	if chromium == nil {
		if os.Getenv("CI") != "" {
			t.Fatal("chromium is not installed")
		}
		t.Skip("chromium is not installed")
	}
	var kept context.Context
	closeTab := func() {} // the browser's end closes those that are used again
	select {
	case kept = <-tabs:
	default:
		kept, closeTab = chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
		act(t, kept)
	}
	t.Cleanup(func() {
		if t.Failed() || empty(kept) != nil {
			closeTab()
			return
		}
		tabs <- kept
	})
	tab, cancel := context.WithTimeout(kept, 3*time.Minute) // many tabs share a busy machine
	t.Cleanup(cancel)
	return tab
}

// empty leaves a tab as a new one is. What pages have stored belongs to their origins,
// and the next test's site has another port, which cookies alone do not look at.
func empty(kept context.Context) error {
	tab, cancel := context.WithTimeout(kept, 10*time.Second)
	defer cancel()
	_, err1 := chromedp.Call(tab, network.ClearBrowserCookies, cdp.Empty{})
	_, err2 := chromedp.Call(tab, page.SetBypassCSP, page.SetBypassCSPParams{})
	_, err3 := chromedp.Call(tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{})
	return errors.Join(err1, err2, err3, chromedp.Do(tab, chromedp.Navigate("about:blank")))
}

// signAs gives the tab the cookie of a person.
func signAs(t *testing.T, tab context.Context, site, name string) {
	t.Helper()
	call(t, tab, network.SetCookie, network.SetCookieParams{Name: "lectern", Value: name, URL: site + "/", HTTPOnly: new(true)})
}

// setWidth makes the tab as wide as a telephone or a screen, in pixels.
func setWidth(t *testing.T, tab context.Context, width int64) {
	t.Helper()
	call(t, tab, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1, Mobile: width < 600})
}

// setScheme chooses light or dark, and a reader who wants nothing to move.
func setScheme(t *testing.T, tab context.Context, dark bool) {
	t.Helper()
	scheme := map[bool]string{false: "light", true: "dark"}[dark]
	call(t, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

func call[P, R any](t *testing.T, tab context.Context, command cdp.Command[P, R], params P) R {
	t.Helper()
	r, err := chromedp.Call(tab, command, params)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func act(t *testing.T, tab context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(tab, steps...); err != nil {
		t.Fatal(err)
	}
}

// eval gives the value of a JavaScript expression, which may be a promise.
func eval[T any](t *testing.T, tab context.Context, expression string) T {
	t.Helper()
	out, err := chromedp.Run(tab, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return out
}

// until waits for a JavaScript condition, also across navigations.
func until(t *testing.T, tab context.Context, condition string) {
	t.Helper()
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		met, err := chromedp.Run(tab, chromedp.Evaluate[bool]("Boolean("+condition+")"))
		if met {
			return
		}
		select {
		case <-tab.Done():
			t.Fatalf("%s has not become true: %v", condition, err)
		case <-time.After(pause):
		}
	}
}
