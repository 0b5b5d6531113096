package finalize_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/functions/finalize"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/course/coursetest"
	"lectern.dev/lectern/internal/edge/cloudevent"
	"lectern.dev/lectern/internal/edge/edgetest"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/film"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/logtest"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/internal/queue"
)

const organization = "org_local"

// house is finalize with the ports' fakes, on a database that holds one lesson.
type house struct {
	http.Handler
	db             *pgxpool.Pool
	queue          *queue.Memory
	bucket         *blob.Memory
	runner         *job.Runner
	course, lesson string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{db: pgtest.New(t), queue: &queue.Memory{}, bucket: &blob.Memory{}}
	board := &live.Memory{}
	db := pgtest.As(t, h.db, postgres.System)
	h.Handler = finalize.New(finalize.Deps{Callers: edgetest.Anyone, DB: db, Queue: h.queue, Board: board, Bucket: h.bucket})
	h.runner = &job.Runner{DB: db, Queue: h.queue, Board: board}
	h.course, h.lesson = coursetest.Lesson(t, h.db, organization)
	return h
}

func (h *house) do(t *testing.T, fn func(context.Context, pgx.Tx) error) {
	t.Helper()
	if err := postgres.InTx(t.Context(), h.db, func(tx pgx.Tx) error { return fn(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

func (h *house) put(t *testing.T, key string, metadata map[string]string) blob.Info {
	t.Helper()
	info, err := h.bucket.Write(t.Context(), key, strings.NewReader("content"), blob.WriteOptions{Metadata: metadata})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// tell posts the event that Cloud Storage sends for an object, in binary mode.
func (h *house) tell(t *testing.T, object blob.Info) int {
	t.Helper()
	data, err := json.Marshal(cloudevent.ObjectFinalized{
		Bucket: "lectern", Name: object.Key, Generation: object.Generation, Metageneration: 1,
		Size: object.Size, Metadata: object.Metadata,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(data))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("ce-id", strconv.FormatInt(object.Generation, 10))
	r.Header.Set("ce-source", "//storage.googleapis.com/projects/_/buckets/lectern")
	r.Header.Set("ce-specversion", "1.0")
	r.Header.Set("ce-type", cloudevent.FinalizedType)
	r.Header.Set("ce-subject", "objects/"+object.Key)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// upload makes a source whose upload lies in the bucket.
func (h *house) upload(t *testing.T) (source string, object blob.Info) {
	t.Helper()
	source = id.New(id.Source)
	key := "sources/" + source + "/upload"
	h.do(t, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO sources (source_id, course_id, organization_id, name, content_type, size, state, object)
			VALUES ($1, $2, $3, 'notes.md', 'text/markdown', 7, 'uploading', $4)`, source, h.course, organization, key)
		return err
	})
	return source, h.put(t, key, nil)
}

func (h *house) source(t *testing.T, source string) (state string, generation int64, jobs int) {
	t.Helper()
	err := h.db.QueryRow(t.Context(), `
		SELECT state, generation, (SELECT count(*) FROM jobs WHERE subject = source_id)
		FROM sources WHERE source_id = $1`, source).Scan(&state, &generation, &jobs)
	if err != nil {
		t.Fatal(err)
	}
	return state, generation, jobs
}

// render makes a render job whose step has announced its film and is being
// worked on, and gives the step.
func (h *house) render(t *testing.T, content string) job.Step {
	t.Helper()
	var j job.Job
	h.do(t, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		j, _, err = job.Start(ctx, tx, job.NewJob{
			Organization: organization, User: account.Local.User, Kind: job.Render, Subject: h.lesson, CourseID: h.course, Content: content,
			Steps: []job.NewStep{{Name: "render", Kind: "render", Subject: h.lesson, Content: content}},
		})
		return err
	})
	return h.attempt(t, job.Ref{Job: j.ID, Step: "render"}, content)
}

// attempt executes a step up to its delivery.
func (h *house) attempt(t *testing.T, ref job.Ref, content string) (step job.Step) {
	t.Helper()
	body, err := json.Marshal(ref)
	if err != nil {
		t.Fatal(err)
	}
	err = h.runner.Execute(t.Context(), body, func(ctx context.Context, run *job.Run) (job.Result, error) {
		step = run.Step
		err := run.Commit(ctx, func(tx pgx.Tx) error {
			return course.SaveManifest(ctx, tx, organization, course.NewVideo{
				Lesson: h.lesson, Content: content, LessonVersion: 1, Attempt: step.Attempt, Folder: film.Folder(step, content),
			})
		})
		return job.Result{Delivered: true}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return step
}

// deliver puts the film of a step into the bucket.
func (h *house) deliver(t *testing.T, step job.Step, content string) blob.Info {
	t.Helper()
	return h.put(t, film.Folder(step, content)+course.VideoFile, map[string]string{
		"organization": step.Organization, "job": step.Job, "step": step.Name, "attempt": strconv.FormatInt(step.Attempt, 10),
	})
}

func (h *house) video(t *testing.T, content string) (state string, generation int64) {
	t.Helper()
	err := h.db.QueryRow(t.Context(), `SELECT state, generation FROM videos WHERE lesson_id = $1 AND content = $2`, h.lesson, content).Scan(&state, &generation)
	if err != nil {
		t.Fatal(err)
	}
	return state, generation
}

func (h *house) job(t *testing.T, step job.Step) job.State {
	t.Helper()
	j, err := job.Get(t.Context(), h.db, organization, step.Job)
	if err != nil {
		t.Fatal(err)
	}
	return j.State
}

func TestUploadStartsOneIngestHoweverOftenItIsTold(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	source, object := h.upload(t)
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if code := h.tell(t, object); code != http.StatusOK {
				t.Errorf("status %d", code)
			}
		})
	}
	all.Wait()
	state, generation, jobs := h.source(t, source)
	if state != "queued" || generation != object.Generation || jobs != 1 {
		t.Errorf("the source is %s at generation %d with %d jobs", state, generation, jobs)
	}
	if n := len(h.queue.Waiting()); n != 1 {
		t.Errorf("%d tasks", n)
	}

	// An hour later, when it has been read.
	h.do(t, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			WITH read AS (UPDATE jobs SET state = 'succeeded', finished_at = now())
			UPDATE sources SET state = 'ready'`)
		return err
	})
	if code := h.tell(t, object); code != http.StatusOK {
		t.Errorf("status %d", code)
	}
	if state, _, jobs := h.source(t, source); state != "ready" || jobs != 1 {
		t.Errorf("the source is %s with %d jobs", state, jobs)
	}
}

// The function died between its commit and the task, or the queue was down.
func TestUploadIsToldAgainBecauseItsTaskWasNotSent(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	source, object := h.upload(t)
	h.queue.Fail(fault.New(fault.Unavailable, "The queue is down."))
	if code := h.tell(t, object); code != http.StatusServiceUnavailable {
		t.Errorf("status %d: the event would not come again", code)
	}
	h.queue.Fail(nil)
	if code := h.tell(t, object); code != http.StatusOK {
		t.Errorf("status %d", code)
	}
	if _, _, jobs := h.source(t, source); jobs != 1 || len(h.queue.Waiting()) != 1 {
		t.Errorf("%d jobs, %d tasks", jobs, len(h.queue.Waiting()))
	}
}

func TestUploadOfAnUnknownSourceIsRemoved(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	object := h.put(t, "sources/"+id.New(id.Source)+"/upload", nil)
	if code := h.tell(t, object); code != http.StatusOK {
		t.Errorf("status %d", code)
	}
	if objects, _ := h.bucket.List(t.Context(), ""); len(objects) != 0 {
		t.Errorf("left: %v", objects)
	}
}

func TestFilmBecomesReady(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	step := h.render(t, "c1")
	object := h.deliver(t, step, "c1")
	for range 3 {
		if code := h.tell(t, object); code != http.StatusOK {
			t.Errorf("status %d", code)
		}
	}
	if state, generation := h.video(t, "c1"); state != "ready" || generation != object.Generation {
		t.Errorf("the video is %s at generation %d", state, generation)
	}
	if state := h.job(t, step); state != job.Succeeded {
		t.Errorf("the job %s", state)
	}
}

// An event may come hours late: for a generation that was overwritten since, or
// for one of which a newer event was told already.
func TestOlderGenerationNeverWins(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	step := h.render(t, "c1")
	older := h.deliver(t, step, "c1")
	newer := h.deliver(t, step, "c1")
	for _, object := range []blob.Info{older, newer, older} {
		if code := h.tell(t, object); code != http.StatusOK {
			t.Errorf("status %d", code)
		}
		if state, generation := h.video(t, "c1"); state != "ready" || generation != newer.Generation {
			t.Errorf("the video is %s at generation %d, not %d", state, generation, newer.Generation)
		}
	}
}

func TestFilmsThatNobodyWantsStayUnpublished(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(h *house, step job.Step, object blob.Info) blob.Info{
		"the job was canceled": func(h *house, step job.Step, object blob.Info) blob.Info {
			if _, err := h.runner.Cancel(t.Context(), organization, step.Job); err != nil {
				t.Error(err)
			}
			return object
		},
		"a newer attempt has taken over": func(h *house, step job.Step, object blob.Info) blob.Info {
			_, err := h.db.Exec(t.Context(), `UPDATE job_steps SET state = 'running', attempt = attempt + 1 WHERE job_id = $1`, step.Job)
			if err != nil {
				t.Error(err)
			}
			return object
		},
		"the manifest names another attempt": func(h *house, _ job.Step, object blob.Info) blob.Info {
			_, err := h.db.Exec(t.Context(), `UPDATE videos SET attempt = attempt + 1, folder = 'videos/elsewhere/' WHERE lesson_id = $1`, h.lesson)
			if err != nil {
				t.Error(err)
			}
			return object
		},
		"it says that it belongs to another organization": func(h *house, _ job.Step, object blob.Info) blob.Info {
			object.Metadata["organization"] = "org_other"
			return h.put(t, object.Key, object.Metadata)
		},
		"it says that it belongs to another step": func(h *house, _ job.Step, object blob.Info) blob.Info {
			object.Metadata["step"] = "plan"
			return h.put(t, object.Key, object.Metadata)
		},
		"it says nothing": func(h *house, _ job.Step, object blob.Info) blob.Info {
			return h.put(t, object.Key, nil)
		},
		"it lies below another lesson": func(h *house, _ job.Step, object blob.Info) blob.Info {
			return h.put(t, strings.Replace(object.Key, h.lesson, "les_other", 1), object.Metadata)
		},
		"it was deleted": func(h *house, _ job.Step, object blob.Info) blob.Info {
			if err := h.bucket.Delete(t.Context(), object.Key); err != nil {
				t.Error(err)
			}
			return object
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			step := h.render(t, "c1")
			object := spoil(h, step, h.deliver(t, step, "c1"))
			if code := h.tell(t, object); code != http.StatusOK {
				t.Errorf("status %d: the event would come again for a day", code)
			}
			if state, _ := h.video(t, "c1"); state != "rendering" {
				t.Errorf("the video is %s", state)
			}
			if state := h.job(t, step); state == job.Succeeded {
				t.Error("the job succeeded")
			}
		})
	}
}

// What an object says about itself cannot publish another lesson's film.
func TestFilmOfAnotherLesson(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	mine := h.lesson
	step := h.render(t, "c1")
	h.do(t, func(ctx context.Context, tx pgx.Tx) error {
		var module string
		if err := tx.QueryRow(ctx, `SELECT module_id FROM lessons`).Scan(&module); err != nil {
			return err
		}
		l, err := course.CreateLesson(ctx, tx, organization, module, course.LessonFields{Title: "Other"})
		h.lesson = l.ID
		return err
	})
	theirs := h.render(t, "c2")
	object := h.put(t, film.Folder(theirs, "c2")+course.VideoFile, map[string]string{
		"organization": organization, "job": step.Job, "step": step.Name, "attempt": "1",
	})
	if code := h.tell(t, object); code != http.StatusOK {
		t.Errorf("status %d", code)
	}
	if state, _ := h.video(t, "c2"); state != "rendering" {
		t.Errorf("the other lesson's video is %s", state)
	}
	h.lesson = mine
	if state := h.job(t, step); state == job.Succeeded {
		t.Error("the job succeeded with another lesson's film")
	}
}

// The check behind all others: of two generations the older never takes the place
// of the newer.
func TestPublishOlderGeneration(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	step := h.render(t, "c1")
	publish := func(generation int64) error {
		return postgres.InTx(t.Context(), h.db, func(tx pgx.Tx) error {
			return course.Publish(t.Context(), tx, organization, course.UploadedVideo{
				Lesson: h.lesson, Content: "c1", Attempt: step.Attempt, Folder: film.Folder(step, "c1"), Generation: generation, Bytes: 1,
			})
		})
	}
	if err := publish(7); err != nil {
		t.Fatal(err)
	}
	if err := publish(7); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := publish(6); !fault.Is(err, fault.Conflict) {
		t.Errorf("an older one: %v", err)
	}
	if _, generation := h.video(t, "c1"); generation != 7 {
		t.Errorf("generation %d", generation)
	}
}

func TestForeignObjectsAreIgnoredAndCounted(t *testing.T) {
	var log bytes.Buffer
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(old)
	h := newHouse(t)
	for _, key := range []string{
		"segments/0123.mp4", "videos/les_1/c/job_1-1/captions.vtt", "sources/src_1/text.txt", "backup.tar",
		"sources/../upload", "videos/video.mp4", "sources//upload", "videos/a/b/c/d/video.mp4",
	} {
		if code := h.tell(t, h.put(t, key, nil)); code != http.StatusOK {
			t.Errorf("%s: status %d", key, code)
		}
	}
	if n := strings.Count(log.String(), "outcome=ignored"); n != 8 {
		t.Errorf("%d events are counted as ignored in\n%s", n, log.String())
	}
	if objects, _ := h.bucket.List(t.Context(), ""); len(objects) != 8 {
		t.Errorf("%d of 8 objects are left", len(objects))
	}
}

// What may pass makes the event come again.
func TestOutagesAreRetried(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	step := h.render(t, "c1")
	object := h.deliver(t, step, "c1")
	h.bucket.Fail(fault.New(fault.Unavailable, "The bucket is down."))
	if code := h.tell(t, object); code != http.StatusServiceUnavailable {
		t.Errorf("bucket down: status %d", code)
	}
	h.bucket.Fail(nil)
	h.runner.DB.(*pgxpool.Pool).Close()
	if code := h.tell(t, object); code != http.StatusServiceUnavailable {
		t.Errorf("database down: status %d", code)
	}
}

func TestMalformedEventsAreAcknowledged(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("{"))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Errorf("status %d: poison would come again for a day", w.Code)
	}
}

// The one line about an event says what became of it and how late it was.
func TestEventsAreLogged(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, object := h.upload(t)
	data, err := json.Marshal(cloudevent.ObjectFinalized{
		Bucket: "lectern", Name: object.Key, Generation: object.Generation, Metageneration: 1, Size: object.Size, TimeCreated: time.Now().Add(-time.Minute),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, log := logtest.Under(t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(data))
	for name, value := range map[string]string{
		"Content-Type": "application/json", "ce-id": "1", "ce-specversion": "1.0", "ce-type": cloudevent.FinalizedType,
		"ce-source": "//storage.googleapis.com/projects/_/buckets/lectern", "ce-subject": "objects/" + object.Key,
	} {
		r.Header.Set(name, value)
	}
	h.ServeHTTP(httptest.NewRecorder(), r)
	line := log.One(t, "object finalized")
	if lag := line.Number("lag_ms"); lag == nil || *lag < 60_000 || line.Text("outcome") != "received" || *line.Number("bytes") != 7 {
		t.Error(line)
	}
	logtest.Bound(t, line)
}
