package web

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
)

// What people have tried to smuggle into pages. RUN is a script that leaves a mark,
// FAR an address elsewhere.
var smuggled = []string{
	`<script>RUN</script>`, `<ScRiPt>RUN</sCrIpT>`, `<script src=FAR></script>`, `<script
>RUN</script>`, `<img src=x onerror=RUN>`, `<img src=FAR>`, `<svg onload=RUN>`, `<svg><script>RUN</script></svg>`,
	`<svg><animate onbegin=RUN attributeName=x dur=1s>`, `<svg><use href="FAR#x"/></svg>`, `<svg><a xlink:href="javascript:RUN"><text y=9>x</text></a></svg>`,
	`<iframe src="javascript:RUN"></iframe>`, `<iframe srcdoc="<script>parent.RUN</script>"></iframe>`, `<iframe src=FAR></iframe>`, `<object data=FAR></object>`, `<embed src=FAR>`,
	`<body onload=RUN>`, `<details open ontoggle=RUN>`, `<video src=FAR onerror=RUN></video>`, `<audio src=FAR>`, `<input autofocus onfocus=RUN>`, `<select autofocus onfocus=RUN>`,
	`<marquee onstart=RUN>`, `<math><mtext><table><mglyph><style><img src=x onerror=RUN>`, `<noscript><p title="</noscript><img src=x onerror=RUN>">`,
	`<style>@import "FAR";*{background:url(FAR)}</style>`, `<link rel=stylesheet href=FAR>`, `<link rel=preload as=image href=FAR>`, `<meta http-equiv=refresh content="0;url=FAR">`, `<base href=FAR>`,
	`<form action=FAR><button autofocus>x</button></form>`, `<template><img src=x onerror=RUN></template>`, `<!--<img src="--><img src=x onerror=RUN>">`, `<![CDATA[<img src=x onerror=RUN>]]>`,
	`"><img src=x onerror=RUN>`, `'><img src=x onerror=RUN>`, `" onmouseover="RUN" autofocus onfocus="RUN`, `' onfocus='RUN' autofocus='`, "`onfocus=RUN autofocus`", `</title><script>RUN</script>`, `</textarea><script>RUN</script>`,
	`</script><script>RUN</script>`, `]]><script>RUN</script>`, `{{RUN}}`, `${RUN}`, `{{.constructor.constructor("RUN")()}}`, `javascript:RUN`, `data:text/html,<script>RUN</script>`, `&lt;script&gt;RUN&lt;/script&gt;`,
	`&#60;script&#62;RUN&#60;/script&#62;`, `\u003cscript\u003eRUN\u003c/script\u003e`, `%3Cscript%3ERUN%3C/script%3E`, "<scr\x00ipt>RUN</script>", `+ADw-script+AD4-RUN+ADw-/script+AD4-`, "\u2028<img src=x onerror=RUN>\u2029",
	`![x](FAR)`, `![x][r]

[r]: FAR`, `[x](javascript:RUN)`, `[x](JaVaScRiPt:RUN)`, "[x](java\tscript:RUN)", `[x](&#106;avascript:RUN)`, `[x](data:text/html;base64,PHNjcmlwdD4=)`, `<javascript:RUN>`, `<FAR>`, `[x](FAR "onmouseover=RUN")`,
	"```\"><img src=x onerror=RUN>\n</code></pre><img src=x onerror=RUN>\n```", `|<img src=x onerror=RUN>|
|-|
|</td></table><img src=x onerror=RUN>|`, `> <img src=x onerror=RUN>`, `# <img src=x onerror=RUN>`, "`<img src=x onerror=RUN>`", `**<img src=x onerror=RUN>**`, `[^p1]<img src=x onerror=RUN>`, `[^p1"><img src=x onerror=RUN>]`,
	`<a href="javascript:RUN" autofocus onfocus=RUN>x</a>`, `<div style="background:url(FAR)">x</div>`, `<p style="animation-name:x" onanimationstart=RUN>x</p>`, "\u202e<img src=x onerror=RUN>",
}

