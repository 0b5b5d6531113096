package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
)

// fakeAPI answers as functions/courses does, from the fixture.
type fakeAPI struct {
	mu      sync.Mutex
	course  course.Course
	others  []course.Course
	lessons map[string]course.Lesson
	slides  []course.Slide
	asks    []course.Question
	sources []map[string]any
	jobs    []job.Job
	failure error    // what every request is answered with, when set
	writes  []string // "POST /v1/… key body"
	seen    []http.Header
	hosts   []string          // of the requests that were seen
	from    []string          // whose they were
	moves   chan edge.Message // what the stream of job_render sends
	left    chan struct{}     // gets a value when a stream has been left

	noStreams bool
	over      chan struct{} // closed: streams end
	media     string        // where documents are sent

	uploaded     []byte
	refuseSource string // what the next document is refused with
	auth         fakeAuth
	chat         *fakeChat
}

func newFakeAPI(media string) *fakeAPI {
	c := homeNetworks()
	f := &fakeAPI{
		course: c, lessons: map[string]course.Lesson{}, slides: routerSlides(), asks: routerQuestions(), sources: sources, jobs: homeJobs(),
		moves: make(chan edge.Message), left: make(chan struct{}, 64), auth: newFakeAuth(), over: make(chan struct{}), media: media,
	}
	f.chat = newFakeChat(&f.mu)
	for _, l := range lessons(c) {
		f.lessons[l.ID] = course.Lesson{ID: l.ID, CourseID: c.ID, Title: l.Title, VideoState: l.VideoState, CreatedAt: now, UpdatedAt: now}
	}
	f.lessons[lessonID] = routerLesson(media)
	return f
}

// change runs do while no request is answered.
func (f *fakeAPI) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fakeAPI) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/courses", f.needing("learner", func(*http.Request) (any, error) {
		bare := f.course
		bare.Modules = nil
		return list[course.Course]{Items: append([]course.Course{bare, {ID: "crs_gone", Title: "Deleted a moment ago"}}, f.others...)}, nil
	}))
	mux.HandleFunc("GET /v1/courses/{id}", f.needing("learner", func(r *http.Request) (any, error) {
		for _, c := range append(f.others, f.course) {
			if c.ID == r.PathValue("id") {
				return c, nil
			}
		}
		return nil, fault.New(fault.NotFound, "There is no course %s.", r.PathValue("id"))
	}))
	mux.HandleFunc("GET /v1/courses/{id}/sources", f.needing("author", func(*http.Request) (any, error) {
		return list[map[string]any]{Items: f.sources}, nil
	}))
	mux.HandleFunc("GET /v1/courses/{id}/jobs", f.needing("author", func(r *http.Request) (any, error) {
		var own []job.Job
		for _, j := range f.jobs {
			if j.CourseID == r.PathValue("id") {
				own = append(own, j)
			}
		}
		return list[job.Job]{Items: own}, nil
	}))
	mux.HandleFunc("GET /v1/lessons/{id}", f.needing("learner", func(r *http.Request) (any, error) {
		l, ok := f.lessons[r.PathValue("id")]
		if !ok {
			return nil, fault.New(fault.NotFound, "There is no lesson %s.", r.PathValue("id"))
		}
		return l, nil
	}))
	mux.HandleFunc("GET /v1/lessons/{id}/slides", f.needing("learner", func(r *http.Request) (any, error) {
		if r.PathValue("id") == "les_fix" {
			return list[course.Slide]{}, nil
		}
		return list[course.Slide]{Items: f.slides}, nil
	}))
	mux.HandleFunc("GET /v1/lessons/{id}/questions", f.needing("author", func(*http.Request) (any, error) {
		return list[course.Question]{Items: f.asks}, nil
	}))
	mux.HandleFunc("GET /v1/jobs/{id}", f.needing("author", func(r *http.Request) (any, error) {
		for _, j := range f.jobs {
			if j.ID == r.PathValue("id") {
				return j, nil
			}
		}
		return nil, fault.New(fault.NotFound, "There is no job %s.", r.PathValue("id"))
	}))
	mux.HandleFunc("GET /v1/jobs/{id}/events", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		_, err := f.as(r)
		f.mu.Unlock()
		if err != nil {
			problem(w, r, err)
			return
		}
		if f.noStreams {
			http.NotFound(w, r)
			return
		}
		defer func() { f.left <- struct{}{} }()
		edge.Stream(w, r, func(ctx context.Context, send func(edge.Message) error) error {
			if r.PathValue("id") != "job_render" {
				select {
				case <-ctx.Done():
				case <-f.over:
				}
				return nil
			}
			for {
				select {
				case <-ctx.Done():
					return nil
				case <-f.over:
					return nil
				case m := <-f.moves:
					if err := send(m); err != nil {
						return err
					}
				}
			}
		})
	})
	mux.HandleFunc("GET /openapi.json", f.answer(func(*http.Request) (any, error) {
		return json.RawMessage(`{"openapi":"3.1.0","info":{"title":"Courses"},"paths":{"/v1/courses":{
			"get":{"tags":["courses"],"summary":"List courses","parameters":[{"name":"cursor","in":"query","description":"Where to go on"}],
				"responses":{"200":{"description":"A page","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Page"}}}}}},
			"post":{"tags":["courses"],"summary":"Make a course","responses":{"201":{"description":"Made"}}}}},
			"components":{"schemas":{"Page":{"type":"object"},"Problem":{"type":"object"}}}}`), nil
	}))
	mux.HandleFunc("/", f.needing("author", f.written))
	return edge.HTTP(mux, edge.Options{Front: edge.Front{GatewayKeys: []string{gatewayKey}}})
}

