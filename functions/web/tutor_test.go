package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"lectern.dev/lectern/internal/fault"
)

// Where there is no tutor, nothing of it is shown, and its addresses are not served.
func TestWithoutATutorNothingIsSaidOfIt(t *testing.T) {
	t.Parallel()
	deps := newFakeAPI("").serve(t)
	deps.Chat = nil
	site := httptest.NewServer(New(deps))
	t.Cleanup(site.Close)
	for _, path := range []string{"/", "/courses/" + courseID, "/lessons/" + lessonID, "/lessons/les_names", "/account"} {
		answer, page := fetch(t, "GET", site.URL+path, nil)
		if answer.StatusCode != http.StatusOK || strings.Contains(strings.ToLower(page), "tutor") {
			t.Errorf("%s: %d, and it speaks of a tutor", path, answer.StatusCode)
		}
	}
	for _, path := range []string{"/tutor", "/tutor/ses_1", "/courses/" + courseID + "/tutor", "/v1/chat/sessions"} {
		if answer, _ := fetch(t, "GET", site.URL+path, nil); answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, answer.StatusCode)
		}
	}
	if _, body := fetch(t, "POST", site.URL+"/v1/chat/sessions", nil); !strings.Contains(body, "not served here") {
		t.Errorf("chat: %s", body)
	}
}

// A page that has the tutor beside it does not wait for it.
func TestLessonAsksTheTutorNothing(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	for _, path := range []string{"/courses/" + courseID, "/lessons/" + lessonID} {
		_, page := fetch(t, "GET", site+path, nil, "Cookie", "lectern=learner")
		wants(t, page, "Ask the tutor", `action="/courses/crs_home/tutor"`, "/static/tutor.")
	}
	for _, asked := range api.asked() {
		if strings.HasPrefix(asked, "/v1/chat") {
			t.Errorf("asked: %s", asked)
		}
	}
	api.change(func() { api.course.Modules = nil })
	if _, page := fetch(t, "GET", site+"/courses/"+courseID, nil); strings.Contains(page, "Ask the tutor") {
		t.Error("a course in which nothing is written has a tutor")
	}
}

func TestConversationIsShown(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	api.change(api.chat.talked)
	_, page := fetch(t, "GET", site+"/tutor/ses_three", nil, "Cookie", "lectern=learner")
	wants(t, page, "What are the three devices in one box?", "Home networks that just work", "What a router really does", `aria-current="page"`,
		`<a class="cite" aria-label="Source 1" href="#m-a3-1" rel="nofollow">1</a>`, `<li id="m-a3-1"`, "The home network handbook, page 12", `href="/lessons/les_router"`,
		"This answer was interrupted.", "The model stopped sending.", "Version 2 of 2", `href="/tutor/ses_three?at=a2#newest"`, "llama-3.1", "Only ask me questions",
		"Why is the light called Internet off?", "Which part joins the cables?", "Rename this one")
	_, page = fetch(t, "GET", site+"/tutor/ses_three?at=q1", nil, "Cookie", "lectern=learner")
	wants(t, page, "An early answer.", "What is a router?", "Version 1 of 2")
	_, part := fetch(t, "GET", site+"/tutor/ses_three/thread?at=a2", nil, "Cookie", "lectern=learner")
	wants(t, part, "Version 1 of 2", "three devices")
	if strings.Contains(part, "<header") {
		t.Error("the part of the page is a whole one")
	}
	_, page = fetch(t, "GET", site+"/tutor", nil, "Cookie", "lectern=learner")
	wants(t, page, "Quiz me on this course", "Of a course that is gone", "2 days ago", "You missed:", "Forget all of it", "Home networks that just work")
	_, page = fetch(t, "GET", site+"/courses/crs_home/tutor?lesson=les_router", nil, "Cookie", "lectern=learner")
	wants(t, page, "Ask the tutor", "Quiz me on this lesson", "Conversations on this course")

	for path, status := range map[string]int{"/tutor/ses_old": 200, "/tutor/ses_other": 404, "/courses/none/tutor": 404} {
		if answer, _ := fetch(t, "GET", site+path, nil, "Cookie", "lectern=learner"); answer.StatusCode != status {
			t.Errorf("%s: %d", path, answer.StatusCode)
		}
	}
	if answer, _ := fetch(t, "GET", site+"/tutor/ses_three", nil, "Cookie", ""); answer.Header.Get("Location") != "/sign-in?next=%2Ftutor%2Fses_three" {
		t.Errorf("who is not signed in: %d to %s", answer.StatusCode, answer.Header.Get("Location"))
	}
	api.change(func() { api.chat.sessions, api.chat.memories = nil, nil })
	_, page = fetch(t, "GET", site+"/tutor", nil, "Cookie", "lectern=learner")
	wants(t, page, "No conversations yet", "Nothing. What you ask about")
}

