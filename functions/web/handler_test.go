package web

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/logtest"
)

// fetch gives an answer of the site and its body, to the owner unless the headers
// have another cookie.
func fetch(t *testing.T, method, address string, body io.Reader, headers ...string) (*http.Response, string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Cookie", "lectern=owner")
	for i := 0; i < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

func wants(t *testing.T, page string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(page, part) {
			t.Errorf("the page does not say %q", part)
		}
	}
}

func TestCoursesShowWhatGoesOn(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	answer, page := fetch(t, "GET", site+"/", nil)
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s", answer.StatusCode, page)
	}
	wants(t, page, "Home networks that just work", "5 lessons", "1 video", `value="42"`, "about 3 min left", "The disk was full.", "Rendering Passwords, updates and guests")
	if strings.Contains(page, "job_write") {
		t.Error("a job that is over is news")
	}
	if strings.Contains(page, "crs_gone") {
		t.Error("a course that was deleted while the list was read is shown")
	}
	for _, part := range []string{"style=", "<script>", "onclick", "http://"} {
		if strings.Contains(page, part) {
			t.Errorf("the page holds %q", part)
		}
	}

	api.change(func() { api.course, api.jobs = course.Course{}, nil })
	if _, page := fetch(t, "GET", site+"/courses/"+courseID, nil); !strings.Contains(page, "There is no course crs_home.") {
		t.Error("a course that is gone is not said to be gone")
	}
}

func TestCourseShowsEveryState(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	_, page := fetch(t, "GET", site+"/courses/"+courseID, nil)
	wants(t, page, "No video yet", "Rendering", "Video failed", "Not written yet", "The home network handbook", "86 pages", "Being read",
		"This PDF holds pictures of pages and no text.", `action="/jobs/job_render/cancel"`, `action="/jobs/job_safe/resume"`, "1 earlier piece of work")
	if strings.Contains(page, "Render all videos") {
		t.Error("a course that is being rendered can be rendered")
	}

	api.change(func() { api.jobs = nil })
	_, page = fetch(t, "GET", site+"/courses/"+courseID, nil)
	wants(t, page, "Nothing is going on.", "Render all videos", "Write the course again")

	api.change(func() { api.course.Modules, api.sources = nil, nil })
	_, page = fetch(t, "GET", site+"/courses/"+courseID, nil)
	wants(t, page, "Nothing is written yet", "Once a source has been read", "No documents yet.")
}

func TestAJobThatWaitsForTheBudgetSaysSo(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	for waitsFor, want := range map[string]string{"budget": "Waiting for the budget", "approval": "Waiting for you"} {
		api.change(func() {
			api.jobs = []job.Job{{ID: "job_one", Kind: job.Generate, Subject: courseID, CourseID: courseID, State: job.Waiting, WaitingFor: waitsFor}}
		})
		_, page := fetch(t, "GET", site+"/courses/"+courseID, nil)
		wants(t, page, want)
	}
}

func TestJobsOfEveryStateCanBeReadAndSteered(t *testing.T) {
	t.Parallel()
	for state, can := range map[job.State]struct{ cancel, resume bool }{
		job.Queued: {true, false}, job.Running: {true, false}, job.Waiting: {true, true}, job.Failed: {false, true}, job.Canceled: {}, job.Succeeded: {},
	} {
		site, api := startSite(t)
		api.change(func() {
			api.jobs = []job.Job{{ID: "job_one", Kind: job.Generate, Subject: courseID, CourseID: courseID, State: state}}
		})
		_, page := fetch(t, "GET", site+"/courses/"+courseID, nil)
		wants(t, page, "Writing the course", jobStates[state])
		if got := strings.Contains(page, "/jobs/job_one/cancel"); got != can.cancel {
			t.Errorf("%s: can be canceled: %v", state, got)
		}
		if got := strings.Contains(page, "/jobs/job_one/resume"); got != can.resume {
			t.Errorf("%s: can be resumed: %v", state, got)
		}
	}
}

