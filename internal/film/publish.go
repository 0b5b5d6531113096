package film

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/trail"
)

// IsVideo tells whether a key in the bucket is that of a film:
// videos/{lesson}/{content}/{attempt}/video.mp4.
func IsVideo(key string) bool {
	_, _, _, ok := cut(key)
	return ok
}

func cut(key string) (lesson, content, folder string, ok bool) {
	parts := strings.Split(key, "/")
	if len(parts) != 5 || parts[0] != "videos" || parts[4] != course.VideoFile {
		return "", "", "", false
	}
	return parts[1], parts[2], strings.TrimSuffix(key, course.VideoFile), true
}

// Publish makes a film ready that lies complete in the bucket, and ends the step
// that waits for it: the one way in which a video becomes ready. It is called with
// the object as the bucket describes it now, by the event that the upload causes,
// and by the sweep when that event never comes. Conflict means that the film is
// published already, or not wanted any more: an older attempt, a canceled job, a
// lesson that was deleted.
func Publish(ctx context.Context, runner *job.Runner, object blob.Info) error {
	lesson, content, folder, ok := cut(object.Key)
	if !ok {
		return fault.New(fault.Invalid, "The object %s is not a film.", object.Key)
	}
	tags := object.Metadata
	attempt, err := strconv.ParseInt(tags["attempt"], 10, 64)
	if err != nil {
		return fault.New(fault.Invalid, "The film %s does not say which attempt made it.", object.Key)
	}
	organization := tags["organization"]
	ctx = postgres.WithOrganization(ctx, organization) // whatever else the object says
	step, err := job.FindStep(ctx, runner.DB, organization, job.Ref{Job: tags["job"], Step: tags["step"]})
	if fault.Is(err, fault.NotFound) {
		return fault.Wrap(fault.Conflict, err, "The work that made the film %s was deleted.", object.Key)
	}
	if err != nil {
		return err
	}
	if step.Subject != lesson {
		return fault.New(fault.Invalid, "The film %s is not what step %s of job %s makes.", object.Key, step.Name, step.Job)
	}
	return runner.Complete(ctx, step.Organization, step.Ref(), attempt, func(tx pgx.Tx) error {
		return course.Publish(ctx, tx, step.Organization, course.UploadedVideo{
			Lesson: lesson, Content: content, Attempt: attempt,
			Folder: folder, Generation: object.Generation, Bytes: object.Size,
		})
	})
}

// Unheard looks for the film of a delivered step whose event has not come, and
// publishes it. found is false when it is not in the bucket: it must be made again.
func Unheard(ctx context.Context, runner *job.Runner, bucket blob.Store, s job.Step) (found bool, err error) {
	_, folder, err := course.AwaitedVideo(ctx, runner.DB, s.Organization, s.Subject, s.Attempt)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	object, err := bucket.Stat(ctx, folder+course.VideoFile)
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	ctx, span := trail.Follow(ctx, trail.Parse(object.Metadata[trail.Beside]), "film found late")
	err = Publish(ctx, runner, object)
	span.End(err)
	if fault.Is(err, fault.Conflict) {
		return false, nil // of another attempt; or the event has come after all, and nothing waits any more
	}
	return err == nil, err
}