// hostile gives every text in four dresses.
func hostile() []string {
	var all []string
	for _, text := range smuggled {
		text = strings.NewReplacer("RUN", "self.__ran=1", "FAR", "https://evil.example/x").Replace(text)
		all = append(all, text, "a "+text+" b", text+text, `"'>`+text)
	}
	return all
}

// fillWith puts texts wherever people's or a model's words stand.
func (f *fakeAPI) fillWith(texts []string) {
	text := func(i int) string { return texts[i%len(texts)] }
	at := func(i int) []course.Evidence {
		return []course.Evidence{{Passage: text(i), Source: text(i), Page: 1, Heading: text(i), Quote: text(i + 1)}}
	}
	f.others, f.sources, f.jobs = nil, nil, nil
	c := course.Course{ID: courseID, Title: text(0), Summary: text(1), Audience: text(2), Language: text(3), CreatedAt: now, UpdatedAt: now}
	l := routerLesson("")
	l.Title, l.Article, l.Objectives, l.Citations = text(4), strings.Join(texts, "\n\n"), texts, at(5)
	l.Video.Chapters, l.Video.Transcript, l.Video.Content = nil, nil, text(6)
	l.Video.URL, l.Video.CaptionsURL, l.Video.PosterURL = "javascript:self.__ran=1", "javascript:self.__ran=1", "javascript:self.__ran=1"
	f.slides, f.asks = nil, nil
	m := course.Module{ID: text(7), Title: text(8), Summary: text(9), Lessons: []course.LessonSummary{{ID: lessonID, Title: text(10), Written: true, VideoState: text(11)}}}
	for i := range texts {
		m.Lessons = append(m.Lessons, course.LessonSummary{ID: text(i), Title: text(i), Written: i%2 == 0, VideoState: text(i)})
		f.others = append(f.others, course.Course{ID: fmt.Sprintf("crs_%d", i), Title: text(i), Summary: text(i + 1), Audience: text(i + 2), Language: text(i)})
		f.sources = append(f.sources, map[string]any{"id": text(i), "name": text(i), "reason": text(i + 1), "state": "failed"})
		f.jobs = append(f.jobs, job.Job{ID: text(i), Kind: job.Kind(text(i)), Subject: text(i), CourseID: courseID, State: job.Failed, Message: text(i), Error: text(i + 1)})
		if i%3 != 0 { // the longest page need not hold every dress of each
			continue
		}
		l.Video.Chapters = append(l.Video.Chapters, course.Chapter{Start: float64(i), Title: text(i), Slide: text(i)})
		l.Video.Transcript = append(l.Video.Transcript, course.Transcript{Start: float64(i), End: float64(i + 1), Text: text(i), Slide: text(i)})
		f.slides = append(f.slides, course.Slide{
			ID: text(i), Kind: course.SlideKind(text(i)), Title: text(i), Points: []course.Point{{Text: text(i), Evidence: at(i)}},
			Code: &course.Code{Language: text(i), Text: text(i), Evidence: at(i)}, Table: &course.Table{Header: []string{text(i)}, Rows: [][]string{{text(i)}}},
			Quote: &course.Quote{Text: text(i), Attribution: text(i)},
		})
		f.asks = append(f.asks, course.Question{ID: text(i), Prompt: text(i), Choices: []string{text(i), text(i + 1)}, Key: i % 2, Explanation: text(i), Evidence: at(i)})
	}
	c.Modules = []course.Module{m}
	f.course, f.lessons[lessonID] = c, l
	f.jobs = append(f.jobs, job.Job{ID: "job_render", Kind: job.Render, Subject: lessonID, CourseID: courseID, State: job.Running, Message: text(0), Total: 1})
}

