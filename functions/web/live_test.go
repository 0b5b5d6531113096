package web

import (
	"testing"

	"github.com/chromedp/chromedp"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/job"
)

func TestProgressMovesByItself(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	tab := openTab(t, site, view{})
	act(t, tab, chromedp.Navigate(site+"/courses/"+courseID))
	until(t, tab, `document.querySelector('[data-job="job_render"] progress').value === 42`)

	j := homeJobs()[0]
	j.Done, j.Message, j.SecondsLeft = 55, "Joining <b>slides</b>", new(float64(31))
	api.change(func() { api.jobs[0] = j })
	api.moves <- edge.Message{ID: "5", Event: "progress", Data: j}
	until(t, tab, `document.querySelector('[data-job="job_render"] progress').value === 55`)
	until(t, tab, `document.querySelector('[data-job="job_render"] [data-job-message]').textContent === "Joining <b>slides</b>"`)
	until(t, tab, `document.querySelector('[data-job="job_render"] [data-job-left]').textContent === "about 35 s left"`)

	// The end: the outline shows the video, the job is over, and it is said aloud.
	eval[bool](t, tab, `document.getElementById("cancel-job_ingest").focus(), true`)
	j.State, j.Done = job.Succeeded, 100
	api.change(func() {
		api.jobs[0] = j
		api.course.Modules[0].Lessons[1].VideoState = course.VideoReady
	})
	api.moves <- edge.Message{ID: "6", Event: "done", Data: j}
	until(t, tab, `document.querySelectorAll(".video-ready").length === 2`)
	until(t, tab, `!document.querySelector('[data-job="job_render"]')`)
	until(t, tab, `document.querySelector("[data-announce]").textContent === "Rendering the videos: done."`)
	if focus := eval[string](t, tab, `document.activeElement.id`); focus != "cancel-job_ingest" {
		t.Errorf("the focus has gone to %q", focus)
	}
}

func TestLessonGetsItsPlayerWhenTheVideoIsReady(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	film := api.lessons[lessonID].Video
	api.change(func() {
		l := api.lessons[lessonID]
		l.Video, l.VideoState = nil, course.VideoRendering
		api.lessons[lessonID] = l
	})
	tab := openTab(t, site, view{})
	act(t, tab, chromedp.Navigate(site+"/lessons/"+lessonID))
	until(t, tab, `document.querySelector("[data-no-video]")`)
	j := homeJobs()[0]
	j.Done = 60 // the course's other lessons are still being rendered
	api.change(func() {
		l := api.lessons[lessonID]
		l.Video, l.VideoState = film, course.VideoReady
		api.lessons[lessonID], api.jobs[0] = l, j
	})
	api.moves <- edge.Message{Event: "progress", Data: j}
	until(t, tab, `document.querySelector("video")`)
}

func TestProgressIsAskedForWhereStreamsAreRefused(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	api.noStreams = true
	tab := openTab(t, site, view{})
	act(t, tab, chromedp.Navigate(site+"/"))
	api.change(func() { api.jobs[0].Done = 77 })
	until(t, tab, `document.querySelector('[data-job="job_render"] progress').value === 77`)
}

func TestJobIsCanceledFromThePage(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	tab := openTab(t, site, view{})
	act(t, tab, chromedp.Navigate(site+"/courses/"+courseID), chromedp.Click("#cancel-job_render"))
	until(t, tab, `document.readyState === "complete" && location.pathname === "/courses/crs_home"`)
	for {
		var sent bool
		api.change(func() { sent = len(api.writes) == 1 })
		if sent {
			break
		}
		until(t, tab, "true")
	}
}
