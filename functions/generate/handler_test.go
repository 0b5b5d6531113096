package generate_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/functions/generate"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/authoring"
	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/edge/edgetest"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/offline"
	"lectern.dev/lectern/internal/openai"
	"lectern.dev/lectern/internal/openai/openaitest"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/internal/queue"
	"lectern.dev/lectern/internal/source"
	"lectern.dev/lectern/internal/source/extract"
	"lectern.dev/lectern/internal/source/sample"
)

func TestMain(m *testing.M) {
	extract.ChildMain()
	os.Exit(m.Run())
}

// house is the function on a database of its own, with a course whose source is read.
type house struct {
	db     *pgxpool.Pool
	queue  *queue.Memory
	bucket *blob.Memory
	runner *job.Runner
	http   http.Handler
	course string
	ctx    context.Context // of deliveries; nil: the test's
}

func newHouse(t *testing.T, model llm.Model) *house {
	t.Helper()
	h := &house{db: pgtest.New(t), queue: &queue.Memory{}, bucket: &blob.Memory{}}
	board, db := &live.Memory{}, pgtest.As(t, h.db, postgres.System)
	h.runner = &job.Runner{DB: db, Queue: h.queue, Board: board}
	h.http = generate.New(generate.Deps{Callers: edgetest.Anyone, DB: db, Queue: h.queue, Board: board, Model: model})
	h.do(t, func(ctx context.Context, tx pgx.Tx) error {
		c, err := course.Create(ctx, tx, account.Local.Organization, account.Local.User, course.Fields{Title: "A course", Language: "en"})
		h.course = c.ID
		return err
	})
	return h
}