// fillWith does the same with what people and organisations are called.
func (a *fakeAuth) fillWith(text func(int) string, n int) {
	evil := organization{ID: text(3), Name: text(5)}
	a.people = map[string]person{"owner": {ID: text(1), Email: text(2), Name: text(4), Role: "root", Organization: evil}, "nameless": {ID: "x", Email: text(6), Role: text(7), Organization: evil}}
	a.members, a.invitations, a.credentials, a.signIns, a.tenants, a.budget.Use = nil, nil, nil, nil, nil, nil
	a.budget.Warning, a.budget.Spent = text(8), a.budget.Hard-1
	for i := 0; i < n; i += 3 {
		role := roles[i%len(roles)]
		if i%7 == 0 {
			role = text(i)
		}
		a.members = append(a.members, member{ID: text(i), Email: text(i + 1), Name: text(i + 2), Role: role})
		a.invitations = append(a.invitations, invitation{ID: text(i), Email: text(i), Name: text(i), Role: text(i)})
		a.credentials = append(a.credentials, credential{ID: text(i), Label: text(i + 1), Scopes: []string{text(i)}})
		a.signIns = append(a.signIns, signIn{ID: text(i), Device: text(i)})
		a.tenants = append(a.tenants, tenant{organization: organization{ID: text(i), Name: text(i + 1)}})
		a.budget.Use = append(a.budget.Use, use{Kind: text(i), Input: 1, Cost: 1})
	}
	a.budget.Month = text(9)
}

// besieged is a tab whose content security policy is switched off, so that escaping
// alone has to hold. unharmed tells of what was planted in the page.
func besieged(t *testing.T, site string) (tab context.Context, unharmed func(where string)) {
	t.Helper()
	tab = openTab(t, site, view{})
	call(t, tab, page.SetBypassCSP, page.SetBypassCSPParams{Enabled: true})
	var mu sync.Mutex
	var foreign []string
	err := chromedp.Listen(tab, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, site+"/") && !strings.HasPrefix(e.Request.URL, "data:") { // data: the icons of Chromium's own media controls
				foreign = append(foreign, e.Request.URL)
			}
		case *page.EventJavascriptDialogOpening:
			foreign = append(foreign, "dialog: "+e.Message)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	call(t, tab, network.Enable, network.EnableParams{})
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, address := range foreign {
			t.Errorf("the page reached out to %s", address)
		}
	})
	return tab, func(where string) {
		t.Helper()
		if eval[bool](t, tab, `Boolean(self.__ran)`) {
			t.Errorf("%s: a script ran", where)
		}
		planted := eval[[]string](t, tab, `[...document.querySelectorAll("*")].filter((e) => !e.closest("[data-controls]")).filter((e) =>
			[...e.attributes].some((a) => a.name.startsWith("on") || a.name === "style" || /^\s*(javascript|vbscript|data):/i.test(a.value) && ["href", "src", "action", "poster"].includes(a.name))
			|| e.matches("main :is(script, style, iframe, object, embed, img, base, link, meta, template, marquee)")).map((e) => e.outerHTML.slice(0, 200))`)
		for _, p := range planted {
			t.Errorf("%s: planted: %s", where, p)
		}
	}
}

