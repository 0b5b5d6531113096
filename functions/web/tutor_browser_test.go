package web

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	keyboard "github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"lectern.dev/lectern/internal/fault"
)

// openTutor opens the tutor beside a lesson, for a learner.
func openTutor(t *testing.T, site string, v view) context.Context {
	t.Helper()
	v.as = "learner"
	tab := openTab(t, site, v)
	act(t, tab, chromedp.Navigate(site+"/lessons/"+lessonID))
	act(t, tab, chromedp.Click(`[data-show-tutor]`))
	until(t, tab, `document.querySelector("[data-tutor] select[name=task]")`) // it has been looked at
	return tab
}

// openTalk opens a conversation that has taken place on its own page.
func openTalk(t *testing.T, site string, api *fakeAPI, session string) context.Context {
	t.Helper()
	api.change(api.chat.talked)
	tab := openTab(t, site, view{as: "learner"})
	act(t, tab, chromedp.Navigate(site+"/tutor/"+session))
	return tab
}

// askTutor types a question and sends it.
func askTutor(t *testing.T, tab context.Context, question string) {
	t.Helper()
	act(t, tab, chromedp.Focus(`#question`))
	press(t, tab, question)
	enter(t, tab, 0)
}

// enter presses Enter, with modifiers (8 is Shift), as a keyboard does: what it writes, a script can prevent.
func enter(t *testing.T, tab context.Context, modifiers int64) {
	t.Helper()
	key := keyboard.DispatchKeyEventParams{Type: keyboard.DispatchKeyEventTypeKeyDown, Modifiers: modifiers, Key: "Enter", Code: "Enter", Text: "\r", WindowsVirtualKeyCode: 13}
	call(t, tab, keyboard.DispatchKeyEvent, key)
	key.Type, key.Text = keyboard.DispatchKeyEventTypeKeyUp, ""
	call(t, tab, keyboard.DispatchKeyEvent, key)
}

const (
	lastSaid  = `document.querySelector(".turn:last-child .said")?.textContent`
	lastState = `document.querySelector(".turn:last-child")?.dataset.state`
)

func TestAnswerStreamsBesideTheFilm(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	api.chat.pace = make(chan struct{})
	tab := openTutor(t, site, view{})
	act(t, tab, chromedp.Focus(`#question`))
	press(t, tab, "What is")
	enter(t, tab, 8)
	press(t, tab, "a router?")
	enter(t, tab, 0)
	until(t, tab, `document.querySelector(".asked").textContent === "What is\na router?" && document.querySelector("#question").value === ""`)
	until(t, tab, `document.querySelector(".is-thinking .thinking").checkVisibility() && document.querySelector("[data-stop]").checkVisibility()`)
	for i, shown := range []string{"A router is three devices", "in one box 1", "It joins your cables,", "and it is a radio 2."} {
		api.chat.pace <- struct{}{}
		until(t, tab, fmt.Sprintf(`%s?.includes(%q)`, lastSaid, shown))
		if i == 0 && !eval[bool](t, tab, `document.querySelector(".turn:last-child .said strong").textContent === "three devices" && document.activeElement.id === "question"`) {
			t.Error("the text is not set, or the focus is gone")
		}
	}
	if told := eval[string](t, tab, `document.querySelector("[data-spoken]").innerText`); strings.Contains(told, "three devices") != strings.Contains(told, "radio") {
		t.Errorf("half a paragraph is read aloud: %q", told)
	}
	close(api.chat.pace)
	until(t, tab, lastState+` === "complete" && document.querySelectorAll(".turn:last-child .said li").length === 3`)
	until(t, tab, `document.querySelector("[data-spoken]").textContent.includes("whole answer") && !document.querySelector("[data-stop]").checkVisibility()`)
	told := eval[string](t, tab, `document.querySelector("[data-spoken]").textContent`)
	if strings.Count(told, "three devices in one box") != 1 {
		t.Errorf("read aloud: %q", told)
	}
	sees(t, tab, "gpt-4o-mini")

	// The number opens the words that it rests on, where the page stands, and gives the focus back.
	act(t, tab, chromedp.Focus(`.said a.cite`))
	press(t, tab, kb.Enter)
	until(t, tab, `document.querySelector(".quote-card")?.matches(":popover-open") && document.activeElement.matches(".quote-card")`)
	if card := eval[string](t, tab, `document.querySelector(".quote-card").innerText`); !strings.Contains(card, "The home network handbook, page 12") || !strings.Contains(card, "combines a modem") {
		t.Errorf("the card says %q", card)
	}
	press(t, tab, kb.Escape)
	until(t, tab, `!document.querySelector(".quote-card") && document.activeElement.matches(".cite")`)
	act(t, tab, chromedp.Click(`[data-cited="2"] summary`))
	if to := eval[string](t, tab, `document.querySelector('[data-cited="2"] a').getAttribute("href")`); to != "/lessons/"+lessonID {
		t.Errorf("the lesson's link leads to %s", to)
	}

	api.change(func() {
		if len(api.chat.sessions) != 1 || api.chat.sessions[0].Lesson != lessonID || api.chat.prompts[0].Parent != "root" || api.chat.prompts[0].Task != "tutor" {
			t.Errorf("sessions %+v, prompts %+v", api.chat.sessions, api.chat.prompts)
		}
		api.chat.pace = nil
	})
	askTutor(t, tab, "And now?")
	until(t, tab, `document.querySelectorAll(".turn").length === 4 && `+lastState+` === "complete"`)
	api.change(func() {
		if parent := api.chat.prompts[1].Parent; parent != "msg_a1" {
			t.Errorf("the second question follows %s", parent)
		}
	})
	act(t, tab, chromedp.Reload())
	act(t, tab, chromedp.Click(`[data-show-tutor]`))
	until(t, tab, `document.querySelectorAll(".turn").length === 4`) // it goes on where one was
	act(t, tab, chromedp.Click(`[data-new]`))
	until(t, tab, `document.querySelectorAll(".turn").length === 0 && document.querySelector("[data-starters]").checkVisibility()`)
}

