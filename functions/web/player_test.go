package web

import (
	"context"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// openLesson opens the lesson with the film and waits until it can be moved about in.
func openLesson(t *testing.T, site string) context.Context {
	t.Helper()
	if filmFolder() == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("ffmpeg is not installed")
		}
		t.Skip("ffmpeg is not installed")
	}
	tab := openTab(t, site, view{})
	act(t, tab, chromedp.Navigate(site+"/lessons/"+lessonID))
	until(t, tab, `document.querySelector("video").readyState >= 1 && !document.querySelector("video").controls`)
	return tab
}

func press(t *testing.T, tab context.Context, keys string) {
	t.Helper()
	act(t, tab, chromedp.KeyEvent(keys))
}

// slowly has the film take a minute for four seconds: no busy machine misses a sentence.
func slowly(t *testing.T, tab context.Context) {
	t.Helper()
	eval[int](t, tab, `document.querySelector("video").playbackRate = 1 / 16, 0`)
}

// at waits until the film stands within half a second of a time.
func at(t *testing.T, tab context.Context, seconds float64) {
	t.Helper()
	until(t, tab, fmt.Sprintf(`Math.abs(document.querySelector("video").currentTime - %v) < 0.5`, seconds))
}

func TestPlayerByChapterTranscriptAndSlide(t *testing.T) {
	t.Parallel()
	site, _ := startSite(t)
	tab := openLesson(t, site)

	slowly(t, tab)
	act(t, tab, chromedp.Click(`[data-chapter][data-seek="24"]`))
	until(t, tab, `!document.querySelector("video").paused`)
	until(t, tab, `document.querySelector("[data-chapter][aria-current]")?.dataset.seek === "24"`)
	until(t, tab, `document.querySelector("[data-play]").getAttribute("aria-label") === "Pause"`)
	press(t, tab, "k")
	until(t, tab, `document.querySelector("video").paused`)
	if now := eval[float64](t, tab, `document.querySelector("video").currentTime`); now < 24 || now > 30 {
		t.Errorf("the chapter at 24 s plays at %v s", now)
	}

	act(t, tab, chromedp.Click(`[data-end][data-seek="40"]`))
	until(t, tab, `document.querySelector("[data-end][aria-current]")?.dataset.seek === "40"`)
	press(t, tab, "k")
	until(t, tab, `document.querySelector("[data-now]").textContent === "Find your router"`)

	act(t, tab, chromedp.Click(`#evidence [data-seek="12"]`))
	until(t, tab, `document.querySelector("[data-end][aria-current]")?.dataset.seek === "12"`)
	if path := eval[string](t, tab, "location.pathname"); path != "/lessons/"+lessonID {
		t.Errorf("the page was left for %s", path)
	}
}

func TestPlayerByKeys(t *testing.T) {
	t.Parallel()
	site, _ := startSite(t)
	tab := openLesson(t, site)
	for _, c := range []struct {
		key string
		at  float64
	}{{"5", 30}, {"l", 40}, {"j", 30}, {kb.ArrowRight, 35}, {kb.ArrowLeft, 30}, {"n", 36}, {"p", 24}, {"0", 0}, {"j", 0}, {"9", 54}, {"n", 54}, {"l", 60}} {
		press(t, tab, c.key)
		at(t, tab, c.at)
	}
	press(t, tab, "2")
	at(t, tab, 12)
	press(t, tab, ">")
	until(t, tab, `document.querySelector("video").playbackRate === 1.25 && document.querySelector("[data-speed]").value === "1.25"`)
	press(t, tab, "<")
	until(t, tab, `document.querySelector("video").playbackRate === 1`)
	press(t, tab, "m")
	until(t, tab, `document.querySelector("video").muted && document.querySelector("[data-mute]").ariaPressed === "true"`)
	until(t, tab, `document.querySelector("video").textTracks[0].mode === "showing"`)
	press(t, tab, "c")
	until(t, tab, `document.querySelector("video").textTracks[0].mode === "hidden" && document.querySelector("[data-captions]").ariaPressed === "false"`)
	press(t, tab, " ")
	until(t, tab, `!document.querySelector("video").paused`)

	// A key that means something where the focus is keeps its meaning.
	act(t, tab, chromedp.Focus("[data-play]"))
	press(t, tab, " ")
	until(t, tab, `document.querySelector("video").paused`)
	act(t, tab, chromedp.Focus("[data-position]"))
	press(t, tab, "3")
	at(t, tab, 18)
	press(t, tab, kb.ArrowRight)
	at(t, tab, 23)
	press(t, tab, "f")
	until(t, tab, `document.fullscreenElement?.matches("[data-player]")`)
}