func (h *house) do(t *testing.T, fn func(ctx context.Context, tx pgx.Tx) error) {
	t.Helper()
	if err := postgres.InTx(t.Context(), h.db, func(tx pgx.Tx) error { return fn(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

// read uploads a document and reads it, as functions/ingest does.
func (h *house) read(t *testing.T, name string, document []byte) {
	t.Helper()
	var s source.Source
	h.do(t, func(ctx context.Context, tx pgx.Tx) (err error) {
		s, err = source.Create(ctx, tx, account.Local.Organization, h.course, source.NewSource{Name: name, Size: int64(len(document))})
		return err
	})
	info, err := h.bucket.Write(t.Context(), s.Object, bytes.NewReader(document), blob.WriteOptions{ContentType: s.ContentType})
	if err != nil {
		t.Fatal(err)
	}
	if err := source.Uploaded(t.Context(), h.runner, info); err != nil {
		t.Fatal(err)
	}
	h.drain(t)
	if s, err = source.Get(t.Context(), h.db, account.Local.Organization, s.ID); err != nil || s.State != source.Ready {
		t.Fatalf("source: %+v, %v", s, err)
	}
}

// drain delivers tasks until none is left.
func (h *house) drain(t *testing.T) {
	t.Helper()
	reader := &source.Reader{DB: h.db, Bucket: h.bucket, Scratch: t.TempDir()}
	ctx := h.ctx
	if ctx == nil {
		ctx = t.Context()
	}
	err := h.queue.Drain(ctx, func(ctx context.Context, task queue.Task) error {
		if task.Target == queue.Ingest {
			return h.runner.Execute(ctx, task.Body, reader.Read)
		}
		w := httptest.NewRecorder()
		h.http.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(task.Body)))
		if w.Code != http.StatusOK {
			return fmt.Errorf("status %d: %s", w.Code, w.Body)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (h *house) generate(t *testing.T, b authoring.Brief) job.Job {
	t.Helper()
	j, err := authoring.StartGeneration(t.Context(), h.runner, account.Local, h.course, b)
	if err != nil {
		t.Fatal(err)
	}
	h.drain(t)
	j, err = job.Get(t.Context(), h.db, account.Local.Organization, j.ID)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// everything is a course as it was written.
func (h *house) everything(t *testing.T) (c course.Course, lessons []course.Lesson, slides [][]course.Slide, questions [][]course.Question) {
	t.Helper()
	c, err := course.Get(t.Context(), h.db, account.Local.Organization, h.course)
	for _, m := range c.Modules {
		for _, l := range m.Lessons {
			if err != nil {
				break
			}
			var lesson course.Lesson
			var s []course.Slide
			var q []course.Question
			lesson, err = course.GetLesson(t.Context(), h.db, account.Local.Organization, l.ID)
			if err == nil {
				s, _, err = course.Slides(t.Context(), h.db, account.Local.Organization, l.ID)
			}
			if err == nil {
				q, _, err = course.Questions(t.Context(), h.db, account.Local.Organization, l.ID)
			}
			lessons, slides, questions = append(lessons, lesson), append(slides, s), append(questions, q)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return c, lessons, slides, questions
}

func TestTheSampleBecomesACourse(t *testing.T) {
	t.Parallel()
	h := newHouse(t, offline.Model{})
	h.read(t, sample.Name, sample.Document)
	j := h.generate(t, authoring.Brief{Lessons: 4, TitleFromSource: true})
	if j.State != job.Succeeded || j.Done != j.Total {
		t.Fatalf("job: %+v", j)
	}
	c, lessons, slides, questions := h.everything(t)
	if c.Title == "A course" || c.Summary == "" || len(lessons) != 4 {
		t.Errorf("course: %+v, %d lessons", c, len(lessons))
	}
	for i, l := range lessons {
		if len(l.Objectives) < 2 || len(l.Article) < 500 || len(l.Citations) < 3 || !strings.Contains(l.Article, "[^p1]") {
			t.Errorf("lesson %q: %d objectives, %d characters, %d citations", l.Title, len(l.Objectives), len(l.Article), len(l.Citations))
		}
		if n := len(slides[i]); n < 5 || n > 12 {
			t.Errorf("lesson %q has %d slides", l.Title, n)
		}
		if n := len(questions[i]); n < 3 || n > 8 {
			t.Errorf("lesson %q has %d questions", l.Title, n)
		}
	}
	h.checkEvidence(t, lessons, slides, questions)
}

// checkEvidence holds every quote against the extracted text in the bucket.
func (h *house) checkEvidence(t *testing.T, lessons []course.Lesson, slides [][]course.Slide, questions [][]course.Question) {
	t.Helper()
	texts := map[string][]rune{}
	check := func(what string, evidence []course.Evidence) {
		if len(evidence) == 0 {
			t.Errorf("%q has no evidence", what)
		}
		for _, e := range evidence {
			if texts[e.Source] == nil {
				texts[e.Source] = []rune(h.object(t, source.TextKey(e.Source)))
			}
			text := texts[e.Source]
			if e.Start < 0 || e.End > len(text) || e.Start >= e.End || e.Quote != "" && string(text[e.Start:e.End]) != e.Quote {
				t.Errorf("%q: the evidence %+v does not stand in the text", what, e)
			}
		}
	}
	for i, l := range lessons {
		check(l.Title, l.Citations)
		for _, s := range slides[i] {
			for _, p := range s.Points {
				check(p.Text, p.Evidence)
			}
			for _, n := range s.Narration {
				check(n.Text, n.Evidence)
			}
		}
		for _, q := range questions[i] {
			check(q.Prompt, q.Evidence)
		}
	}
}

func (h *house) object(t *testing.T, key string) string {
	t.Helper()
	r, _, err := h.bucket.Open(t.Context(), key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestDocumentsInTheirLanguages(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../internal/offline/testdata/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("documents: %v, %v", files, err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			h := newHouse(t, offline.Model{})
			h.read(t, filepath.Base(f), text)
			if j := h.generate(t, authoring.Brief{Lessons: 1}); j.State != job.Succeeded {
				t.Fatalf("job: %+v", j)
			}
			c, lessons, slides, questions := h.everything(t)
			if want := strings.Split(filepath.Base(f), ".")[1]; c.Language != want {
				t.Errorf("language %q", c.Language)
			}
			h.checkEvidence(t, lessons, slides, questions)
		})
	}
}

func TestWithoutASourceAModelIsNeeded(t *testing.T) {
	t.Parallel()
	h := newHouse(t, offline.Model{})
	j := h.generate(t, authoring.Brief{Title: "The moon"})
	if j.State != job.Failed || !strings.Contains(j.Error, "OPENAI_API_KEY") {
		t.Errorf("job: %+v", j)
	}
}

func TestWrongTasks(t *testing.T) {
	t.Parallel()
	h := newHouse(t, offline.Model{})
	for _, body := range []string{"", "{}", `{"job":"job_1","step":"plan"}`} {
		w := httptest.NewRecorder()
		h.http.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body)))
		if w.Code != http.StatusOK { // coming again would not help
			t.Errorf("%q: %d", body, w.Code)
		}
	}
}

func TestModels(t *testing.T) {
	t.Parallel()
	prices, err := budget.LoadPrices("")
	if err != nil {
		t.Fatal(err)
	}
	ledger := &budget.Ledger{Prices: prices}
	if m, err := generate.NewModel(generate.OpenAI{Model: "x"}, ledger); err != nil || m.Name() != (offline.Model{}).Name() {
		t.Errorf("%T, %v", m, err)
	}
	if m, err := generate.NewModel(generate.OpenAI{APIKey: "key"}, ledger); err != nil || m.Name() != openai.DefaultModel {
		t.Errorf("%T, %v", m, err)
	}
	for _, wrong := range []generate.OpenAI{
		{BaseURL: "nonsense"},
		{APIKey: "key", Model: "no-price"},
		{BackupBaseURL: "nonsense"},
		{BackupBaseURL: "http://127.0.0.1:1/v1", BackupModel: "no-price"},
	} {
		if _, err := generate.NewModel(wrong, ledger); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}

// A model that is down is replaced by its backup, and each is paid for by itself.
func TestTheBackupWrites(t *testing.T) {
	t.Parallel()
	first := openaitest.New(t, openaitest.Error(http.StatusServiceUnavailable, "", "down"))
	second := openaitest.New(t, openaitest.Reply{Text: "written"})
	ledger := &budget.Ledger{DB: pgtest.New(t), Prices: budget.Prices{"a": {Kind: budget.Tokens}, "b": {Kind: budget.Tokens, Output: 1}}, Defaults: budget.Limits{Soft: 1e6, Hard: 1e6}}
	m, err := generate.NewModel(generate.OpenAI{BaseURL: first.URL + "/v1", Model: "a", BackupBaseURL: second.URL + "/v1", BackupModel: "b"}, ledger)
	if err != nil {
		t.Fatal(err)
	}
	ctx, spent := budget.Counting(account.With(t.Context(), account.Local))
	resp, err := m.Complete(ctx, llm.Request{Messages: []llm.Message{{Role: llm.User, Text: "Write."}}})
	if err != nil || resp.Text != "written" || resp.Model != "b" || !resp.Tries.Backup || spent.Micros() != 7 {
		t.Errorf("%+v, %v, %d", resp, err, spent.Micros())
	}
}
