package render_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/functions/render"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/course/coursetest"
	"lectern.dev/lectern/internal/edge/edgetest"
	"lectern.dev/lectern/internal/encode"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/film"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/internal/queue"
	"lectern.dev/lectern/internal/speech"
)

const organization = "org_local"

// house is the function with the ports' fakes, on a database of its own that holds one lesson.
type house struct {
	http.Handler
	db      *pgxpool.Pool
	queue   *queue.Memory
	bucket  *blob.Memory
	encoder *encode.Fake
	speaker *speech.Fake
	course  string
	lesson  string
	joining atomic.Value // func(): called while a film is joined
}

// encoder is the fake, with a hook.
type encoder struct {
	*encode.Fake
	h *house
}

func (e encoder) Join(ctx context.Context, dst string, cut encode.Cut) error {
	if hook, ok := e.h.joining.Load().(func()); ok {
		hook()
	}
	return e.Fake.Join(ctx, dst, cut)
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{db: pgtest.New(t), queue: &queue.Memory{}, bucket: &blob.Memory{}, encoder: &encode.Fake{}, speaker: &speech.Fake{}}
	studio := film.New(film.Deps{Bucket: h.bucket, Speaker: h.speaker, Encoder: encoder{h.encoder, h}, TempDir: t.TempDir()})
	h.Handler = render.New(render.Deps{Callers: edgetest.Anyone, DB: pgtest.As(t, h.db, postgres.System), Queue: h.queue, Board: &live.Memory{}, Studio: studio})
	h.course, h.lesson = coursetest.Lesson(t, h.db, organization)
	return h
}

// write gives the lesson slides.
func (h *house) write(t *testing.T, titles ...string) {
	t.Helper()
	var slides []course.Slide
	for _, title := range titles {
		slides = append(slides, course.Slide{
			Kind: course.PointsSlide, Title: title,
			Points:    []course.Point{{Text: "It carries files"}, {Text: "and scripts"}},
			Narration: []course.Sentence{{Text: "A package carries files.", Reveals: 1}, {Text: "And it carries scripts.", Reveals: 2}},
		})
	}
	h.do(t, func(ctx context.Context, tx pgx.Tx) error {
		_, _, err := course.ReplaceSlides(ctx, tx, organization, h.lesson, nil, slides)
		return err
	})
}

// order starts a render job and gives its task.
func (h *house) order(t *testing.T) job.Ref {
	t.Helper()
	var j job.Job
	h.do(t, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		j, _, err = job.Start(ctx, tx, job.NewJob{
			Organization: organization, User: account.Local.User, Kind: job.Render, Subject: h.lesson, CourseID: h.course, Content: "as ordered",
			Steps: []job.NewStep{{Name: "render/" + h.lesson, Kind: "render", Subject: h.lesson, Content: "as ordered"}},
		})
		return err
	})
	return job.Ref{Job: j.ID, Step: "render/" + h.lesson}
}

// deliver posts the task as the queue does and gives the status.
func (h *house) deliver(t *testing.T, task job.Ref) int {
	t.Helper()
	body, err := json.Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(string(body))))
	return w.Code
}

func (h *house) step(t *testing.T, task job.Ref) (state string, attempt int64) {
	t.Helper()
	err := h.db.QueryRow(t.Context(), `SELECT state, attempt FROM job_steps WHERE job_id = $1 AND name = $2`, task.Job, task.Step).Scan(&state, &attempt)
	if err != nil {
		t.Fatal(err)
	}
	return state, attempt
}

