package web

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"lectern.dev/lectern/internal/course"
)

// axe-core 4.14.1, as published; its licence stands beside it.
//
//go:embed testdata/axe/axe.min.js
var axe string

// The pages that are looked at, each in a state that shows much.
var lookedAt = map[string]string{
	"courses": "/", "course": "/courses/" + courseID, "lesson": "/lessons/" + lessonID, "lesson without a video": "/lessons/les_names", "docs": "/docs", "error": "/courses/none",
	"account": "/account?done=name", "organization": "/organization?done=invited", "budget": "/budget", "organizations": "/organizations?done=budget",
	"conversation": "/tutor/ses_three", "quiz": "/tutor/ses_quiz", "conversations": "/tutor?done=deleted", "new conversation": "/courses/" + courseID + "/tutor",
}

// Those for who is not signed in.
var lookedAtFromOutside = map[string]string{
	"sign in": "/sign-in?done=signed-out", "sign up": "/sign-up", "sent": "/sign-up/sent", "link": "/sign-in/link?token=x", "confirm": "/sign-up/confirm?token=x",
	"invitation": "/invitation?token=x", "reset": "/reset?token=x", "ask for a reset": "/reset", "docs from outside": "/docs", "error from outside": "/none",
}

// What forms answer, by what is pressed on which page.
var answered = map[string]struct{ page, press string }{
	"a credential's secret": {"/organization", ".form-credential [name=label]"},
	"a refused password":    {"/account", ".form-password [name=new]"},
	"a refused amount":      {"/organizations", "[name=hard]"},
}

type finding struct {
	ID, Help, Impact string
	Nodes            []struct {
		HTML           string
		FailureSummary string
	}
}

// Each page is loaded once, and looked at in both widths and schemes.
func TestAxeFindsNothing(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	api.others = others()
	api.chat.talked()
	for as, walk := range map[string]map[string]string{"root": lookedAt, "nobody": lookedAtFromOutside} {
		axeOn(t, site, as, func(tab context.Context, look func(name string)) {
			for name, path := range walk {
				act(t, tab, chromedp.Navigate(site+path))
				eval[int](t, tab, `document.querySelectorAll("details").forEach((d) => { d.open = true }), document.querySelector(".choice input")?.click(), 0`)
				look(name)
			}
		})
	}
	axeOn(t, site, "owner", func(tab context.Context, look func(name string)) {
		act(t, tab, chromedp.Navigate(site+"/courses/"+courseID))
		eval[int](t, tab, `document.getElementById("me").showPopover(), document.querySelector("[data-ended]").hidden = false, 0`)
		look("the menu, and the end of a session")
		act(t, tab, chromedp.Navigate(site+"/tutor/ses_three"), chromedp.Focus(".said a.cite"))
		press(t, tab, kb.Enter)
		until(t, tab, `document.querySelector(".quote-card")`)
		look("the words that a number rests on")
	})
}

// What forms answer.
func TestAxeFindsNothingInAnswers(t *testing.T) {
	t.Parallel()
	site, _ := startSite(t)
	axeOn(t, site, "root", func(tab context.Context, look func(name string)) {
		for name, form := range answered {
			act(t, tab, chromedp.Navigate(site+form.page), chromedp.Focus(form.press))
			press(t, tab, "nine words that are wrong here")
			eval[int](t, tab, `document.querySelectorAll("input:not([type=hidden])").forEach((i) => { if (!i.value) i.removeAttribute("required") }), 0`)
			press(t, tab, kb.Enter)
			until(t, tab, `document.readyState === "complete" && document.querySelector(".wrong, .secret")`)
			look(name)
		}
	})
	axeOn(t, site, "nobody", func(tab context.Context, look func(name string)) {
		act(t, tab, chromedp.Navigate(site+"/sign-in"), chromedp.Focus("[name=email]"))
		press(t, tab, "a@b.example")
		press(t, tab, kb.Tab)
		press(t, tab, "wrong")
		press(t, tab, kb.Enter)
		until(t, tab, `document.querySelector(".problem")`)
		look("a wrong password")
	})
}

// What there is before there is anything, and while it is being made.
func TestAxeFindsNothingInBeginnings(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	pace := make(chan struct{}) // nothing of an answer comes
	api.chat.pace = pace
	api.others = []course.Course{{ID: "crs_new", Title: "New", CreatedAt: now, UpdatedAt: now}}
	axeOn(t, site, "root", func(tab context.Context, look func(name string)) {
		defer close(pace)
		act(t, tab, chromedp.Navigate(site+"/courses/crs_new"))
		look("an empty course")
		act(t, tab, chromedp.Navigate(site+"/lessons/"+lessonID), chromedp.Click("[data-show-tutor]"))
		until(t, tab, `document.querySelector("[data-tutor] select[name=task]")`)
		look("the tutor beside a lesson")
		askTutor(t, tab, "Is it so?")
		until(t, tab, `document.querySelector(".thinking")`)
		look("an answer that is being made")
	})
}