// Lines that break before anything has come and in the middle, and a function that is
// not there for a while.
func TestAnswerIsResumedWithoutAGap(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	words := make([]string, 8)
	for i := range words {
		words[i] = fmt.Sprintf("word%d [7] ", i) // a number that points to nothing stays as it is
	}
	api.chat.words, api.chat.ending = words, message{State: "complete"}
	api.chat.pace, api.chat.mute, api.chat.rejects = make(chan struct{}), 1, 2
	tab := openTutor(t, site, view{})
	eval[int](t, tab, `self.notes = [], new MutationObserver(() => notes.push(document.querySelector("[data-note]").textContent)).observe(document.querySelector("[data-note]"), {childList: true}), 0`)
	askTutor(t, tab, "Go on and on")
	for _, word := range words[:4] {
		api.chat.pace <- struct{}{}
		until(t, tab, fmt.Sprintf(`%s?.includes(%q) && document.querySelector("[data-note]").hidden`, lastSaid, strings.TrimSpace(word)))
		api.change(func() { api.chat.breaks++; api.chat.grown.Broadcast() })
	}
	close(api.chat.pace)
	until(t, tab, lastState+` === "complete"`)
	want := strings.TrimSpace(strings.Join(words, ""))
	if said := eval[string](t, tab, lastSaid); strings.TrimSpace(said) != want {
		t.Errorf("said: %q", said)
	}
	if !eval[bool](t, tab, `notes.some((note) => note.includes("being made again"))`) {
		t.Error("nothing was said of the broken line")
	}
	if told := eval[string](t, tab, `document.querySelector("[data-spoken]").textContent`); strings.Count(told, "word0 ") != 1 || strings.Count(told, "word7") != 1 {
		t.Errorf("told: %q", told)
	}
	api.change(func() {
		if len(api.chat.prompts) != 2 || api.chat.prompts[0].ID != api.chat.prompts[1].ID {
			t.Errorf("sent: %+v", api.chat.prompts) // again, since nothing of the answer had come
		}
		if seen := strings.Join(api.chat.seen, " "); !strings.HasPrefix(seen, "msg_a1.1 msg_a1.1 msg_a1.1 msg_a1.2 ") {
			t.Errorf("came again with %s", seen)
		}
	})
}

