package web

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"lectern.dev/lectern/internal/job"
)

// With the keys alone: to a page, through the door, and on that page.
func TestSignInByKeys(t *testing.T) {
	t.Parallel()
	for _, noScript := range []bool{false, true} {
		site, _ := startSite(t)
		tab := openTab(t, site, view{as: "nobody", noScript: noScript})
		act(t, tab, chromedp.Navigate(site+"/budget"))
		until(t, tab, `location.pathname === "/sign-in"`)
		act(t, tab, chromedp.Focus(`[name="email"]`))
		press(t, tab, "noor@hillside.example")
		press(t, tab, kb.Tab)
		press(t, tab, "wrong")
		press(t, tab, kb.Enter)
		until(t, tab, `document.activeElement.className === "problem" && document.activeElement.textContent.includes("is wrong")`)
		if kept := eval[string](t, tab, `document.querySelector("[name=email]").value + "|" + document.querySelector("[name=password]").value`); kept != "noor@hillside.example|" {
			t.Errorf("kept: %s", kept)
		}
		press(t, tab, kb.Tab)
		press(t, tab, kb.Tab)
		press(t, tab, goodPassword)
		press(t, tab, kb.Enter)
		until(t, tab, `location.pathname === "/budget" && document.querySelector(".meter")`)

		// The menu opens and leads on without a script, too.
		act(t, tab, chromedp.Focus(".me"))
		press(t, tab, kb.Enter)
		until(t, tab, `document.getElementById("me").matches(":popover-open")`)
		press(t, tab, kb.Tab)
		press(t, tab, kb.Enter)
		until(t, tab, `location.pathname === "/account"`)
		act(t, tab, chromedp.Focus(".me"))
		press(t, tab, kb.Enter)
		act(t, tab, chromedp.Focus(`[action="/sign-out"] button`))
		press(t, tab, kb.Enter)
		until(t, tab, `location.pathname === "/sign-in" && document.body.innerText.includes("You are signed out.")`)
		act(t, tab, chromedp.Navigate(site+"/account"))
		until(t, tab, `location.pathname === "/sign-in"`)
	}
}

func TestPageSaysThatTheSessionHasEnded(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	tab := openTab(t, site, view{})
	act(t, tab, chromedp.Navigate(site+"/courses/"+courseID))
	until(t, tab, `document.querySelector('[data-job="job_render"]')`)
	api.change(func() { delete(api.auth.people, "owner") })
	close(api.over) // the function ends the streams of who was signed out
	until(t, tab, `document.querySelector("[data-ended]").checkVisibility()`)
	if to := eval[string](t, tab, `document.querySelector("[data-sign-in]").getAttribute("href")`); to != "/sign-in?next=%2Fcourses%2Fcrs_home" {
		t.Errorf("the link leads to %s", to)
	}
	if eval[bool](t, tab, `!document.querySelector('[data-job="job_render"]')`) {
		t.Error("the page was emptied under its reader")
	}
}

// On this machine, and by a name of the house's own network over plain http, where
// browsers tell nothing of a form's sender but its Origin.
func TestLinkSignsInAtThePressOfAButton(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1", "lectern.test"} {
		site, api := startSite(t)
		site = strings.Replace(site, "127.0.0.1", host, 1)
		tab := openTab(t, site, view{as: "nobody", noScript: true, width: 390})
		act(t, tab, chromedp.Navigate(site+"/sign-in/link?token="+goodToken))
		if asked := api.asked(); len(asked) > 0 {
			t.Fatalf("looking asked for %q", asked)
		}
		act(t, tab, chromedp.Click(".door button"))
		until(t, tab, `location.pathname === "/" && document.body.innerText.includes("Home networks")`)
		if told := eval[string](t, tab, `document.referrer`); told != site+"/" {
			t.Errorf("the next page is told %q", told)
		}
	}
}

