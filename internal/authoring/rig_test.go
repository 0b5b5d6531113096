package authoring_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/authoring"
	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/internal/queue"
	"lectern.dev/lectern/internal/source"
	"lectern.dev/lectern/internal/source/extract"
)

const organization = "org_local"

func TestMain(m *testing.M) {
	extract.ChildMain()
	os.Exit(m.Run())
}

const document = `# Tides

## Causes

The moon pulls the water of the oceans towards it. The sun pulls too, but less than half as strongly. A bulge of water forms on the side of the earth that faces the moon. A second bulge forms on the opposite side.

## Rhythm

High water comes about every 12 hours and 25 minutes. A tide table lists the times of high water for a harbour. Spring tides occur at new moon and at full moon. Neap tides occur at the quarters of the moon.

## Power

A tidal power station uses the difference between high and low water. The station at La Rance has worked since 1966. Turbines turn when the basin empties. Electricity comes at times that can be foretold.
`

// house is a database with a course whose source is read, and a model that answers by a script.
type house struct {
	db     *pgxpool.Pool
	queue  *queue.Memory
	bucket *blob.Memory
	runner *job.Runner
	agents *authoring.Agents
	course string
}

func newHouse(t *testing.T, model llm.Model, documents ...string) *house {
	t.Helper()
	h := &house{db: pgtest.New(t), queue: &queue.Memory{}, bucket: &blob.Memory{}}
	db := pgtest.As(t, h.db, postgres.System)
	h.runner = &job.Runner{DB: db, Queue: h.queue, Board: &live.Memory{}, Beat: 50 * time.Millisecond, Lease: time.Minute}
	h.agents = &authoring.Agents{DB: db, Library: source.Library{DB: db}, Model: model}
	h.course = h.newCourse(t, documents...)
	return h
}