// A line on which nothing comes any more, not even a heartbeat, is left for another.
func TestDeadLineIsLeft(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	api.chat.pace = make(chan struct{})
	tab := openTutor(t, site, view{})
	eval[int](t, tab, `((real) => { self.setTimeout = (then, ms) => real(then, ms === 40000 ? 200 : ms) })(setTimeout.bind(self)), 0`)
	askTutor(t, tab, "Is anybody there?")
	for came := 0; came < 2; {
		api.change(func() { came = len(api.chat.seen) })
		until(t, tab, "true")
	}
	close(api.chat.pace)
	until(t, tab, lastState+` === "complete"`)
}

// The page was read before the answer's end, the line opened after it: the page is read
// again, now and then.
func TestEndBetweenPageAndLine(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	api.change(func() {
		api.chat.sessions = []session{{ID: "ses_1", Course: courseID, Title: "Owls"}}
		api.chat.messages["ses_1"] = []*message{{ID: "q", Role: "user", Content: "Owls?"}, {ID: "a", Parent: "q", Role: "assistant", State: "streaming"}}
	})
	tab := openTab(t, site, view{as: "learner"})
	act(t, tab, chromedp.Navigate(site+"/tutor/ses_1"))
	for came := 0; came < 2; {
		api.change(func() { came = len(api.chat.seen) })
		until(t, tab, "true")
	}
	api.change(func() {
		if came := len(api.chat.seen); came > 3 {
			t.Errorf("asked %d times without a pause", came)
		}
		api.chat.messages["ses_1"][1] = &message{ID: "a", Parent: "q", Role: "assistant", State: "complete", Content: "They hoot."}
	})
	until(t, tab, lastState+` === "complete"`)
}

// A conversation that begins on a page of its own gets its name there, and stands in the list.
func TestBegunConversationIsNamed(t *testing.T) {
	t.Parallel()
	site, _ := startSite(t)
	tab := openTab(t, site, view{as: "learner"})
	act(t, tab, chromedp.Navigate(site+"/courses/"+courseID+"/tutor"))
	askTutor(t, tab, "What is a router?")
	until(t, tab, `location.pathname === "/tutor/ses_1" && document.querySelector("h1").textContent === "What is a router?"`)
	until(t, tab, `document.querySelector(".talks [aria-current]")?.textContent === "What is a router?" && document.title.startsWith("What is a router?")`)
	if focus := eval[string](t, tab, `document.activeElement.id`); focus != "question" {
		t.Errorf("the focus has gone to %q", focus)
	}
}

// The end of a growing answer stays in view, its question too; who goes up is left there.
func TestReaderStaysWhereTheyAre(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	paragraph := strings.Repeat("Owls hoot at night. ", 12) + "\n\n"
	api.chat.words, api.chat.ending = []string{paragraph, paragraph, paragraph, paragraph, "The end."}, message{State: "complete"}
	api.chat.pace = make(chan struct{})
	tab := openTutor(t, site, view{})
	const place = `document.querySelector("[data-box]").scrollTop`
	for round, goesUp := range []bool{false, false, true} {
		askTutor(t, tab, "Owls?")
		for n := 1; n <= 4; n++ {
			api.chat.pace <- struct{}{}
			until(t, tab, fmt.Sprintf(`document.querySelectorAll(".turn:last-child .said > p").length === %d`, n))
			if goesUp && n == 2 {
				eval[int](t, tab, place+` = 0, 0`)
			}
		}
		api.chat.pace <- struct{}{}
		until(t, tab, lastState+` === "complete" && !document.querySelector(".is-busy")`)
		if !goesUp {
			until(t, tab, fmt.Sprintf("(%s > 0) === %v", place, round > 0)) // above the first question there is nothing
			if above := eval[float64](t, tab, `[...document.querySelectorAll(".asked")].at(-1).getBoundingClientRect().top - document.querySelector("[data-box]").getBoundingClientRect().top`); above < 0 {
				t.Errorf("the question is %v pixels above what is seen", -above)
			}
		} else if now := eval[float64](t, tab, place); now != 0 {
			t.Errorf("who had gone up was taken to %v", now)
		}
	}
}