func TestLessonShowsFilmArticleQuestionsAndEvidence(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	_, page := fetch(t, "GET", site+"/lessons/"+lessonID, nil)
	wants(t, page, "/video.mp4", "/captions.vtt", "/poster.jpg", "The box in your hallway is really three devices.", `data-seek="24"`,
		`<a class="cite" aria-label="Source 1" href="#p1" rel="nofollow">1</a>`, `<li id="p3">`, "The home network handbook, page 14",
		"<strong>B</strong> is right.", `rel="next" href="/lessons/les_names"`)

	// Where no other origin plays videos, this one does, whatever it is called.
	beside := httptest.NewRecorder()
	request := httptest.NewRequest("GET", "http://forwarded:1234/lessons/"+lessonID, nil)
	request.Header.Set("Cookie", "lectern=owner")
	New(api.serve(t)).ServeHTTP(beside, request)
	wants(t, beside.Body.String(), ` src="/video.mp4"`, ` src="/captions.vtt"`, ` poster="/poster.jpg"`, `href="/video.mp4#t=`)

	api.change(func() { l := api.lessons[lessonID]; l.Video.Current = false; api.jobs = nil })
	_, page = fetch(t, "GET", site+"/lessons/"+lessonID, nil)
	wants(t, page, "The lesson has changed since this video was made.", "Make the video again")

	for lesson, says := range map[string]string{
		"les_names": "The video is being made.", "les_wifi": "This lesson has no video yet.", "les_safe": "The video could not be made.", "les_fix": "This lesson is not written yet.",
	} {
		_, page := fetch(t, "GET", site+"/lessons/"+lesson, nil)
		wants(t, page, says)
		if strings.Contains(page, "<video") {
			t.Errorf("%s: a player without a video", lesson)
		}
	}
}

func TestFormsReachTheAPI(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	for _, c := range []struct {
		path, form, next, write string
	}{
		{"/courses/crs_home/generations", "key=k1&title=+Nets+&audience=all&language=en&lessons=4", "/courses/crs_home", `POST /v1/courses/crs_home/generations k1 {"title":"Nets","audience":"all","language":"en","lessons":4}`},
		{"/courses/crs_home/renders", "key=k2", "/courses/crs_home", "POST /v1/courses/crs_home/renders k2"},
		{"/lessons/les_wifi/renders", "key=k3", "/lessons/les_wifi", "POST /v1/lessons/les_wifi/renders k3"},
		{"/jobs/job_render/cancel", "key=k4&back=/courses/crs_home", "/courses/crs_home", "DELETE /v1/jobs/job_render k4"},
		{"/jobs/job_safe/resume", "key=k5&back=//evil.example/x", "/", "POST /v1/jobs/job_safe/resume k5"},
	} {
		answer, body := fetch(t, "POST", site+c.path, strings.NewReader(c.form), "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin")
		if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != c.next {
			t.Errorf("%s: %d to %q: %s", c.path, answer.StatusCode, answer.Header.Get("Location"), body)
		}
		api.change(func() {
			if last := api.writes[len(api.writes)-1]; last != c.write {
				t.Errorf("%s: the API was asked %q, not %q", c.path, last, c.write)
			}
		})
	}

	answer, _ := fetch(t, "POST", site+"/jobs/job_render/cancel", nil, "Sec-Fetch-Site", "cross-site")
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("a form of another site: %d", answer.StatusCode)
	}
	answer, page := fetch(t, "POST", site+"/courses/crs_home/generations", strings.NewReader("lessons=many"), "Content-Type", "application/x-www-form-urlencoded")
	if answer.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(page, "not a number") {
		t.Errorf("lessons=many: %d", answer.StatusCode)
	}
}