func (h *house) do(t *testing.T, fn func(context.Context, pgx.Tx) error) {
	t.Helper()
	if err := postgres.InTx(t.Context(), h.db, func(tx pgx.Tx) error { return fn(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

// video finds the one uploaded film.
func (h *house) video(t *testing.T) blob.Info {
	t.Helper()
	objects, err := h.bucket.List(t.Context(), "videos/"+h.lesson+"/")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if film.IsVideo(o.Key) {
			info, err := h.bucket.Stat(t.Context(), o.Key)
			if err != nil {
				t.Fatal(err)
			}
			return info
		}
	}
	t.Fatal("no film was uploaded")
	return blob.Info{}
}

func (h *house) publish(t *testing.T, object blob.Info) error {
	t.Helper()
	return film.Publish(t.Context(), &job.Runner{DB: h.db, Queue: h.queue, Board: &live.Memory{}}, object)
}

func TestLessonBecomesVideo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write(t, "What a package is", "How it arrives")
	task := h.order(t)
	if code := h.deliver(t, task); code != http.StatusOK {
		t.Fatalf("status %d", code)
	}
	if state, attempt := h.step(t, task); state != "delivered" || attempt != 1 {
		t.Errorf("the step is %s after attempt %d", state, attempt)
	}
	if _, err := course.ReadyVideo(t.Context(), h.db, organization, h.lesson); !fault.Is(err, fault.NotFound) {
		t.Errorf("a video is ready before its event: %v", err)
	}
	object := h.video(t)
	if object.ContentType != "video/mp4" || object.Metadata["job"] != task.Job || object.Metadata["attempt"] != "1" || object.Metadata["organization"] != organization {
		t.Errorf("the film's object: %+v", object)
	}
	folder := strings.TrimSuffix(object.Key, course.VideoFile)
	for name, contentType := range map[string]string{
		course.CaptionsFile: "text/vtt; charset=utf-8", course.PosterFile: "image/jpeg", course.TranscriptFile: "text/markdown; charset=utf-8",
	} {
		if info, err := h.bucket.Stat(t.Context(), folder+name); err != nil || info.ContentType != contentType {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
	}

	if err := h.publish(t, object); err != nil {
		t.Fatal(err)
	}
	v, err := course.ReadyVideo(t.Context(), h.db, organization, h.lesson)
	if err != nil {
		t.Fatal(err)
	}
	if !v.Current || v.Folder != folder || v.Bytes != object.Size || len(v.Manifest.Chapters) != 2 || len(v.Manifest.Transcript) != 4 {
		t.Errorf("the ready video: %+v", v)
	}
	if state, _ := h.step(t, task); state != "succeeded" {
		t.Errorf("the step is %s", state)
	}
	if err := h.publish(t, object); err != nil && !fault.Is(err, fault.Conflict) {
		t.Errorf("the event came twice: %v", err)
	}
	if _, err := course.ReadyVideo(t.Context(), h.db, "org_other", h.lesson); !fault.Is(err, fault.NotFound) {
		t.Errorf("another organization sees the video: %v", err)
	}
}

// A film of the same content is not made twice; the video counts as current again.
func TestSameContentIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write(t, "What a package is")
	h.deliver(t, h.order(t))
	if err := h.publish(t, h.video(t)); err != nil {
		t.Fatal(err)
	}
	h.do(t, func(ctx context.Context, tx pgx.Tx) error { // a change that cannot be seen in the film
		_, err := course.UpdateLesson(ctx, tx, organization, h.lesson, nil, func(f *course.LessonFields) error {
			f.Article = "More to read."
			return nil
		})
		return err
	})
	if v, err := course.ReadyVideo(t.Context(), h.db, organization, h.lesson); err != nil || v.Current {
		t.Errorf("after the change: %+v, %v", v, err)
	}
	pictures, _ := h.encoder.Counts()
	task := h.order(t)
	if code := h.deliver(t, task); code != http.StatusOK {
		t.Fatalf("status %d", code)
	}
	if state, _ := h.step(t, task); state != "succeeded" {
		t.Errorf("the step is %s", state)
	}
	if again, _ := h.encoder.Counts(); again != pictures {
		t.Errorf("%d pictures were encoded again", again-pictures)
	}
	if v, err := course.ReadyVideo(t.Context(), h.db, organization, h.lesson); err != nil || !v.Current {
		t.Errorf("after the second render: %+v, %v", v, err)
	}
}

// A failure that may pass makes the task come again, and the next attempt takes
// what was finished and its own folder.
func TestFailureIsTriedAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write(t, "What a package is")
	task := h.order(t)
	h.encoder.Fail(fault.New(fault.Unavailable, "The video encoder was killed."))
	if code := h.deliver(t, task); code != http.StatusServiceUnavailable {
		t.Errorf("status %d", code)
	}
	spoken := len(h.speaker.Spoken())
	h.encoder.Fail(nil)
	if code := h.deliver(t, task); code != http.StatusOK {
		t.Errorf("status %d", code)
	}
	if state, attempt := h.step(t, task); state != "delivered" || attempt != 2 {
		t.Errorf("the step is %s after attempt %d", state, attempt)
	}
	if again := len(h.speaker.Spoken()); again != spoken {
		t.Errorf("%d sentences were spoken again", again-spoken)
	}
}

func TestLessonWithoutSlidesFails(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	task := h.order(t)
	if code := h.deliver(t, task); code != http.StatusOK {
		t.Errorf("status %d: such a task fails again whenever it comes", code)
	}
	if state, _ := h.step(t, task); state != "failed" {
		t.Errorf("the step is %s", state)
	}
	l, err := course.GetLesson(t.Context(), h.db, organization, h.lesson)
	if err != nil || l.VideoState != course.VideoFailed {
		t.Errorf("the lesson's video: %s, %v", l.VideoState, err)
	}
	j, err := job.Get(t.Context(), h.db, organization, task.Job)
	if err != nil || !strings.Contains(j.Error, "no slides") {
		t.Errorf("the job's reason: %q, %v", j.Error, err)
	}
}

// Of two jobs that make the same film at once, the slower one finds it made.
func TestFilmMadeMeanwhile(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write(t, "What a package is")
	first := h.order(t)
	h.deliver(t, first)
	object := h.video(t)
	_, err := h.db.Exec(t.Context(), `UPDATE job_steps SET content = 'of the first' WHERE job_id = $1`, first.Job)
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.db.Exec(t.Context(), `UPDATE jobs SET content = 'of the first' WHERE job_id = $1`, first.Job)
	if err != nil {
		t.Fatal(err)
	}
	second := h.order(t)
	if second.Job == first.Job {
		t.Fatal("the order found the first job")
	}
	h.joining.Store(func() {
		if err := h.publish(t, object); err != nil {
			t.Error(err)
		}
	})
	if code := h.deliver(t, second); code != http.StatusOK {
		t.Errorf("status %d", code)
	}
	if state, _ := h.step(t, second); state != "succeeded" {
		t.Errorf("the second job's step is %s", state)
	}
	if v, err := course.ReadyVideo(t.Context(), h.db, organization, h.lesson); err != nil || !strings.HasPrefix(object.Key, v.Folder) {
		t.Errorf("the ready video: %+v, %v", v, err)
	}
}

// What an attempt uploads after another took over is refused.
func TestOlderAttemptIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write(t, "What a package is")
	task := h.order(t)
	h.deliver(t, task)
	old := h.video(t)
	_, err := h.db.Exec(t.Context(), `UPDATE job_steps SET state = 'queued', lease_until = NULL WHERE job_id = $1`, task.Job)
	if err != nil {
		t.Fatal(err)
	}
	h.deliver(t, task)
	if err := h.publish(t, old); !fault.Is(err, fault.Conflict) {
		t.Errorf("the first attempt's film: %v", err)
	}
	var left string
	err = h.db.QueryRow(t.Context(), `SELECT prefix FROM deletions WHERE organization_id = $1`, organization).Scan(&left)
	if err != nil || left != strings.TrimSuffix(old.Key, course.VideoFile) {
		t.Errorf("put down for removal: %q, %v", left, err)
	}
}