func TestCaptionsAreLoaded(t *testing.T) {
	t.Parallel()
	site, _ := startSite(t)
	tab := openLesson(t, site)
	until(t, tab, `document.querySelector("video").textTracks[0].cues?.length === 15`)
}

func TestTranscriptFollowsUntilTheReaderScrolls(t *testing.T) {
	t.Parallel()
	site, _ := startSite(t)
	tab := openLesson(t, site)
	top := func() float64 { return eval[float64](t, tab, `document.querySelector("[data-scroller]").scrollTop`) }
	press(t, tab, "9")
	until(t, tab, `document.querySelector("[data-scroller]").scrollTop > 100`)
	press(t, tab, "0")
	until(t, tab, `document.querySelector("[data-scroller]").scrollTop === 0`)

	eval[bool](t, tab, `document.querySelector("[data-scroller]").dispatchEvent(new WheelEvent("wheel", {bubbles: true}))`)
	until(t, tab, `!document.querySelector("[data-follow]").hidden`)
	press(t, tab, "9")
	until(t, tab, `document.querySelector("[data-end][aria-current]")?.dataset.seek === "52"`)
	if top() != 0 {
		t.Error("the transcript was moved under the reader's eyes")
	}
	act(t, tab, chromedp.Click("[data-follow]"))
	until(t, tab, `document.querySelector("[data-scroller]").scrollTop > 100 && document.querySelector("[data-follow]").hidden`)

	// With the keyboard: one stop, then from sentence to sentence.
	if stops := eval[int](t, tab, `document.querySelectorAll("[data-scroller] a:not([tabindex='-1'])").length`); stops != 1 {
		t.Errorf("the transcript stops the tab key %d times", stops)
	}
	eval[int](t, tab, `document.querySelector("video").play = () => Promise.resolve(), 0`) // it stays where it is put
	act(t, tab, chromedp.Focus(`[data-end][tabindex="0"]`))
	press(t, tab, kb.ArrowDown)
	press(t, tab, kb.ArrowDown)
	press(t, tab, kb.Enter)
	at(t, tab, 8)
}

func TestPlayerGoesOnWhereOneWas(t *testing.T) {
	t.Parallel()
	site, _ := startSite(t)
	tab := openLesson(t, site)
	press(t, tab, "5")
	until(t, tab, `Object.keys(localStorage).some((k) => k.startsWith("at/les_router/") && localStorage[k] === "30")`)
	act(t, tab, chromedp.Reload())
	until(t, tab, `document.querySelector("[data-resumed]")?.checkVisibility()`)
	if now := eval[float64](t, tab, `document.querySelector("video").currentTime`); math.Abs(now-30) > 0.5 {
		t.Errorf("it goes on at %v s", now)
	}
	act(t, tab, chromedp.Click("[data-restart]"))
	at(t, tab, 0)
}

func TestQuestionsAreJudged(t *testing.T) {
	t.Parallel()
	site, _ := startSite(t)
	tab := openTab(t, site, view{})
	act(t, tab, chromedp.Navigate(site+"/lessons/"+lessonID))
	act(t, tab, chromedp.Click(`input[name="qst_1"][value="0"]`))
	until(t, tab, `document.querySelector(".verdict").textContent.startsWith("Not quite")`)
	if open := eval[bool](t, tab, `document.querySelector(".answer").open`); open {
		t.Error("a wrong choice gives the answer away")
	}
	act(t, tab, chromedp.Click(`input[name="qst_1"][value="1"]`))
	until(t, tab, `document.querySelector(".verdict").textContent === "Right." && document.querySelector(".answer").open`)
}

func TestThemeIsChosenAndKept(t *testing.T) {
	t.Parallel()
	site, _ := startSite(t)
	tab := openTab(t, site, view{dark: true})
	act(t, tab, chromedp.Navigate(site+"/"))
	ink := func() string {
		return eval[string](t, tab, `getComputedStyle(document.documentElement).backgroundColor`)
	}
	dark := ink()
	act(t, tab, chromedp.Click("[data-theme-toggle]"))
	light := ink()
	act(t, tab, chromedp.Reload())
	if dark == light || ink() != light {
		t.Errorf("dark %s, then light %s, after a reload %s", dark, light, ink())
	}
}