func TestSecretIsCopied(t *testing.T) {
	t.Parallel()
	site, _ := startSite(t)
	tab := openTab(t, site, view{})
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		call(t, tab, browser.SetPermission, browser.SetPermissionParams{Permission: &browser.PermissionDescriptor{Name: name}, Setting: browser.PermissionSettingGranted, Origin: site, BrowserContextID: chromedp.FromContext(tab).BrowserContextID})
	}
	act(t, tab, chromedp.Navigate(site+"/organization"))
	act(t, tab, chromedp.Focus(`[name="label"]`))
	press(t, tab, "Robot")
	press(t, tab, kb.Enter)
	until(t, tab, `document.querySelector("[data-copy]")?.checkVisibility()`)
	act(t, tab, chromedp.Click("[data-copy]"))
	until(t, tab, `document.querySelector("[data-copy]").textContent === "Copied"`)
	if copied := eval[string](t, tab, `navigator.clipboard.readText()`); copied != "auth_new."+goodSecret {
		t.Errorf("copied: %q", copied)
	}
}

// A person who has just signed up makes a course: title, document, and it is read.
func TestCourseIsBegunInTheBrowser(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	tab := openTab(t, site, view{as: "author"})
	act(t, tab, chromedp.Navigate(site+"/"), chromedp.Click(".new-course summary"))
	until(t, tab, `document.querySelector("[name=title]").checkVisibility()`)
	act(t, tab, chromedp.Focus(`[name="title"]`))
	press(t, tab, "New")
	press(t, tab, kb.Enter)
	until(t, tab, `location.pathname === "/courses/crs_new" && document.querySelector("[data-upload]")?.hidden === false`)
	sees(t, tab, "No documents yet.")

	file := filepath.Join(t.TempDir(), "tides & <b>moons<b>.md")
	if err := os.WriteFile(file, []byte("# Tides\n\nThe moon pulls."), 0o600); err != nil {
		t.Fatal(err)
	}
	root := call(t, tab, dom.GetDocument, dom.GetDocumentParams{})
	input := call(t, tab, dom.QuerySelector, dom.QuerySelectorParams{NodeID: root.Root.NodeID, Selector: "[data-upload] input"})
	call(t, tab, dom.SetFileInputFiles, dom.SetFileInputFilesParams{Files: []string{file}, NodeID: input.NodeID})
	until(t, tab, `document.querySelector(".sources").innerText.includes("Waiting to be read")`)
	api.change(func() {
		if string(api.uploaded) != "# Tides\n\nThe moon pulls." {
			t.Errorf("uploaded: %q", api.uploaded)
		}
		api.sources[0]["state"], api.sources[0]["title"] = "ready", "Tides and moons"
	})
	until(t, tab, `document.querySelector(".sources").innerText.includes("Tides and moons")`)
	until(t, tab, `document.querySelector('form[action="/courses/crs_new/generations"]')?.checkVisibility()`)
	if eval[int](t, tab, `document.querySelectorAll(".uploads li").length`) != 0 {
		t.Error("a document that has arrived is still shown as being sent")
	}

	api.change(func() { api.refuseSource = "The format is not one of those that Lectern reads." })
	input = call(t, tab, dom.QuerySelector, dom.QuerySelectorParams{NodeID: call(t, tab, dom.GetDocument, dom.GetDocumentParams{}).Root.NodeID, Selector: "[data-upload] input"})
	call(t, tab, dom.SetFileInputFiles, dom.SetFileInputFilesParams{Files: []string{file}, NodeID: input.NodeID})
	until(t, tab, `document.querySelector(".uploads .is-failed")?.innerText.includes("tides & <b>moons<b>.md: The format is not one")`)
}

// What is being typed into the form of a new generation is not taken away by news.
func TestNewsLeaveAFormAlone(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	j := homeJobs()[0]
	j.Subject = "les_wifi" // not of the whole course: it can be written meanwhile
	api.change(func() { api.jobs = []job.Job{j} })
	tab := openTab(t, site, view{})
	act(t, tab, chromedp.Navigate(site+"/courses/"+courseID), chromedp.Click(".write summary"))
	until(t, tab, `document.querySelector("[name=audience]").checkVisibility()`)
	act(t, tab, chromedp.Focus(`[name="audience"]`))
	press(t, tab, "!")
	eval[int](t, tab, `dispatchEvent(new Event("lectern:changed")), 0`)
	api.change(func() { api.course.Modules[0].Title = "Changed meanwhile" })
	eval[int](t, tab, `dispatchEvent(new Event("lectern:changed")), 0`)
	until(t, tab, `document.body.innerText.includes("Changed meanwhile")`)
	if typed := eval[string](t, tab, `document.querySelector('[name="audience"]').value`); !strings.HasPrefix(typed, "!") {
		t.Errorf("typed: %q", typed)
	}
}