func TestTutorsFormsReachTheAPI(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	api.change(api.chat.talked)
	learner := "lectern=learner"
	for _, c := range []struct {
		path string
		form url.Values
		next string
	}{
		{"/courses/crs_home/tutor", url.Values{"id": {"K1"}, "question": {" Why? "}, "task": {"socratic"}, "lesson": {lessonID}}, "/tutor/ses_4#newest"},
		{"/courses/crs_home/tutor", url.Values{"id": {"K2"}, "question": {""}, "task": {"tutor"}, "starter": {"quiz-me:Quiz me: now"}}, "/tutor/ses_5#newest"},
		{"/tutor/ses_4", url.Values{"id": {"K3"}, "question": {"And?"}, "parent": {"msg_a1"}, "task": {"tutor"}}, "/tutor/ses_4#newest"},
		{"/tutor/ses_4", url.Values{"again": {"anew"}, "parent": {"K3"}}, "/tutor/ses_4#newest"},
		{"/tutor/ses_4/stop", nil, "/tutor/ses_4#newest"},
		{"/tutor/ses_gone/stop", nil, "/tutor/ses_gone#newest"}, // there is nothing to stop
		{"/tutor/ses_4/title", url.Values{"title": {" Lamps "}}, "/tutor/ses_4?done=renamed"},
		{"/tutor/ses_5/delete", nil, "/tutor?done=deleted"},
		{"/tutor/ses_5/delete", nil, "/tutor?done=deleted"}, // it is gone already
		{"/tutor/memories/mem_1/forget", url.Values{"course": {courseID}}, "/courses/crs_home/tutor?done=forgotten"},
		{"/tutor/memories/forget", nil, "/tutor?done=all-forgotten"},
	} {
		answer, body := submit(t, site+c.path, learner, c.form)
		if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != c.next {
			t.Errorf("%s: %d to %q: %s", c.path, answer.StatusCode, answer.Header.Get("Location"), body)
		}
	}
	api.change(func() {
		want := []prompt{
			{ID: "K1", Content: "Why?", Parent: "root", Task: "socratic"},
			{ID: "K2", Content: "Quiz me: now", Parent: "root", Task: "quiz-me"},
			{ID: "K3", Content: "And?", Parent: "msg_a1", Task: "tutor"},
			{Parent: "K3"},
		}
		if fmt.Sprint(api.chat.prompts) != fmt.Sprint(want) {
			t.Errorf("asked: %+v", api.chat.prompts)
		}
		if s := api.chat.sessions[0]; s.ID != "ses_4" || s.Title != "Lamps" || s.Task != "socratic" || s.Lesson != lessonID || len(api.chat.memories) != 0 {
			t.Errorf("%+v, %+v", s, api.chat.memories)
		}
	})
	_, page := fetch(t, "GET", site+"/tutor/ses_4?done=renamed", nil, "Cookie", learner)
	wants(t, page, "The conversation has its new name.", "<h1 dir=\"auto\">Lamps</h1>")
	if answer, _ := fetch(t, "POST", site+"/tutor/ses_4/delete", nil, "Cookie", learner, "Sec-Fetch-Site", "cross-site"); answer.StatusCode != http.StatusForbidden {
		t.Errorf("a form of another site: %d", answer.StatusCode)
	}
	if answer, _ := submit(t, site+"/tutor/ses_4", "", url.Values{"question": {"x"}}); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("who is not signed in: %d", answer.StatusCode)
	}
}

