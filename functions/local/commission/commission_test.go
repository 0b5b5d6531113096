package commission

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/source"
)

func TestFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	large := write("large.pdf", "")
	if err := os.Truncate(large, maxFile+1); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		write("Guide.MD", "# Guide"):         "",
		write("guide.exe", "x"):              "is not a document that can be read",
		write("empty.txt", ""):               "is empty",
		large:                                "at most 50 MB",
		filepath.Join(folder, "missing.pdf"): "cannot be read: no such file",
	} {
		d, err := File(path)
		switch {
		case want == "" && (err != nil || d.Type != "text/markdown" || d.Size != 7):
			t.Errorf("%s: %+v, %v", path, d, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if err := os.Mkdir(filepath.Join(folder, "folder.md"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := File(filepath.Join(folder, "folder.md")); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("a folder: %v", err)
	}
}

// api is a script of Lectern's API: each job's states, one per question.
type api struct {
	t       *testing.T
	mu      sync.Mutex
	sources []source.State
	jobs    map[string][]job.State
	asked   []string
	upload  string
	busy    int // answers of 503 before the first success
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy > 0 {
		a.busy--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	body, _ := io.ReadAll(r.Body)
	step := r.Method + " " + r.URL.Path
	if len(a.asked) == 0 || a.asked[len(a.asked)-1] != step {
		a.asked = append(a.asked, step)
	}
	if r.Method == http.MethodPost && r.Header.Get("Idempotency-Key") == "" {
		a.t.Errorf("%s without a key", step)
	}
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	switch step {
	case "POST /v1/courses":
		answer(course.Course{ID: "crs_1"})
	case "POST /v1/courses/crs_1/sources":
		answer(map[string]any{"upload": map[string]any{
			"url": "http://" + r.Host + "/bucket", "method": "PUT", "headers": map[string]string{"X-Limit": "1"},
		}})
	case "PUT /bucket":
		a.upload = r.Header.Get("X-Limit") + string(body)
	case "GET /v1/courses/crs_1/sources":
		state := a.sources[0]
		if len(a.sources) > 1 {
			a.sources = a.sources[1:]
		}
		answer(items[source.Source]{[]source.Source{{Name: "a.md", State: state, Reason: "It is encrypted."}}})
	case "POST /v1/courses/crs_1/generations", "POST /v1/courses/crs_1/renders":
		answer(map[string]any{"job": job.Job{ID: filepath.Base(r.URL.Path), State: job.Queued}})
	case "GET /v1/jobs/generations", "GET /v1/jobs/renders", "DELETE /v1/jobs/generations":
		name := filepath.Base(r.URL.Path)
		state := a.jobs[name][0]
		if len(a.jobs[name]) > 1 {
			a.jobs[name] = a.jobs[name][1:]
		}
		answer(job.Job{ID: name, State: state, Error: "The model is out of quota.", Message: "The budget is used up.", Done: 1, Total: 2})
	default:
		w.WriteHeader(http.StatusUnprocessableEntity)
		answer(map[string]string{"detail": "There is no such thing."})
	}
}

func (a *api) maker() *Maker {
	server := httptest.NewServer(a)
	a.t.Cleanup(server.Close)
	return &Maker{URL: server.URL}
}

func note() []Document {
	return []Document{{Name: "a.md", Type: "text/markdown", Size: 5, Content: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("# One")), nil
	}}}
}

func TestMaker(t *testing.T) {
	t.Parallel()
	a := &api{t: t, busy: 2, sources: []source.State{source.Uploading, source.Ready}, jobs: map[string][]job.State{
		"generations": {job.Running, job.Succeeded}, "renders": {job.Running, job.Succeeded},
	}}
	m := a.maker()
	var stages []string
	m.Show = func(stage, _ string, _, _ int64, _ *time.Duration) {
		if !slices.Contains(stages, stage) {
			stages = append(stages, stage)
		}
	}
	id, err := m.Begin(t.Context(), note(), Brief{})
	if err != nil || id != "crs_1" || a.upload != "1# One" {
		t.Fatalf("begun %s, uploaded %q: %v", id, a.upload, err)
	}
	if err := m.Finish(t.Context(), id, Brief{}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(stages, " "); got != "Reading Writing Filming" {
		t.Errorf("stages: %s", got)
	}
}

func TestMakerTellsWhy(t *testing.T) {
	t.Parallel()
	for want, a := range map[string]*api{
		"a.md: It is encrypted.":     {sources: []source.State{source.Failed}},
		"The model is out of quota.": {sources: []source.State{source.Ready}, jobs: map[string][]job.State{"generations": {job.Failed}}},
		"The budget is used up.":     {sources: []source.State{source.Ready}, jobs: map[string][]job.State{"generations": {job.Waiting}}},
		"the work was canceled":      {sources: []source.State{source.Ready}, jobs: map[string][]job.State{"generations": {job.Canceled}}},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			a.t = t
			if err := a.maker().Finish(t.Context(), "crs_1", Brief{}); err == nil || err.Error() != want {
				t.Errorf("got %v", err)
			}
		})
	}
	a := &api{t: t}
	if err := a.maker().Finish(t.Context(), "crs_2", Brief{}); err == nil || err.Error() != "There is no such thing." {
		t.Errorf("a problem: %v", err)
	}
}

// Whoever stops a commission stops its job too, unless the next start goes on with it.
func TestMakerCancels(t *testing.T) {
	t.Parallel()
	for _, leave := range []bool{false, true} {
		a := &api{t: t, sources: []source.State{source.Ready}, jobs: map[string][]job.State{"generations": {job.Running}}}
		m := a.maker()
		m.Leave = leave
		ctx, cancel := context.WithCancel(t.Context())
		m.Show = func(stage, _ string, _, total int64, _ *time.Duration) {
			if stage == "Writing" && total > 0 {
				cancel()
			}
		}
		if err := m.Finish(ctx, "crs_1", Brief{}); err == nil {
			t.Error("it went on")
		}
		if canceled := slices.Contains(a.asked, "DELETE /v1/jobs/generations"); canceled == leave {
			t.Errorf("leave %t: canceled %t", leave, canceled)
		}
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	out := filepath.Join(parent, "out")
	for round := range 2 { // into nothing, then in the place of an earlier course
		fresh := filepath.Join(parent, fmt.Sprint("fresh", round))
		if err := os.Mkdir(fresh, 0o700); err != nil {
			t.Fatal(err)
		}
		film := fmt.Sprintf("01-round-%d.mp4", round)
		for _, name := range []string{courseFile, film} {
			if err := os.WriteFile(filepath.Join(fresh, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := replace(out, fresh); err != nil {
			t.Fatal(err)
		}
		if names := list(t, out); names != film+" "+courseFile {
			t.Errorf("round %d: %s", round, names)
		}
	}
	if left := list(t, parent); left != "out" {
		t.Errorf("left behind: %s", left)
	}
	precious := filepath.Join(parent, "precious")
	if err := errors.Join(os.Mkdir(precious, 0o700), os.WriteFile(filepath.Join(precious, "letter"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := replace(precious, t.TempDir()); err == nil || list(t, precious) != "letter" {
		t.Errorf("a folder of something else was replaced: %v", err)
	}
	// A letter beside an earlier course would go with it.
	if err := os.WriteFile(filepath.Join(out, "letter"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := replace(out, t.TempDir()); err == nil || !strings.Contains(err.Error(), "letter") {
		t.Errorf("a letter beside an earlier course was removed: %v", err)
	}
}

func list(t *testing.T, folder string) string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestSlug(t *testing.T) {
	t.Parallel()
	for title, want := range map[string]string{
		"Über Pakete & Dateien":   "uber-pakete-dateien",
		"../../etc/passwd":        "etc-passwd",
		"数据库":                     "lesson",
		"":                        "lesson",
		strings.Repeat("ab ", 50): strings.TrimSuffix(strings.Repeat("ab-", 20), "-"),
	} {
		if got := slug(title); got != want {
			t.Errorf("slug(%q) = %q, want %q", title, got, want)
		}
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	lesson := ExportedLesson{Number: 2, Lesson: course.Lesson{
		Title: "Packages\nand files", Objectives: []string{"Know one"}, Article: "They carry files[^p1].", Video: &course.Video{URL: "02-packages.mp4"},
		Citations: []course.Evidence{{Source: "src_1", Page: 7, Heading: "Basics", Quote: "A package carries files"}},
	}, Questions: []course.Question{{Prompt: "What?", Choices: []string{"Files", "Water"}, Key: 0, Explanation: "Page 7."}}}
	got := markdown(&Exported{
		Course: course.Course{Title: "Debian"}, Sources: []source.Source{{ID: "src_1", Name: "d.pdf", Title: "The Handbook"}},
		Modules: []ExportedModule{{Module: course.Module{Title: "First"}, Lessons: []ExportedLesson{lesson}}},
	})
	want := `# Debian

## First

### 2. Packages and files

[Video](02-packages.mp4)

- Know one

They carry files[^2-p1].

#### Questions

1. What?

   - [x] Files
   - [ ] Water

   Page 7.

[^2-p1]: The Handbook, p. 7, Basics: “A package carries files”
`
	if got != want {
		t.Errorf("got:\n%s", got)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	for terminal, want := range map[bool]string{
		false: "Writing: 0 % Planning\nWriting: 50 % Lesson 2\n",
		true: "\rWriting  [..............................]   0 %  Planning\rWriting  [..............................]   1 %  Planning" +
			"\rWriting  [###############...............]  50 %  Lesson 2  (5s left)\n",
	} {
		var out strings.Builder
		p := &Progress{out: &out, terminal: terminal}
		left := 5 * time.Second
		p.Show("Writing", "Planning", 0, 100, nil)
		p.Show("Writing", "Planning", 1, 100, nil)
		p.Show("Writing", "Lesson 2", 50, 100, &left)
		p.Show("Writing", "Lesson 2", 50, 100, &left)
		p.End()
		if out.String() != want {
			t.Errorf("terminal %t: %q", terminal, out.String())
		}
	}
}