// What is typed and not sent is there again when one comes back; blanks are nothing.
func TestDraftIsKept(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	tab := openTalk(t, site, api, "ses_three")
	act(t, tab, chromedp.Focus(`#question`))
	press(t, tab, "Half a que")
	act(t, tab, chromedp.Reload())
	until(t, tab, `document.querySelector("#question")?.value === "Half a que"`)
	askTutor(t, tab, "stion?")
	until(t, tab, `document.querySelectorAll(".asked").length === 2 && `+lastState+` === "complete"`)
	act(t, tab, chromedp.Focus(`#question`))
	enter(t, tab, 8)
	act(t, tab, chromedp.Reload())
	until(t, tab, `document.readyState === "complete" && document.querySelectorAll(".asked").length === 2`)
	if kept := eval[string](t, tab, `document.querySelector("#question").value`); kept != "" {
		t.Errorf("kept: %q", kept)
	}
}

// What keys, assistive technology and a line without an answer do while an answer is made.
func TestWhileAnAnswerIsMade(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	tab := openTalk(t, site, api, "ses_three")
	api.change(func() { api.chat.pace = make(chan struct{}) })
	act(t, tab, chromedp.Focus(`#question`))
	press(t, tab, "Really?")
	eval[bool](t, tab, `document.querySelector("#question").dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", isComposing: true, bubbles: true}))`) // it chooses a word
	if sent := eval[int](t, tab, `document.querySelectorAll(".asked").length`); sent != 1 {
		t.Error("a question was sent while it was composed")
	}
	enter(t, tab, 0)
	api.chat.pace <- struct{}{}
	until(t, tab, lastSaid+`?.includes("three devices") && document.querySelector("[data-thread]").ariaBusy === "true"`)

	act(t, tab, chromedp.Click(`.is-user .versions a`)) // another version would take the answer's place
	until(t, tab, `document.querySelector("[data-note]").innerText.includes("Wait for its end")`)
	act(t, tab, chromedp.Focus(`.turn .said a.cite`))
	press(t, tab, kb.Enter)
	until(t, tab, `document.querySelector(".quote-card")`)
	press(t, tab, kb.Escape) // closes that
	until(t, tab, `!document.querySelector(".quote-card")`)
	eval[int](t, tab, `self.fetched = fetch, self.fetch = () => Promise.reject(new TypeError()), 0`)
	press(t, tab, kb.Escape)
	until(t, tab, `document.querySelector("[data-note]").innerText.includes("could not be stopped") && !document.querySelector("[data-stop]").disabled`)
	eval[int](t, tab, `self.fetch = fetched, 0`)
	api.change(func() {
		if len(api.chat.stop) > 0 {
			t.Error("it was stopped by the key that closes a quote")
		}
	})
	close(api.chat.pace)
	until(t, tab, lastState+` === "complete" && document.querySelector("[data-thread]").ariaBusy === "false"`)

	call(t, tab, browser.SetPermission, browser.SetPermissionParams{Permission: &browser.PermissionDescriptor{Name: "clipboard-write"}, Setting: browser.PermissionSettingGranted, Origin: site, BrowserContextID: chromedp.FromContext(tab).BrowserContextID})
	act(t, tab, chromedp.Click(`.turn:last-child [data-copy-answer]`))
	until(t, tab, `document.querySelector(".turn:last-child [data-copy-answer]").textContent === "Copied" && document.querySelector("[data-announce]").textContent === "Copied."`)
}

func TestAnswerIsStopped(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"key", "button"} {
		site, api := startSite(t)
		api.chat.pace = make(chan struct{})
		tab := openTutor(t, site, view{})
		askTutor(t, tab, "A long story")
		api.chat.pace <- struct{}{}
		until(t, tab, lastSaid+`?.includes("three devices")`)
		if by == "key" {
			press(t, tab, kb.Escape)
		} else {
			act(t, tab, chromedp.Click(`[data-stop]`))
		}
		for stopped := false; !stopped; {
			api.change(func() { stopped = api.chat.stop["msg_a1"] })
			until(t, tab, "true")
		}
		close(api.chat.pace)
		until(t, tab, lastState+` === "stopped"`)
		sees(t, tab, "A router is three devices", "You stopped this answer.", "Go on")
		api.change(func() { api.chat.pace = nil })
		act(t, tab, chromedp.Click(`.cut button`)) // and it is gone on with
		until(t, tab, `document.querySelectorAll(".turn").length === 3 && `+lastState+` === "complete"`)
		api.change(func() {
			if last := api.chat.prompts[len(api.chat.prompts)-1]; last.Parent != "msg_a1" || last.Content != "" || last.ID != "" {
				t.Errorf("asked: %+v", last)
			}
		})
	}
}

