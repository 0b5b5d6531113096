package web

import (
	"fmt"
	"html/template"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/job"
)

// words are what templates say things with.
var words = template.FuncMap{
	"work":     work,
	"state":    jobState,
	"percent":  percent,
	"left":     left,
	"video":    func(state string) string { return videoStates[state] },
	"source":   func(state string) string { return sourceStates[state] },
	"clock":    clock,
	"duration": duration,
	"size":     size,
	"plural":   plural,
	"language": language,
	"spine":    spine,
	"letter":   func(i int) string { return string(rune('A' + i)) },
	"add":      func(a, b int) int { return a + b },
	"date":     func(t time.Time) string { return t.UTC().Format("2 January 2006") },
	"pair":     func(j jobView, back string) jobOn { return jobOn{j, back} },
	"ago":      func(t time.Time) string { return ago(t, time.Now()) },
	"moment":   func(t time.Time) string { return t.UTC().Format("2 January, 15:04 UTC") },
	"device":   device,
	"role":     func(role string) string { short, _, _ := strings.Cut(roleWords[role], ":"); return short },
	"taskName": func(id string) string { name, _, _ := strings.Cut(id, "@"); return name },
	"iso":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
}

var jobStates = map[job.State]string{
	job.Queued: "Waiting for its turn", job.Running: "Running", job.Waiting: "Waiting for you",
	job.Succeeded: "Done", job.Failed: "Failed", job.Canceled: "Canceled",
}

var videoStates = map[string]string{
	course.VideoNone: "No video yet", course.VideoQueued: "Video is next", course.VideoRendering: "Rendering",
	course.VideoReady: "Video", course.VideoFailed: "Video failed",
}

var sourceStates = map[string]string{
	"uploading": "Being uploaded", "queued": "Waiting to be read", "reading": "Being read", "ready": "Ready", "failed": "Could not be read",
}

// jobState says how a job stands. What waits for money is not for the reader to do.
func jobState(j jobView) string {
	if j.State == job.Waiting && j.WaitingFor == "budget" {
		return "Waiting for the budget"
	}
	return jobStates[j.State]
}

// jobOn is a job and the page that shows it.
type jobOn struct {
	Job  jobView
	Back string
}

// work says in a few words what a job does.
func work(j jobView) string {
	switch {
	case j.Kind == job.Generate:
		return "Writing the course"
	case j.Kind == job.Ingest && j.Name != "":
		return "Reading " + j.Name
	case j.Kind == job.Ingest:
		return "Reading a source"
	case j.Name != "":
		return "Rendering " + j.Name
	case j.Subject == j.CourseID:
		return "Rendering the videos"
	}
	return "Rendering a video"
}

// percent gives how far a job is, 0–100.
func percent(j job.Job) int64 {
	if j.State == job.Succeeded {
		return 100
	}
	return 100 * min(max(j.Done, 0), j.Total) / max(j.Total, 1)
}

// left says how long a job will still take; live.js says the same in the browser.
func left(seconds *float64) string {
	switch {
	case seconds == nil:
		return ""
	case *seconds < 10:
		return "a few seconds left"
	case *seconds < 90:
		return fmt.Sprintf("about %.0f s left", math.Ceil(*seconds/5)*5)
	case *seconds < 90*60:
		return fmt.Sprintf("about %.0f min left", math.Ceil(*seconds/60))
	}
	return fmt.Sprintf("about %.0f h left", math.Ceil(*seconds/3600))
}

// clock writes seconds as a player does: 1:05, 1:02:03.
func clock(seconds float64) string {
	s := int(max(seconds, 0))
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// duration writes seconds for people who plan: 40 s, 4 min.
func duration(seconds float64) string {
	if seconds < 60 {
		return fmt.Sprintf("%.0f s", seconds)
	}
	return fmt.Sprintf("%.0f min", math.Round(seconds/60))
}

// size writes bytes in decimal units, as file managers do.
func size(bytes int64) string {
	switch {
	case bytes >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
	case bytes >= 1e3:
		return fmt.Sprintf("%.0f kB", float64(bytes)/1e3)
	}
	return strconv.FormatInt(bytes, 10) + " B"
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

var languageTag = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

// language gives a tag that may stand in a lang attribute; one that is none gives
// "", which HTML takes for unknown.
func language(tag string) string {
	if languageTag.MatchString(tag) {
		return tag
	}
	return ""
}

// spine picks one of six colours for a course's back, the same each time.
func spine(id string) int {
	sum := 0
	for _, c := range []byte(id) {
		sum = (31*sum + int(c)) % 9973
	}
	return sum % 6
}