// written notes a change, and refuses it where the test says so.
func (f *fakeAPI) written(r *http.Request) (any, error) {
	if r.Method == http.MethodGet {
		return nil, fault.New(fault.NotFound, "There is nothing at this address.")
	}
	body, _ := io.ReadAll(r.Body)
	f.writes = append(f.writes, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s", r.Method, r.URL.Path, r.Header.Get("Idempotency-Key"), body)), " "))
	if err := f.auth.refuse[r.Method+" "+r.URL.Path]; err != nil {
		return nil, err
	}
	switch r.URL.Path {
	case "/v1/courses":
		made := course.Course{ID: "crs_new", Title: "New", CreatedAt: now, UpdatedAt: now}
		f.others, f.sources = append(f.others, made), nil
		return made, nil
	case "/v1/courses/crs_new/sources":
		if f.refuseSource != "" {
			return nil, fault.New(fault.Invalid, "%s", f.refuseSource)
		}
		var asked map[string]any
		if err := json.Unmarshal(body, &asked); err != nil {
			return nil, err
		}
		f.sources = []map[string]any{{"id": "src_new", "name": asked["name"], "size": asked["size"], "state": "uploading"}}
		return map[string]any{"source": f.sources[0], "upload": map[string]any{"url": f.media + "/upload?signature=s", "method": "PUT", "headers": map[string]string{"Content-Type": "text/markdown", "X-Goog-If-Generation-Match": "0"}}}, nil
	}
	return map[string]string{"id": "job_new"}, nil
}

// see remembers a request.
func (f *fakeAPI) see(r *http.Request) {
	f.seen, f.hosts = append(f.seen, r.Header.Clone()), append(f.hosts, r.Host)
	f.from = append(f.from, edge.ClientAddress(r.Context()).String())
}

// answer locks, and writes what do gives as JSON or as a problem.
func (f *fakeAPI) answer(do func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.see(r)
		if f.failure != nil {
			problem(w, r, f.failure)
			return
		}
		body, err := do(r)
		if err != nil {
			problem(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(body)
	}
}

// startSite serves the site on a port of its own, before a fake API and a bucket
// with the film at another origin, as in production.
func startSite(t testing.TB) (site string, api *fakeAPI) {
	t.Helper()
	bucket := startBucket(t, func(document []byte) {
		api.change(func() { api.uploaded, api.sources[0]["state"] = document, "queued" })
	})
	api = newFakeAPI(bucket)
	deps := api.serve(t)
	deps.Media = mustURL(t, bucket)
	server := httptest.NewServer(New(deps))
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	return server.URL, api
}

// serve puts the functions on ports of their own.
func (f *fakeAPI) serve(t testing.TB) Deps {
	deps := Deps{Front: edge.Front{GatewayKeys: []string{gatewayKey}}}
	for at, handler := range map[**url.URL]http.Handler{&deps.Courses: f.handler(), &deps.Auth: f.authHandler(), &deps.Chat: f.chatHandler()} {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		t.Cleanup(server.CloseClientConnections)
		*at = mustURL(t, server.URL)
	}
	return deps
}

func mustURL(t testing.TB, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// startBucket serves the film's files, and takes documents, as Cloud Storage would
// from a page of another origin.
func startBucket(t testing.TB, arrived func([]byte)) string {
	folder := filmFolder()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Methods", "PUT")
		w.Header().Set("Access-Control-Allow-Headers", "Content-Type, X-Goog-If-Generation-Match")
		switch path := filepath.Base(r.URL.Path); {
		case r.Method == http.MethodOptions:
		case path == "upload" && r.Method == http.MethodPut && r.Header.Get("X-Goog-If-Generation-Match") == "0":
			document, _ := io.ReadAll(r.Body)
			arrived(document)
		case path == "captions.vtt":
			w.Header().Set("Content-Type", "text/vtt")
			_, _ = w.Write(captions())
		case folder == "":
			http.NotFound(w, r)
		default:
			http.ServeFile(w, r, filepath.Join(folder, path))
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	return server.URL
}

func captions() []byte {
	var b bytes.Buffer
	b.WriteString("WEBVTT\n")
	for _, t := range routerLesson("").Video.Transcript {
		fmt.Fprintf(&b, "\n00:00:%06.3f --> 00:00:%06.3f\n%s\n", t.Start, min(t.End, 59.999), t.Text)
	}
	return b.Bytes()
}

// filmFolder makes a film of a minute with ffmpeg, once for all tests; "" when there
// is no ffmpeg. TestMain removes it.
var filmMade bool

var filmFolder = sync.OnceValue(func() string {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		return ""
	}
	folder, err := os.MkdirTemp("", "lectern-web-")
	if err != nil {
		panic(err)
	}
	filmMade = true
	picture := "gradients=s=640x360:r=5:d=60:c0=0x0d4f4a:c1=0x123c50:c2=0x0c2b2a:n=3:speed=0.01:seed=7"
	film := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "anullsrc=r=24000:cl=mono", "-t", "60",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "+faststart", filepath.Join(folder, "video.mp4"))
	poster := exec.Command("ffmpeg", "-v", "error", "-i", filepath.Join(folder, "video.mp4"), "-frames:v", "1", filepath.Join(folder, "poster.jpg"))
	for _, c := range []*exec.Cmd{film, poster} {
		if out, err := c.CombinedOutput(); err != nil {
			panic(fmt.Sprintf("%v: %s", err, out))
		}
	}
	return folder
})