// axeOn walks through a site, beside other walks; look has axe look at the page in both
// widths and schemes.
func axeOn(t *testing.T, site, as string, walk func(tab context.Context, look func(name string))) {
	t.Helper()
	t.Run(as, func(t *testing.T) {
		t.Parallel()
		tab := openTab(t, site, view{as: as})
		added := call(t, tab, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: axe})
		t.Cleanup(func() {
			call(t, tab, page.RemoveScriptToEvaluateOnNewDocument, page.RemoveScriptToEvaluateOnNewDocumentParams(added))
		})
		walk(tab, func(name string) { axeFindsNothing(t, tab, name) })
	})
}

// What the scheme changes: in the dark, the rules that look at colours are asked again.
const colours = `{type: "rule", values: ["color-contrast", "link-in-text-block"]}`

// axeFindsNothing looks at a page in both widths and schemes.
func axeFindsNothing(t *testing.T, tab context.Context, name string) {
	t.Helper()
	for _, width := range []int64{1440, 390} {
		setWidth(t, tab, width)
		until(t, tab, fmt.Sprintf("(innerWidth < 1440) === %v", width < 1440))
		for _, dark := range []bool{false, true} {
			setScheme(t, tab, dark)
			rules := ""
			if dark {
				rules = ", runOnly: " + colours
			}
			for _, f := range eval[[]finding](t, tab, `axe.run({resultTypes: ["violations"]`+rules+`}).then((r) => r.violations)`) {
				for _, n := range f.Nodes {
					t.Errorf("%s, %d pixels, dark %v: %s (%s)\n%s\n%s", name, width, dark, f.Help, f.Impact, n.HTML, n.FailureSummary)
				}
			}
		}
		if wide := eval[float64](t, tab, `document.documentElement.scrollWidth - innerWidth`); wide > 0 {
			t.Errorf("%s is %v pixels wider than %d", name, wide, width)
		}
	}
	setScheme(t, tab, false)
}

func TestPagesNeedNoScript(t *testing.T) {
	t.Parallel()
	site, _ := startSite(t)
	tab := openTab(t, site, view{noScript: true, width: 390})
	act(t, tab, chromedp.Navigate(site+"/courses/"+courseID))
	sees(t, tab, "What a router really does", "Encoding “Addresses", "See how far it is now", "Cancel")
	act(t, tab, chromedp.Navigate(site+"/lessons/"+lessonID))
	sees(t, tab, "Transcript", "The box in your hallway", "Chapters", "Two networks, one door", "Show the answer")
	if n := eval[int](t, tab, `document.querySelectorAll("video[controls]").length`); n != 1 {
		t.Error("the browser's own controls are missing")
	}
	if shown := eval[bool](t, tab, `document.querySelector("[data-controls]").checkVisibility()`); shown {
		t.Error("controls are shown that do nothing without a script")
	}
	act(t, tab, chromedp.Click(".answer summary"))
	sees(t, tab, "B is right.")

	// Making a course works; sending a document is said not to.
	act(t, tab, chromedp.Navigate(site+"/"), chromedp.Click(".new-course summary"))
	until(t, tab, `document.querySelector("[name=title]").checkVisibility()`)
	act(t, tab, chromedp.Focus(`[name="title"]`))
	press(t, tab, "New")
	press(t, tab, kb.Enter)
	until(t, tab, `location.pathname === "/courses/crs_new" && document.readyState === "complete"`)
	sees(t, tab, "with JavaScript, which is off", "POST /v1/courses/crs_new/sources")
	if eval[bool](t, tab, `document.querySelector("[data-upload]").checkVisibility()`) {
		t.Error("documents can be chosen and not be sent")
	}
	act(t, tab, chromedp.Navigate(site+"/organization"), chromedp.Focus(`.form-credential [name="label"]`))
	press(t, tab, "Robot")
	press(t, tab, kb.Enter)
	until(t, tab, `document.querySelector("#secret")?.value.endsWith("`+goodSecret+`")`)
	if eval[bool](t, tab, `document.querySelector("[data-copy]").checkVisibility()`) {
		t.Error("a button is shown that does nothing without a script")
	}
}

func sees(t *testing.T, tab context.Context, parts ...string) {
	t.Helper()
	text := eval[string](t, tab, "document.body.innerText")
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("the page does not show %q", part)
		}
	}
}
