package course

import (
	"context"

	"lectern.dev/lectern/internal/postgres"
)

// Retire puts the files of videos that nobody will see again down for removal (see
// Clean), across all organizations, and tells how many videos that were: those
// that a newer video of the lesson has replaced, and those that were never
// finished. Both wait for a day, because a player may still show the old one and
// a job may be resumed.
func Retire(ctx context.Context, q postgres.Querier) (int, error) {
	tag, err := q.Exec(ctx, `
		WITH old AS (
			SELECT v.lesson_id, v.content, v.organization_id, v.folder
			FROM videos v
			WHERE v.updated_at < now() - interval '1 day' AND (v.state = 'failed' OR v.state = 'rendering' AND NOT EXISTS (
				SELECT FROM job_steps s
				WHERE s.organization_id = v.organization_id AND s.kind = 'render' AND s.subject = v.lesson_id
					AND s.state IN ('blocked', 'queued', 'running', 'delivered'))
				OR v.state = 'ready' AND EXISTS (
				SELECT FROM videos newer
				WHERE newer.organization_id = v.organization_id AND newer.lesson_id = v.lesson_id AND newer.state = 'ready'
					AND newer.updated_at < now() - interval '1 day'
					AND (newer.lesson_version, newer.updated_at, newer.content) > (v.lesson_version, v.updated_at, v.content)))
			LIMIT 200
			FOR UPDATE OF v SKIP LOCKED),
		intents AS (
			INSERT INTO deletions (prefix, organization_id)
			SELECT folder, organization_id FROM old WHERE folder <> ''
			ON CONFLICT DO NOTHING)
		DELETE FROM videos v
		USING old
		WHERE v.organization_id = old.organization_id AND v.lesson_id = old.lesson_id AND v.content = old.content`)
	return int(tag.RowsAffected()), postgres.Fault(err)
}
