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

func TestAxeFindsNothing(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	api.others = others()
	api.chat.talked()
	working, api := startSite(t)
	pace := make(chan struct{}) // nothing of an answer comes
	api.chat.pace = pace
	t.Cleanup(func() { close(pace) })
	empty, api := startSite(t)
	api.course, api.jobs = course.Course{ID: "crs_new", Title: "New", CreatedAt: now, UpdatedAt: now}, nil
	for _, width := range []int64{390, 1440} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			t.Parallel()
			tab := openTab(t, site, view{width: width, as: "root"})
			call(t, tab, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: axe})
			for name, path := range lookedAt {
				inspect := site + path
				act(t, tab, chromedp.Navigate(inspect))
				eval[int](t, tab, `document.querySelectorAll("details").forEach((d) => { d.open = true }), document.querySelector(".choice input")?.click(), 0`)
				axeBothSchemes(t, tab, name)
			}
			eval[int](t, tab, `document.getElementById("me").showPopover(), document.querySelector("[data-ended]").hidden = false, 0`)
			axeBothSchemes(t, tab, "the menu, and the end of a session")
			act(t, tab, chromedp.Navigate(site+"/tutor/ses_three"), chromedp.Focus(".said a.cite"))
			press(t, tab, kb.Enter)
			until(t, tab, `document.querySelector(".quote-card")`)
			axeBothSchemes(t, tab, "the words that a number rests on")
			act(t, tab, chromedp.Navigate(working+"/lessons/"+lessonID), chromedp.Click("[data-show-tutor]"))
			until(t, tab, `document.querySelector("[data-tutor] select[name=task]")`)
			axeBothSchemes(t, tab, "the tutor beside a lesson")
			askTutor(t, tab, "Is it so?")
			until(t, tab, `document.querySelector(".thinking")`)
			axeBothSchemes(t, tab, "an answer that is being made")
			for name, form := range answered {
				act(t, tab, chromedp.Navigate(site+form.page), chromedp.Focus(form.press))
				press(t, tab, "nine words that are wrong here")
				eval[int](t, tab, `document.querySelectorAll("input:not([type=hidden])").forEach((i) => { if (!i.value) i.removeAttribute("required") }), 0`)
				press(t, tab, kb.Enter)
				until(t, tab, `document.readyState === "complete" && document.querySelector(".wrong, .secret")`)
				axeBothSchemes(t, tab, name)
			}
			act(t, tab, chromedp.Navigate(empty+"/courses/crs_new"))
			axeBothSchemes(t, tab, "an empty course")
			outside := openTab(t, site, view{width: width, as: "nobody"})
			call(t, outside, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: axe})
			for name, path := range lookedAtFromOutside {
				act(t, outside, chromedp.Navigate(site+path))
				axeBothSchemes(t, outside, name)
			}
			act(t, outside, chromedp.Navigate(site+"/sign-in"), chromedp.Focus("[name=email]"))
			press(t, outside, "a@b.example")
			press(t, outside, kb.Tab)
			press(t, outside, "wrong")
			press(t, outside, kb.Enter)
			until(t, outside, `document.querySelector(".problem")`)
			axeBothSchemes(t, outside, "a wrong password")
		})
	}
}

func axeBothSchemes(t *testing.T, tab context.Context, name string) {
	t.Helper()
	for _, dark := range []bool{false, true} {
		setScheme(t, tab, dark)
		for _, f := range eval[[]finding](t, tab, `axe.run({resultTypes: ["violations"]}).then((r) => r.violations)`) {
			for _, n := range f.Nodes {
				t.Errorf("%s, dark %v: %s (%s)\n%s\n%s", name, dark, f.Help, f.Impact, n.HTML, n.FailureSummary)
			}
		}
		if wide := eval[float64](t, tab, `document.documentElement.scrollWidth - innerWidth`); wide > 0 {
			t.Errorf("%s is %v px wider than the screen", name, wide)
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