// Another answer, an edited question, and the way back to what was said before.
func TestBranchesCanBeMadeAndSeen(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	tab := openTalk(t, site, api, "ses_three")
	until(t, tab, `document.querySelector(".is-assistant .versions")?.textContent.includes("2 of 2")`)
	sees(t, tab, "This answer was interrupted. The model stopped sending.", "llama-3.1")

	act(t, tab, chromedp.Click(`.is-assistant .versions a`))
	until(t, tab, lastState+` === "complete" && location.search === "?at=a2" && document.activeElement.closest(".versions")`)
	sees(t, tab, "gpt-4o-mini")
	act(t, tab, chromedp.Click(`.is-user .versions a`))
	until(t, tab, lastSaid+` === "An early answer.\n"`)

	act(t, tab, chromedp.Click(`[name="again"] ~ button`)) // “Try again”
	until(t, tab, lastState+` === "complete" && document.querySelector(".is-assistant .versions")?.textContent.includes("2")`)
	act(t, tab, chromedp.Click(`.edit summary`))
	until(t, tab, `document.querySelector(".edit textarea").checkVisibility()`)
	act(t, tab, chromedp.Focus(`.edit textarea`))
	press(t, tab, " Really?")
	enter(t, tab, 0)
	until(t, tab, `document.querySelector(".asked").textContent.includes("Really?") && `+lastState+` === "complete"`)
	until(t, tab, `document.querySelector(".is-user .versions")?.textContent.includes("3 of 3")`)
	api.change(func() {
		again, edited := api.chat.prompts[0], api.chat.prompts[1]
		if again.Parent != "q1" || again.Content != "" {
			t.Errorf("another answer: %+v", again)
		}
		if edited.Parent != "root" || !strings.Contains(edited.Content, "Really?") || edited.ID == "" {
			t.Errorf("edited: %+v", edited)
		}
	})
}

func TestQuizIsAnsweredByLetters(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	tab := openTalk(t, site, api, "ses_quiz")
	until(t, tab, `document.querySelectorAll(".choices button").length === 2 && document.querySelector("select[name=task]").value === "quiz-me"`)
	sees(t, tab, "Right", "Yes: the switch joins them.")
	act(t, tab, chromedp.Click(`.choices button:last-child`))
	until(t, tab, lastState+` === "complete" && document.querySelectorAll(".turn").length === 6`)
	api.change(func() {
		if p := api.chat.prompts[0]; p.Content != "B" || p.Task != "quiz-me" || p.Parent != "a2" {
			t.Errorf("answered: %+v", p)
		}
	})
}

func TestRefusedQuestionsAreKept(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	tab := openTutor(t, site, view{})
	for _, c := range []struct {
		failure error
		says    string
	}{
		{fault.New(fault.PaymentRequired, "The month's budget of Hillside is used up."), "See the budget"},
		{&fault.Error{Kind: fault.Exhausted, Message: "You ask too fast.", RetryAfter: 30 * time.Second}, "You ask too fast. You can try again in 30 s."},
		{fault.New(fault.Invalid, "The content has 40000 characters."), "40000 characters"},
	} {
		api.change(func() { api.chat.refuse = c.failure })
		eval[int](t, tab, `document.querySelector("#question").value = "", 0`)
		askTutor(t, tab, "Is it so?")
		until(t, tab, fmt.Sprintf(`document.querySelector("[data-problem][role=alert]")?.innerText.includes(%q)`, c.says))
		if kept := eval[string](t, tab, `document.querySelector("#question").value + document.querySelectorAll(".turn").length`); kept != "Is it so?0" {
			t.Errorf("%v: kept %q", c.failure, kept)
		}
	}
	act(t, tab, chromedp.Click(`[data-ask]`)) // now it is taken, in the session that was begun
	until(t, tab, lastState+` === "complete" && !document.querySelector("[data-problem]")`)
	api.change(func() {
		if len(api.chat.sessions) != 1 {
			t.Errorf("%d sessions", len(api.chat.sessions))
		}
		delete(api.auth.people, "learner")
	})
	askTutor(t, tab, "And so?")
	until(t, tab, `document.querySelector("[data-ended]").checkVisibility() && document.querySelector("#question").value === "And so?"`)
}