func TestErrorsAreTold(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	for _, c := range []struct {
		failure error
		status  int
		says    string
	}{
		{fault.New(fault.Denied, "You may not see <this>."), http.StatusForbidden, "You may not see &lt;this&gt;."},
		{fault.New(fault.Unavailable, "The database is being updated."), http.StatusServiceUnavailable, "The database is being updated."},
		{errors.New("password=hunter2"), http.StatusInternalServerError, "Something went wrong on our side."},
	} {
		api.change(func() { api.failure = c.failure })
		answer, page := fetch(t, "GET", site+"/", nil, "X-Request-Id", "abcdef-123456")
		if answer.StatusCode != c.status {
			t.Errorf("%v: status %d", c.failure, answer.StatusCode)
		}
		wants(t, page, c.says, "<code>abcdef-123456</code>")
		if strings.Contains(page, "hunter2") {
			t.Error("an internal error got out")
		}
	}

	nowhere := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	silent := New(Deps{Transport: http.DefaultTransport, Courses: nowhere, Auth: nowhere})
	for path, kind := range map[string]string{"/": "text/html; charset=utf-8", "/v1/courses": "application/problem+json", "/openapi.json": "application/problem+json"} {
		w := httptest.NewRecorder()
		q := httptest.NewRequest("GET", path, nil)
		q.Header.Set("Cookie", "lectern=owner")
		silent.ServeHTTP(w, q)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Content-Type") != kind || !strings.Contains(w.Body.String(), "does not answer right now") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestStaticFilesAreKeptForEver(t *testing.T) {
	t.Parallel()
	site, _ := startSite(t)
	_, page := fetch(t, "GET", site+"/lessons/"+lessonID, nil)
	links := regexp.MustCompile(`/static/[^"]+`).FindAllString(page, -1)
	_, sheet := fetch(t, "GET", site+regexp.MustCompile(`/static/app[^"]+`).FindString(page), nil)
	links = append(links, regexp.MustCompile(`/static/[^"]+`).FindAllString(sheet, -1)...)
	for i := 0; i < len(links); i++ { // scripts, and the modules that they import
		if _, file := fetch(t, "GET", site+links[i], nil); strings.HasSuffix(links[i], ".js") {
			for _, found := range regexp.MustCompile(`from "([^"]+)"`).FindAllStringSubmatch(file, -1) {
				if !slices.Contains(links, found[1]) {
					links = append(links, found[1])
				}
			}
		}
	}
	if len(links) < 24 {
		t.Fatalf("only %d files: %v", len(links), links)
	}
	for _, link := range links {
		answer, body := fetch(t, "GET", site+link, nil, "Accept-Encoding", "br, gzip")
		if answer.StatusCode != http.StatusOK || answer.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || answer.Header.Get("Content-Type") == "" {
			t.Errorf("%s: %d %v", link, answer.StatusCode, answer.Header)
		}
		if answer.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			packed, _ := io.ReadAll(z)
			if _, plain := fetch(t, "GET", site+link, nil); plain != string(packed) {
				t.Errorf("%s: gzip holds something else", link)
			}
		}
		again, _ := fetch(t, "GET", site+link, nil, "Accept-Encoding", "gzip", "If-None-Match", answer.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified {
			t.Errorf("%s: %d to its own ETag", link, again.StatusCode)
		}
	}
	if answer, _ := fetch(t, "GET", site+"/static/app.css", nil); answer.StatusCode != http.StatusNotFound {
		t.Errorf("a name without a hash: %d", answer.StatusCode)
	}
	if answer, _ := fetch(t, "GET", site+"/favicon.ico", nil); answer.Header.Get("Content-Type") != "image/svg+xml" {
		t.Errorf("favicon: %v", answer.Header)
	}
}

func TestGateway(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	answer, body := fetch(t, "GET", site+"/v1/courses/crs_home/jobs", nil, "Cookie", "lectern=owner; other=s", "X-Request-Id", "abcdef-123456", "Origin", site)
	var jobs list[job.Job]
	if err := json.Unmarshal([]byte(body), &jobs); err != nil || len(jobs.Items) != 4 {
		t.Fatalf("%d %s: %v", answer.StatusCode, body, err)
	}
	for _, name := range []string{"X-Request-Id", "X-Frame-Options", "Referrer-Policy", "Content-Security-Policy"} {
		if len(answer.Header.Values(name)) != 1 {
			t.Errorf("%s: %q", name, answer.Header.Values(name))
		}
	}
	api.change(func() {
		seen := api.seen[len(api.seen)-1]
		if seen.Get("Cookie") != "lectern=owner; other=s" || seen.Get("X-Request-Id") != "abcdef-123456" || seen.Get("Origin") != "" {
			t.Errorf("passed on: %v", seen)
		}
	})
	if answer, _ := fetch(t, "DELETE", site+"/v1/jobs/job_render", nil, "Origin", "https://evil.example"); answer.StatusCode != http.StatusForbidden {
		t.Errorf("a write of another origin: %d", answer.StatusCode)
	}
}

func TestGatewayStreamsAtOnceAndLeaves(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	ctx, leave := context.WithCancel(t.Context())
	q, _ := http.NewRequestWithContext(ctx, "GET", site+"/v1/jobs/job_render/events", nil)
	q.Header.Set("Cookie", "lectern=owner")
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	for i := range 3 { // each is read before the next is sent: nothing is collected on the way
		api.moves <- edge.Message{Event: "progress", Data: i}
		buffer := make([]byte, 4096)
		for got := ""; !strings.Contains(got, "data: "); {
			n, err := answer.Body.Read(buffer)
			if err != nil {
				t.Fatal(err)
			}
			got += string(buffer[:n])
		}
	}
	leave()
	<-api.left // the function learns that nobody reads any more
}

// A stream would hold up the drain until its end; instead it ends at once, and the
// browser comes again to the next instance.
func TestGatewayEndsStreamsWhenTheProcessStops(t *testing.T) {
	t.Parallel()
	api := newFakeAPI("")
	deps := api.serve(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, log := logtest.Under(t.Context())
	running, stop := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() {
		stopped <- edge.Serve(running, listener, New(deps))
	}()
	q, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+listener.Addr().String()+"/v1/jobs/job_render/events", nil)
	q.Header.Set("Cookie", "lectern=owner")
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	api.moves <- edge.Message{Event: "progress", Data: 1}
	stop()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if late := log.Of("requests were cut at the end of the drain"); len(late) > 0 {
		t.Errorf("the stream held the drain up: %v", late)
	}
}

func TestTakesGzip(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]bool{
		"": false, "gzip": true, "br, gzip, zstd": true, "br": false, "gzip;q=0": false, "gzip; q=0.0": false, "gzip;q=0.5": true, "GZIP": true, "identity;;": false,
	} {
		q := httptest.NewRequest("GET", "/", nil)
		q.Header.Set("Accept-Encoding", header)
		if takesGzip(q) != want {
			t.Errorf("%q: %v", header, !want)
		}
	}
}

