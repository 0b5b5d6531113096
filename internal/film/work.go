package film

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/crash"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/tally"
	"lectern.dev/lectern/internal/trail"
)

// Renderer does the render steps of jobs. The subject of such a step is a lesson.
type Renderer struct {
	DB     postgres.Querier
	Studio *Studio
	Meter  *budget.Meter // pays for the time that films take; nil: nobody does
}

// Work makes the film of the lesson as it is now and uploads it; it has the form of
// job.Work. The step ends as delivered: finalize publishes the film when the bucket
// says that it is there. A film of the same content that is ready is not made again.
func (r Renderer) Work(ctx context.Context, run *job.Run) (job.Result, error) {
	ctx = budget.With(ctx, budget.Payer{Organization: run.Step.Organization, User: run.Step.User, Subject: run.Step.Job})
	script, version, err := load(ctx, r.DB, run.Step)
	if err != nil {
		return job.Result{}, err
	}
	step := run.Step
	content := ContentKey(script, r.Studio.speaker.Voice(script.Language))
	ready, err := course.StillReady(ctx, r.DB, step.Organization, step.Subject, content, version)
	if err != nil || ready {
		return job.Result{}, err
	}
	watch := startStopwatch()
	ctx, sums := tally.Under(ctx)
	film, err := r.make(ctx, script, func(done, total int, message string) {
		run.Progress(int64(done), int64(total), message)
	})
	if err != nil {
		return job.Result{}, err
	}
	defer film.Close() //nolint:errcheck // a folder that stays behind is the temp folder's matter
	crash.Point("film.made")

	folder := Folder(step, content)
	err = run.Commit(ctx, func(tx pgx.Tx) error {
		return course.SaveManifest(ctx, tx, step.Organization, course.NewVideo{
			Lesson: step.Subject, Content: content, LessonVersion: version,
			Attempt: step.Attempt, Folder: folder, Manifest: film.Manifest,
		})
	})
	if fault.Is(err, fault.Conflict) { // another job may have made the same film meanwhile
		if ready, again := course.StillReady(ctx, r.DB, step.Organization, step.Subject, content, version); again == nil && ready {
			return job.Result{}, nil
		}
	}
	if err != nil {
		return job.Result{}, err
	}
	if err := r.upload(ctx, film, folder, metadata(step, content)); err != nil {
		return job.Result{}, err
	}
	watch.log(ctx, step, film, sums)
	crash.Point("film.uploaded")
	return job.Result{Delivered: true, Output: map[string]string{"folder": folder}}, nil
}

// make is the studio's, paid for.
func (r Renderer) make(ctx context.Context, script Script, progress Progress) (*Film, error) {
	if r.Meter == nil {
		return r.Studio.Make(ctx, script, progress)
	}
	ctx, stop, err := r.Meter.Start(ctx, longestWork(script))
	if err != nil {
		return nil, err
	}
	defer stop()
	return r.Studio.Make(ctx, script, progress)
}

// longestWork is how long a film may take to be made: a minute, and as long as it
// lasts. Usually it takes a tenth of that. One that takes longer is stopped, and goes
// on at the next attempt with the segments that are there.
func longestWork(script Script) time.Duration {
	lasts := cardTime
	for _, s := range script.Slides {
		lasts += max(reading(s), leadIn+leadOut+quiet+quietEach*time.Duration(len(s.Points)))
		for _, n := range s.Narration {
			lasts += breath + time.Duration(utf8.RuneCountInString(n.Text))*slowest
		}
	}
	return time.Minute + lasts
}

// slowest is how long a character of narration lasts at most, on the whole.
const slowest = 120 * time.Millisecond

// Failed has the form of job.Runner.IfFailed.
func Failed(ctx context.Context, tx pgx.Tx, step job.Step, _ error) error {
	return course.FailVideo(ctx, tx, step.Organization, step.Subject, step.Content)
}

// Folder is where an attempt puts its files: one that nothing else ever writes to.
func Folder(step job.Step, content string) string {
	return fmt.Sprintf("videos/%s/%s/%s-%d/", step.Subject, content, step.Job, step.Attempt)
}

// metadata tells finalize what it needs to publish the video.
func metadata(step job.Step, content string) map[string]string {
	return map[string]string{
		"organization": step.Organization, "lesson": step.Subject, "content": content,
		"attempt": strconv.FormatInt(step.Attempt, 10), "job": step.Job, "step": step.Name,
	}
}

// load reads what the film is made from, and the lesson's version.
func load(ctx context.Context, q postgres.Querier, step job.Step) (Script, int64, error) {
	lesson, err := course.GetLesson(ctx, q, step.Organization, step.Subject)
	if err != nil {
		return Script{}, 0, err
	}
	c, err := course.Get(ctx, q, step.Organization, lesson.CourseID)
	if err != nil {
		return Script{}, 0, err
	}
	slides, version, err := course.Slides(ctx, q, step.Organization, step.Subject)
	if err != nil {
		return Script{}, 0, err
	}
	// The smaller version: what changed in between makes the video look outdated, never current.
	return Script{c.Language, c.Title, lesson.Title, slides}, min(version, lesson.Version), nil
}

// upload puts the film last: its event publishes all of them.
func (r Renderer) upload(ctx context.Context, film *Film, folder string, meta map[string]string) (err error) {
	ctx, span := trail.Begin(ctx, "film upload")
	defer func() { span.End(err) }()
	for _, file := range []struct {
		path, name, contentType string
		metadata                map[string]string
	}{
		{film.Captions, course.CaptionsFile, "text/vtt; charset=utf-8", nil},
		{film.Poster, course.PosterFile, "image/jpeg", nil},
		{film.Text, course.TranscriptFile, "text/markdown; charset=utf-8", nil},
		{film.Video, course.VideoFile, "video/mp4", meta},
	} {
		crash.Point("film.upload")
		err := r.put(ctx, file.path, folder+file.name, blob.WriteOptions{
			ContentType: file.contentType, Metadata: file.metadata, CreateOnly: true,
			CacheControl: "private, max-age=31536000, immutable", // a folder's files never change
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r Renderer) put(ctx context.Context, path, key string, o blob.WriteOptions) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	_, err = r.Studio.bucket.Write(ctx, key, f, o)
	if errors.Is(err, blob.ErrExists) { // a write of ours whose answer was lost
		return nil
	}
	return err
}