// newCourse makes a course from Markdown.
func (h *house) newCourse(t *testing.T, documents ...string) string {
	t.Helper()
	var c course.Course
	h.do(t, func(ctx context.Context, tx pgx.Tx) (err error) {
		c, err = course.Create(ctx, tx, organization, account.Local.User, course.Fields{Title: "The sea"})
		return err
	})
	for i, text := range documents {
		s := h.create(t, c.ID, fmt.Sprintf("%d.md", i), len(text))
		info, err := h.bucket.Write(t.Context(), s.Object, strings.NewReader(text), blob.WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := source.Uploaded(t.Context(), h.runner, info); err != nil {
			t.Fatal(err)
		}
	}
	h.drain(t)
	return c.ID
}

func (h *house) create(t *testing.T, course, name string, size int) (s source.Source) {
	t.Helper()
	h.do(t, func(ctx context.Context, tx pgx.Tx) (err error) {
		s, err = source.Create(ctx, tx, organization, course, source.NewSource{Name: name, Size: int64(size)})
		return err
	})
	return s
}

func (h *house) do(t *testing.T, fn func(ctx context.Context, tx pgx.Tx) error) {
	t.Helper()
	if err := postgres.InTx(t.Context(), h.db, func(tx pgx.Tx) error { return fn(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

func (h *house) drain(t *testing.T) {
	t.Helper()
	reader := &source.Reader{DB: h.db, Bucket: h.bucket, Scratch: t.TempDir()}
	err := h.queue.Drain(t.Context(), func(ctx context.Context, task queue.Task) error {
		if task.Target == queue.Ingest {
			return h.runner.Execute(ctx, task.Body, reader.Read)
		}
		if err := h.runner.Execute(ctx, task.Body, h.agents.Work); fault.Retryable(err) {
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (h *house) start(t *testing.T, b authoring.Brief) job.Job {
	t.Helper()
	j, err := authoring.StartGeneration(t.Context(), h.runner, account.Local, h.course, b)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func (h *house) job(t *testing.T, id string) job.Job {
	t.Helper()
	j, err := job.Get(t.Context(), h.db, organization, id)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// lessons gives titles with what was written of each.
func (h *house) lessons(t *testing.T) (out []string) {
	t.Helper()
	c, err := course.Get(t.Context(), h.db, organization, h.course)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range c.Modules {
		for _, l := range m.Lessons {
			slides, _, err := course.Slides(t.Context(), h.db, organization, l.ID)
			if err != nil {
				t.Fatal(err)
			}
			questions, _, err := course.Questions(t.Context(), h.db, organization, l.ID)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprintf("%s: %d slides, %d questions", l.Title, len(slides), len(questions)))
		}
	}
	return out
}

// typist is a model that does its work properly: a lesson per section, a point per
// sentence. It counts what it was asked, and spoil can change an answer.
type typist struct {
	mu    sync.Mutex
	calls map[string]int // by schema and lesson
	spoil func(req llm.Request, answer map[string]any) error
}

func (m *typist) Name() string { return "typist" }

func (m *typist) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.calls == nil {
		m.calls = map[string]int{}
	}
	m.calls[req.Schema.Name+" "+req.Inputs["lesson"]]++
	var answer map[string]any
	switch req.Schema.Name {
	case "outline":
		answer = outlineOf(req)
	case "lesson":
		answer = lessonOf(req)
	case "questions":
		answer = questionsOf(req)
	case "review":
		answer = map[string]any{"repairs": []any{}}
	}
	if m.spoil != nil {
		if err := m.spoil(req, answer); err != nil {
			return llm.Response{}, err
		}
	}
	resp := llm.JSON(answer)
	resp.Model, resp.Finish, resp.Usage = "typist", llm.Stop, llm.Usage{Input: 100, Output: 10}
	return resp, ctx.Err()
}

type object = map[string]any

func outlineOf(req llm.Request) object {
	var sections []struct {
		ID   string   `json:"id"`
		Path []string `json:"path"`
	}
	if err := json.Unmarshal([]byte(req.Inputs["sections"]), &sections); err != nil {
		panic(err)
	}
	lessons := []any{}
	for _, s := range sections {
		lessons = append(lessons, object{"title": s.Path[len(s.Path)-1], "sections": []string{s.ID}})
	}
	return object{"title": "Tides", "summary": "The moon pulls the water.", "modules": []any{object{"title": "All", "summary": "", "lessons": lessons}}}
}

var sentence = regexp.MustCompile(`[^.]+\.`)

func lessonOf(req llm.Request) object {
	slides := []any{}
	for _, p := range req.Passages {
		points, narration := []any{}, []any{object{"text": "Let us begin.", "reveals": 0, "cites": []any{}}}
		for i, s := range sentence.FindAllString(p.Text, 4) {
			s = strings.TrimSpace(s)
			cites := []any{object{"passage": p.ID, "quote": s}}
			points = append(points, object{"text": strings.TrimSuffix(s, "."), "cites": cites})
			narration = append(narration, object{"text": s, "reveals": i + 1, "cites": cites})
		}
		for i := range 5 { // five slides that say the same in other words would be dropped: let each have its title
			slides = append(slides, object{
				"kind": "points", "title": fmt.Sprintf("Part %d", i+1), "points": points[min(i, 2):], "code": nil, "table": nil, "quote": nil,
				"narration": narration[:len(narration)-min(i, 2)],
			})
		}
	}
	return object{"objectives": []string{"Explain it"}, "article": "## All\n\nWords.[^p1]", "slides": slides}
}

func questionsOf(req llm.Request) object {
	questions := []any{}
	for i, s := range sentence.FindAllString(req.Passages[0].Text, 3) {
		s = strings.TrimSpace(s)
		questions = append(questions, object{
			"prompt": fmt.Sprintf("What is right? (%d)", i), "choices": []string{"Nothing", s, "Everything"}, "key": 1,
			"explanation": s, "cites": []any{object{"passage": "p1", "quote": s}},
		})
	}
	return object{"questions": questions}
}
