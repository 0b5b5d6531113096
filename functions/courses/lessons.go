package courses

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/idempotency"
)

type ByLesson struct {
	Lesson string `path:"lesson" maxLength:"64" example:"les_06fz3qk8v0g1m2n4p5r6s7t8"`
}

type createLesson struct {
	ByModule
	idempotency.Keyed
	Body course.LessonFields
}

func (s *server) createLesson(ctx context.Context, in *createLesson) (*written[course.Lesson], error) {
	return idempotency.Write(ctx, s.DB, "create-lesson", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*written[course.Lesson], error) {
		l, err := course.CreateLesson(ctx, tx, p.Organization, in.Module, in.Body)
		if err != nil {
			return nil, err
		}
		return saved(l.Version, "/v1/lessons/"+l.ID, l)
	})
}

func (s *server) getLesson(ctx context.Context, in *readLesson) (*fetched[course.Lesson], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	l, stored, err := course.GetLessonAndVideo(ctx, s.DB, p.Organization, in.Lesson)
	if err != nil {
		return nil, err
	}
	if stored != nil {
		if l.Video, err = s.signed(ctx, *stored); err != nil {
			return nil, err
		}
	}
	return answer(in.Fresh, l.Version, l)
}

// urlsValid is how long the addresses of a video work: a sitting, with a pause.
const urlsValid = 12 * time.Hour

// signed gives a video the addresses of its files.
func (s *server) signed(ctx context.Context, stored course.StoredVideo) (v *course.Video, err error) {
	v = &course.Video{
		Content: stored.Content, Current: stored.Current, Bytes: stored.Bytes, CreatedAt: stored.ReadyAt,
		Duration: stored.Manifest.Duration, Chapters: stored.Manifest.Chapters, Transcript: stored.Manifest.Transcript,
	}
	for file, address := range map[string]*string{
		course.VideoFile: &v.URL, course.CaptionsFile: &v.CaptionsURL, course.PosterFile: &v.PosterURL,
	} {
		if *address, err = s.Bucket.SignDownload(ctx, stored.Folder+file, urlsValid); err != nil {
			return nil, err
		}
	}
	return v, nil
}

type updateLesson struct {
	ByLesson
	Conditional
	idempotency.Keyed
	Body edge.Patch[course.LessonFields]
}

func (s *server) updateLesson(ctx context.Context, in *updateLesson) (*written[course.Lesson], error) {
	return idempotency.Write(ctx, s.DB, "update-lesson", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*written[course.Lesson], error) {
		l, err := course.UpdateLesson(ctx, tx, p.Organization, in.Lesson, in.condition(), in.Body.Apply)
		if err != nil {
			return nil, err
		}
		return saved(l.Version, "", l)
	})
}

type deleteLesson struct {
	ByLesson
	Conditional
	idempotency.Keyed
}

func (s *server) deleteLesson(ctx context.Context, in *deleteLesson) (*struct{}, error) {
	out, err := idempotency.Write(ctx, s.DB, "delete-lesson", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*struct{}, error) {
		return &struct{}{}, course.DeleteLesson(ctx, tx, p.Organization, in.Lesson, in.condition())
	})
	return out, s.cleaned(ctx, err)
}