// TestHostileTextStaysText looks at pages whose every word is an attack.
func TestHostileTextStaysText(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	texts := hostile()
	api.fillWith(texts)
	t.Logf("%d texts", len(texts))
	tab, unharmed := besieged(t, site)
	for _, path := range []string{"/", "/courses/" + courseID, "/lessons/" + lessonID} {
		act(t, tab, chromedp.Navigate(site+path))
		until(t, tab, `document.readyState === "complete"`)
		unharmed(path)
	}
	if title := eval[string](t, tab, `document.querySelector("h1").textContent`); title != texts[4] {
		t.Errorf("the title reads %q, not %q", title, texts[4])
	}

	for _, text := range texts { // as the page is told about progress
		api.moves <- edge.Message{Event: "progress", Data: job.Job{ID: "job_render", State: job.Running, Message: text, Total: 1}}
	}
	api.moves <- edge.Message{Event: "progress", Data: job.Job{ID: "job_render", State: job.Running, Message: "That was all.", Total: 1}}
	until(t, tab, `document.querySelector('[data-job="job_render"] [data-job-message]').textContent === "That was all."`)
	unharmed("progress")

	for _, text := range smuggled {
		api.change(func() { api.failure = fault.New(fault.Invalid, "%s", text) })
		_, body := fetch(t, "GET", site+"/", nil)
		if strings.Contains(body, "<img") || strings.Count(body, "<script") != 2 {
			t.Errorf("an error's text became HTML: %s", text)
		}
	}
}

// The same with what people, organisations, devices and credentials are called.
func TestHostileNamesStayText(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	texts := hostile()
	api.auth.fillWith(func(i int) string { return texts[i%len(texts)] }, len(texts))
	tab, unharmed := besieged(t, site)
	for _, path := range []string{"/account", "/organization", "/budget", "/organizations"} {
		act(t, tab, chromedp.Navigate(site+path))
		until(t, tab, `document.readyState === "complete"`)
		unharmed(path)
	}
	if name := eval[string](t, tab, `document.querySelector(".called").textContent`); name != texts[4] {
		t.Errorf("the header greets %q, not %q", name, texts[4])
	}
	act(t, tab, chromedp.Navigate(site+"/organization"))
	eval[int](t, tab, fmt.Sprintf(`((form) => { form.label.value = %q; form.submit() })(document.querySelector(".form-credential")), 0`, texts[5]))
	until(t, tab, `document.readyState === "complete" && document.querySelector("#secret")`)
	unharmed("the page with a secret")
}

// The door, with what the API says, what is entered, and what the address holds.
func TestHostileTextAtTheDoor(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	tab, unharmed := besieged(t, site)
	signAs(t, tab, site, "nobody")
	texts := hostile()
	for i := 0; i < len(texts); i += 37 {
		text := strings.ToValidUTF8(texts[i], "")
		api.change(func() {
			api.auth.refuse["POST /v1/auth/sign-in"] = &fault.Error{Kind: fault.Invalid, Message: text, Fields: []fault.Field{{Location: text, Message: text}, {Location: "body.email", Message: text}}}
		})
		for _, path := range []string{"/invitation?token=", "/reset?token=", "/sign-in?done=" + url.QueryEscape(text) + "&next="} {
			act(t, tab, chromedp.Navigate(site+path+url.QueryEscape(text)))
			unharmed(path)
		}
		eval[int](t, tab, fmt.Sprintf(`((form) => { form.email.type = "text"; form.email.value = %q; form.password.value = "x"; form.submit() })(document.querySelector(".form-sign-in")), 0`, text))
		until(t, tab, `document.readyState === "complete" && document.querySelector(".wrong")`)
		unharmed("a refused sign-in")
	}
}