func TestOpenAPIOfTheWhole(t *testing.T) {
	t.Parallel()
	auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"paths":{"/v1/auth/me":{"get":{"summary":"Who am I","responses":{"200":{"description":"You",
			"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Page"}}}}}}}},
			"components":{"schemas":{"Page":{"type":"string"},"Problem":{"type":"object"}}}}`))
	}))
	defer auth.Close()
	courses := httptest.NewServer(newFakeAPI("").handler())
	defer courses.Close()
	site := httptest.NewServer(New(Deps{Courses: mustURL(t, courses.URL), Auth: mustURL(t, auth.URL)}))
	defer site.Close()

	answer, body := fetch(t, "GET", site.URL+"/openapi.json", nil)
	var whole struct {
		OpenAPI    string
		Paths      map[string]map[string]json.RawMessage
		Components struct{ Schemas map[string]json.RawMessage }
	}
	if err := json.Unmarshal([]byte(body), &whole); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%d %v: %s", answer.StatusCode, err, body)
	}
	if whole.OpenAPI != "3.1.0" || len(whole.Paths) != 2 || len(whole.Components.Schemas) != 3 {
		t.Errorf("joined: %s", body)
	}
	wants(t, string(whole.Paths["/v1/auth/me"]["get"]), "#/components/schemas/AuthPage")
	wants(t, string(whole.Paths["/v1/courses"]["get"]), "#/components/schemas/Page")

	_, page := fetch(t, "GET", site.URL+"/docs", nil)
	wants(t, page, "/v1/auth/me", "Who am I", "List courses", "Where to go on", "with <code>AuthPage</code>")
}

func TestBuildReportsEverySetting(t *testing.T) {
	t.Setenv("COURSES_URL", "courses")
	t.Setenv("AUTH_URL", "https://auth.example")
	t.Setenv("MEDIA_ORIGIN", "https://storage.googleapis.com/bucket")
	_, err := Build(t.Context())
	if err == nil || !strings.Contains(err.Error(), "COURSES_URL") || !strings.Contains(err.Error(), "MEDIA_ORIGIN") {
		t.Fatalf("error: %v", err)
	}
	t.Setenv("COURSES_URL", "https://courses.example")
	t.Setenv("MEDIA_ORIGIN", "https://storage.googleapis.com")
	handler, err := Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
	if w.Code != http.StatusOK {
		t.Errorf("healthz: %d", w.Code)
	}
}
