package web

import (
	"fmt"
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

// TestHostileTextStaysText looks at pages whose every word is an attack. The content
// security policy is switched off, so that escaping alone has to hold.
func TestHostileTextStaysText(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	texts := hostile()
	api.fillWith(texts)
	t.Logf("%d texts", len(texts))

	tab := openTab(t, site, view{})
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

	unharmed := func(where string) {
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
	mu.Lock()
	defer mu.Unlock()
	for _, address := range foreign {
		t.Errorf("the page reached out to %s", address)
	}
}