// The same with what the tutor is asked and says, and what it cites: while an answer
// streams, and when it is there.
func TestHostileTextOfTheTutor(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	texts := hostile()
	api.change(func() { api.chat.fillWith(texts) })
	tab, unharmed := besieged(t, site)
	for _, path := range []string{"/tutor", "/courses/" + courseID + "/tutor", "/tutor/ses_all", "/tutor/ses_all?at=" + url.QueryEscape(texts[0])} {
		act(t, tab, chromedp.Navigate(site+path))
		until(t, tab, `document.readyState === "complete"`)
		unharmed(path)
	}
	until(t, tab, `document.querySelector(".said a.cite")`)
	for range 20 {
		eval[int](t, tab, `[...document.querySelectorAll(".said a.cite")].at(Math.random() * 100 | 0)?.click(), 0`)
	}
	eval[int](t, tab, `document.querySelectorAll(".quote-card").forEach((card) => card.replaceWith(...card.childNodes)), 0`) // where it stands, and so its style, is ours
	unharmed("quotes that are opened")

	act(t, tab, chromedp.Navigate(site+"/lessons/les_names")) // it has no film that would be fetched from elsewhere
	until(t, tab, `document.querySelector("[data-tutor] select[name=task]")`)
	eval[int](t, tab, fmt.Sprintf(`((form) => { form.question.value = %q; form.requestSubmit() })(document.querySelector("[data-composer]")), 0`, strings.ToValidUTF8(texts[9], "")))
	until(t, tab, `document.querySelector(".turn:last-child .said")?.children.length > 100`)
	unharmed("an answer that streams")
	api.change(func() { api.chat.ending.Problem = texts[13] })
	close(api.chat.pace)
	until(t, tab, lastState+` === "interrupted"`)
	unharmed("an answer that has come")

	for i := 0; i < len(texts); i += 61 {
		text := strings.ToValidUTF8(texts[i], "")
		api.change(func() { api.chat.refuse = fault.New(fault.PaymentRequired, "%s", text) })
		eval[int](t, tab, `document.querySelector("#question").value = "x", document.querySelector("[data-composer]").requestSubmit(), 0`)
		until(t, tab, fmt.Sprintf(`document.querySelector("[data-problem] p")?.textContent === %q`, text))
	}
	unharmed("refusals")
}

// fillWith does the same with what was asked and answered.
func (c *fakeChat) fillWith(texts []string) {
	text := func(i int) string { return texts[i%len(texts)] }
	c.sessions = []session{{ID: "ses_all", Course: courseID, Lesson: "les_other", Task: text(1), Title: text(2), CreatedAt: now}}
	c.tasks, c.memories = nil, nil
	right := false
	ending := message{State: "interrupted", Problem: text(3), Model: text(4), Quiz: &quiz{Question: text(5), Lesson: text(6), Right: &right}}
	parent := ""
	for i := range texts {
		if i%4 == 0 { // the longest page need not hold every dress of each
			c.sessions = append(c.sessions, session{ID: text(i), Course: courseID, Lesson: text(i), Title: text(i), CreatedAt: now})
			c.tasks = append(c.tasks, task{Name: text(i), Title: text(i + 1)})
			c.memories = append(c.memories, memory{ID: text(i), Course: text(i), Kind: text(i), Content: text(i)})
		}
		cite := cited{N: i + 1, Name: text(i), Lesson: []string{"", text(i + 2)}[i%2], Evidence: course.Evidence{Source: text(i), Heading: text(i), Page: i, Quote: text(i + 1)}}
		ending.Citations = append(ending.Citations, cite)
		if i%3 == 0 {
			question := &message{ID: fmt.Sprintf("q%d", i), Parent: parent, Role: "user", Task: text(i), State: "complete", Content: text(i)}
			answer := &message{
				ID: fmt.Sprintf("%s%d", text(i), i), Parent: question.ID, Role: "assistant", Task: text(i), State: []string{"complete", text(i), "interrupted", "failed"}[i/3%4],
				Content: fmt.Sprintf("%s [1] [2]", text(i)), Problem: text(i), Model: text(i + 1), Citations: []cited{{N: 1, Name: text(i), Evidence: cite.Evidence}, {N: 2, Name: text(i), Lesson: text(i)}}, Quiz: ending.Quiz,
			}
			again := *answer
			again.ID += "b"
			c.messages["ses_all"] = append(c.messages["ses_all"], question, &again, answer)
			parent = answer.ID
		}
	}
	c.pace, c.words, c.ending = make(chan struct{}), nil, ending
	for i, text := range texts {
		c.words = append(c.words, fmt.Sprintf("%s [%d]\n\n", strings.ToValidUTF8(text, ""), i+1))
	}
	c.first = len(c.words) - 1
}