func TestRefusedQuestionIsShownAgain(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	api.change(api.chat.talked)
	for _, c := range []struct {
		failure error
		status  int
		says    string
	}{
		{fault.New(fault.PaymentRequired, "The budget is used up."), 402, "The budget is used up."},
		{&fault.Error{Kind: fault.Exhausted, Message: "Too fast.", RetryAfter: 40 * time.Second}, 429, "You can try again in 40 seconds."},
		{&fault.Error{Kind: fault.Conflict, Message: "Another answer is being made.", Fields: []fault.Field{{Location: "session.answering", Message: "msg_1"}}}, 409, "Another answer is being made."},
		{fault.New(fault.Unavailable, "Not now."), 503, "Not now."},
	} {
		for _, path := range []string{"/courses/crs_home/tutor", "/tutor/ses_three"} {
			api.change(func() { api.chat.refuse = c.failure })
			answer, page := submit(t, site+path, "lectern=learner", url.Values{"question": {"Why <b>so</b>?"}, "parent": {"a2"}, "task": {"tutor"}})
			if answer.StatusCode != c.status {
				t.Errorf("%s: %d", path, answer.StatusCode)
			}
			wants(t, page, c.says, "Why &lt;b&gt;so&lt;/b&gt;?</textarea>", `<form class="composer" method="post" action="/tutor/ses_`) // of the session that was begun
		}
	}
	answer, page := submit(t, site+"/tutor/ses_three", "lectern=learner", url.Values{"question": {" "}})
	if answer.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("nothing was asked: %d", answer.StatusCode)
	}
	wants(t, page, "Write a question first.")
}

func TestThreadFollowsOneBranch(t *testing.T) {
	t.Parallel()
	m := func(id, parent, role string) message {
		return message{ID: id, Parent: parent, Role: role, State: "complete"}
	}
	all := []message{
		m("q1", "", "user"), m("a1", "q1", "assistant"), m("q2", "a1", "user"), m("a2", "q2", "assistant"), m("a2b", "q2", "assistant"),
		m("q1b", "", "user"), m("a1b", "q1b", "assistant"), m("rest", "a1b", "assistant"), m("q2b", "a1", "user"),
	}
	for at, want := range map[string]string{
		"": "q1 1/2, a1 1/1, q2b 2/2", "a2": "q1 1/2, a1 1/1, q2 1/2, a2 1/2", "q2": "q1 1/2, a1 1/1, q2 1/2, a2b 2/2",
		"q1b": "q1b 2/2, a1b 1/1, rest 1/1", "q1": "q1 1/2, a1 1/1, q2b 2/2", "nowhere": "q1 1/2, a1 1/1, q2b 2/2",
	} {
		turns, err := thread("ses_1", all, at)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, turn := range turns {
			got = append(got, fmt.Sprintf("%s %d/%d", turn.ID, turn.Place, turn.Of))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("at %q: %s", at, strings.Join(got, ", "))
		}
	}
	turns, _ := thread("ses_1", all, "rest")
	if !turns[2].Continues || turns[1].Continues {
		t.Error("what goes on with an answer is not known as such")
	}
	for _, broken := range [][]message{nil, {m("a", "a", "user")}, {m("a", "b", "user"), m("b", "a", "user")}, {m("b", "gone", "user")}} {
		if turns, err := thread("ses_1", broken, ""); err != nil || len(turns) > 2 {
			t.Errorf("%v: %v %v", broken, turns, err)
		}
	}
}