// What was asked in one window is seen in the other, also when both ask at once.
func TestTwoWindows(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	api.change(func() { api.chat.talked(); api.chat.pace = make(chan struct{}) })
	one, other := openTab(t, site, view{as: "learner"}), openTab(t, site, view{as: "learner"})
	for _, tab := range []context.Context{one, other} {
		act(t, tab, chromedp.Navigate(site+"/tutor/ses_three"))
		until(t, tab, `document.querySelectorAll(".turn").length === 2`)
	}
	askTutor(t, one, "First")
	api.chat.pace <- struct{}{}
	until(t, one, lastSaid+`?.includes("three devices")`)
	askTutor(t, other, "Second")
	until(t, other, `document.querySelector("[data-note]").innerText.includes("another window") && `+lastSaid+`?.includes("three devices")`)
	if kept := eval[string](t, other, `document.querySelector("#question").value`); kept != "Second" {
		t.Errorf("kept: %q", kept)
	}
	third := openTab(t, site, view{as: "learner"})
	act(t, third, chromedp.Navigate(site+"/tutor/ses_three"))
	until(t, third, lastSaid+`?.includes("three devices")`)
	close(api.chat.pace)
	for _, tab := range []context.Context{one, other, third} {
		until(t, tab, lastState+` === "complete"`)
	}
	act(t, other, chromedp.Click(`[data-ask]`))
	until(t, other, `document.querySelectorAll(".asked").length === 3 && `+lastState+` === "complete"`)
}

func TestTutorNeedsNoScript(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	tab := openTab(t, site, view{as: "learner", noScript: true, width: 390})
	act(t, tab, chromedp.Navigate(site+"/lessons/"+lessonID))
	act(t, tab, chromedp.Click(`.tabs [value="tutor"]`))
	until(t, tab, `document.querySelector("#question").checkVisibility()`)
	act(t, tab, chromedp.Focus(`#question`))
	press(t, tab, "What is a router?")
	act(t, tab, chromedp.Click(`[data-ask]`))
	until(t, tab, `location.pathname === "/tutor/ses_1" && document.readyState === "complete"`)
	sees(t, tab, "What is a router?", "A router is three devices in one box", "The home network handbook, page 12", "gpt-4o-mini")
	act(t, tab, chromedp.Click(`[data-cited="1"] summary`))
	sees(t, tab, "combines a modem or an uplink port")

	api.change(func() { api.chat.ending = message{State: "interrupted", Problem: "The model went away."} })
	act(t, tab, chromedp.Click(`[name="again"] ~ button`))
	until(t, tab, `document.readyState === "complete" && document.querySelector(".cut") && document.querySelector(".versions")`)
	sees(t, tab, "This answer was interrupted. The model went away.", "Go on")
	act(t, tab, chromedp.Click(`.is-assistant .versions a`))
	until(t, tab, `location.search.startsWith("?at=") && document.readyState === "complete" && !document.querySelector(".cut")`)

	api.change(func() { api.chat.refuse = fault.New(fault.PaymentRequired, "The month's budget is used up.") })
	act(t, tab, chromedp.Focus(`#question`))
	press(t, tab, "And then?")
	act(t, tab, chromedp.Click(`[data-ask]`))
	until(t, tab, `document.readyState === "complete" && document.querySelector("[data-problem]")`)
	if kept := eval[string](t, tab, `document.querySelector("#question").value`); kept != "And then?" {
		t.Errorf("kept: %q", kept)
	}
	sees(t, tab, "budget is used up")
}
