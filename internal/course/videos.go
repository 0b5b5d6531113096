package course

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// Manifest is what a player needs to know about a video besides its files.
type Manifest struct {
	Duration   float64      `json:"duration_seconds"`
	Chapters   []Chapter    `json:"chapters"`
	Transcript []Transcript `json:"transcript"`
}

// The files in a video's folder.
const (
	VideoFile      = "video.mp4"
	CaptionsFile   = "captions.vtt"
	PosterFile     = "poster.jpg"
	TranscriptFile = "transcript.md"
)

// StoredVideo is a video that is ready, as its row knows it.
type StoredVideo struct {
	Content       string
	Folder        string // key prefix of its files in the bucket; ends in "/"
	Generation    int64  // of its object VideoFile
	Bytes         int64
	LessonVersion int64 // the newest version of the lesson that it is known to show
	Current       bool  // the lesson has not been changed since
	Manifest      Manifest
	ReadyAt       time.Time
}

const selectReadyVideo = `
	SELECT v.content, v.folder, v.generation, v.bytes, v.lesson_version, v.lesson_version = l.version, v.manifest, v.updated_at
	FROM videos v
	JOIN lessons l ON l.organization_id = $1 AND l.lesson_id = v.lesson_id
	WHERE v.organization_id = $1 AND v.lesson_id = $2 AND v.state = 'ready'
	ORDER BY v.lesson_version DESC, v.updated_at DESC
	LIMIT 1`

func scanReadyVideo(row pgx.CollectableRow) (v StoredVideo, err error) {
	err = row.Scan(&v.Content, &v.Folder, &v.Generation, &v.Bytes, &v.LessonVersion, &v.Current, &v.Manifest, &v.ReadyAt)
	return v, err
}

// ReadyVideo gives the newest video of a lesson that can be played; NotFound when there is none.
func ReadyVideo(ctx context.Context, q postgres.Querier, organization, lesson string) (StoredVideo, error) {
	rows, err := q.Query(ctx, selectReadyVideo, organization, lesson)
	if err != nil {
		return StoredVideo{}, postgres.Fault(err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, scanReadyVideo)
	if errors.Is(err, pgx.ErrNoRows) {
		return v, fault.New(fault.NotFound, "The lesson has no video yet.")
	}
	return v, postgres.Fault(err)
}

// StillReady tells whether a video of this content is ready, and if so notes that
// it shows this version of the lesson too: what changed since cannot be seen in it.
func StillReady(ctx context.Context, q postgres.Querier, organization, lesson, content string, version int64) (bool, error) {
	tag, err := q.Exec(ctx, `
		UPDATE videos
		SET lesson_version = greatest(lesson_version, $4)
		WHERE organization_id = $1 AND lesson_id = $2 AND content = $3 AND state = 'ready'`, organization, lesson, content, version)
	return err == nil && tag.RowsAffected() > 0, postgres.Fault(err)
}

// NewVideo is a video that is about to be uploaded.
type NewVideo struct {
	Lesson, Content string
	LessonVersion   int64
	Attempt         int64  // of the step that made it
	Folder          string // key prefix, its own for every attempt of every step
	Manifest        Manifest
}

// SaveManifest notes a video before it is uploaded: only this attempt may publish
// it from now on. What an earlier attempt left in the bucket is put down for removal.
// A video of the same content that is ready stays as it is: Conflict.
func SaveManifest(ctx context.Context, tx postgres.Querier, organization string, v NewVideo) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO deletions (prefix, organization_id)
		SELECT folder, $1
		FROM videos
		WHERE organization_id = $1 AND lesson_id = $2 AND content = $3 AND state <> 'ready' AND folder NOT IN ('', $4)
		ON CONFLICT DO NOTHING`, organization, v.Lesson, v.Content, v.Folder)
	if err != nil {
		return postgres.Fault(err)
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO videos (lesson_id, content, course_id, organization_id, state, attempt, folder, manifest, lesson_version)
		SELECT lesson_id, $3, course_id, organization_id, 'rendering', $4, $5, $6, $7
		FROM lessons
		WHERE organization_id = $1 AND lesson_id = $2
		ON CONFLICT (lesson_id, content) DO UPDATE
		SET state = 'rendering', attempt = excluded.attempt, folder = excluded.folder, manifest = excluded.manifest,
			lesson_version = excluded.lesson_version, updated_at = now()
		WHERE videos.organization_id = $1 AND videos.state <> 'ready'`,
		organization, v.Lesson, v.Content, v.Attempt, v.Folder, v.Manifest, v.LessonVersion)
	if err == nil && tag.RowsAffected() == 0 {
		return fault.New(fault.Conflict, "The lesson was deleted, or its video is ready already.")
	}
	return postgres.Fault(err)
}

// UploadedVideo is what the event of a finished upload tells.
type UploadedVideo struct {
	Lesson, Content string
	Attempt         int64
	Folder          string
	Generation      int64
	Bytes           int64
}

// Publish makes a video ready. Only the attempt that saved the manifest can, and
// an older generation never takes the place of a newer one: Conflict. Doing it again is no error.
func Publish(ctx context.Context, tx postgres.Querier, organization string, u UploadedVideo) error {
	tag, err := tx.Exec(ctx, `
		UPDATE videos
		SET state = 'ready', generation = $6, bytes = $7, updated_at = CASE WHEN generation = $6 THEN updated_at ELSE now() END
		WHERE organization_id = $1 AND lesson_id = $2 AND content = $3 AND attempt = $4 AND folder = $5
			AND state IN ('rendering', 'ready') AND generation <= $6`,
		organization, u.Lesson, u.Content, u.Attempt, u.Folder, u.Generation, u.Bytes)
	if err == nil && tag.RowsAffected() == 0 {
		return fault.New(fault.Conflict, "This upload is not the video that was announced last.")
	}
	if err != nil {
		return postgres.Fault(err)
	}
	// What was noted of an attempt that failed before it had a film is over.
	_, err = tx.Exec(ctx, `
		DELETE FROM videos
		WHERE organization_id = $1 AND lesson_id = $2 AND state = 'failed' AND folder = ''`, organization, u.Lesson)
	return postgres.Fault(err)
}

// AwaitedVideo gives the folder in which a video that is not ready yet was
// announced: there the sweep looks for what no event told of. NotFound when none was.
func AwaitedVideo(ctx context.Context, q postgres.Querier, organization, lesson string, attempt int64) (content, folder string, err error) {
	err = q.QueryRow(ctx, `
		SELECT content, folder
		FROM videos
		WHERE organization_id = $1 AND lesson_id = $2 AND attempt = $3 AND state = 'rendering'
		ORDER BY updated_at DESC
		LIMIT 1`, organization, lesson, attempt).Scan(&content, &folder)
	return content, folder, missing(err, "video")
}

// FailVideo notes that the video of this content could not be made. One that is ready stays ready.
func FailVideo(ctx context.Context, tx postgres.Querier, organization, lesson, content string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO videos (lesson_id, content, course_id, organization_id, state, lesson_version)
		SELECT lesson_id, $3, course_id, organization_id, 'failed', version
		FROM lessons
		WHERE organization_id = $1 AND lesson_id = $2
		ON CONFLICT (lesson_id, content) DO UPDATE
		SET state = 'failed', updated_at = now()
		WHERE videos.organization_id = $1 AND videos.state <> 'ready'`, organization, lesson, content)
	return postgres.Fault(err)
}