// Beside a lesson stands what was said there, beside a course what was said of all of it.
func TestPanelShowsItsOwnConversation(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	api.change(func() {
		api.chat.talked()
		api.chat.sessions[0].Task = "socratic"
		for i := range 250 {
			api.chat.messages["ses_three"] = append(api.chat.messages["ses_three"], &message{ID: fmt.Sprintf("more%d", i), Parent: "a2", Role: "user", Content: fmt.Sprintf("Question %d?", i)})
		}
	})
	for query, shown := range map[string]string{"lesson=" + lessonID: "ses_three", "": "ses_quiz", "lesson=les_names": "", "new=1": ""} {
		_, page := fetch(t, "GET", site+"/courses/crs_home/tutor/panel?"+query, nil, "Cookie", "lectern=learner")
		if own := strings.Contains(page, `data-session="`+shown+`"`); own != (shown != "") || shown == "" && strings.Contains(page, "data-session") {
			t.Errorf("%q shows another conversation than %q", query, shown)
		}
	}
	_, page := fetch(t, "GET", site+"/tutor/ses_three", nil, "Cookie", "lectern=learner")
	wants(t, page, `<option value="socratic" selected>`, "Question 249?") // the newest of three pages
	if strings.Contains(page, "The home network handbook &gt;") {
		t.Error("a source is named twice")
	}
}

// A question and an answer that follow the same message are not versions of each other.
func TestVersionsAreOfOneKind(t *testing.T) {
	t.Parallel()
	turns, err := thread("ses_1", []message{
		{ID: "q", Role: "user"}, {ID: "a", Parent: "q", Role: "assistant"}, {ID: "rest", Parent: "a", Role: "assistant"}, {ID: "a thing", Parent: "a", Role: "user"},
	}, "")
	if err != nil || len(turns) != 3 {
		t.Fatalf("%v %v", turns, err)
	}
	if last := turns[2]; last.Of != 1 || last.Earlier != "" || last.Anchor != "n-3" {
		t.Errorf("%d versions, the one before %q, at %q", last.Of, last.Earlier, last.Anchor)
	}
}

func TestWhatIsCutCanGoOn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		message
		last, want bool
	}{
		{message{State: "stopped", Content: "Owls"}, true, true},
		{message{State: "interrupted", Content: "Owls"}, true, true},
		{message{State: "complete", Finish: "length", Content: "Owls"}, true, true},
		{message{State: "complete", Finish: "length", Content: "Owls"}, false, false},
		{message{State: "complete", Finish: "stop", Content: "Owls."}, true, false},
		{message{State: "failed"}, true, false},
		{message{State: "stopped"}, true, false}, // there is nothing to go on with
		{message{State: "streaming", Content: "Ow"}, true, false},
	} {
		c.Role = "assistant"
		one := turn{message: c.message, Last: c.last}
		if one.GoesOn() != c.want || c.want && one.Ended() == "" {
			t.Errorf("%+v: goes on %v, ended %q", c, one.GoesOn(), one.Ended())
		}
	}
}

func TestAnswerHTML(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ markdown, html string }{
		"citations":           {"So it is [1][2], they say [3].", `<p>So it is <sup><a class="cite" aria-label="Source 1" href="#m-a-1" rel="nofollow">1</a></sup><sup><a class="cite" aria-label="Source 2" href="#m-a-2" rel="nofollow">2</a></sup>, they say [3].</p>`},
		"headings":            {"# One", "<h4>One</h4>"},
		"a foreign link":      {"[free](https://evil.example/?q=secret)", `<p><a href="https://evil.example/?q=secret" rel="nofollow noreferrer noopener" target="_blank">free</a> (evil.example)</p>`},
		"a link's other name": {"[https://good.example](https://evil.example)", `<p><a href="https://evil.example" rel="nofollow noreferrer noopener" target="_blank">https://good.example</a> (evil.example)</p>`},
		"a link of ours":      {"[x](/sign-out) [y](//evil.example) [z](javascript:alert(1)) [w](mailto:a@b.example)", "<p>x y z w</p>"},
		"an image":            {"![a](https://evil.example/x.png) ![b][r]\n\n[r]: https://evil.example/y.png", "<p>a b</p>"},
	} {
		got, err := answerHTML(c.markdown, map[int]string{1: "m-a-1", 2: "m-a-2"})
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(string(got)) != c.html {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.html)
		}
	}
}
