package migrations

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// wrongs are questions to a database that somebody has restored, copied or mended by
// hand; each answer is a thing that should not be so.
var wrongs = []struct{ sentence, query string }{
	{"the index %s is not valid", `SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1`},
	{"the constraint %s is not validated", `SELECT conrelid::regclass || '.' || conname FROM pg_constraint WHERE NOT convalidated ORDER BY 1`},
	{"the table %s has no wall between organisations", `
		SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
		WHERE nspname = 'public' AND relkind IN ('r', 'p') AND NOT relrowsecurity AND relname NOT LIKE 'goose\_%' ORDER BY 1`},
	{"the trigger %s is switched off", `SELECT tgrelid::regclass || '.' || tgname FROM pg_trigger WHERE tgenabled = 'D' ORDER BY 1`},
	{"the months of %s do not say what its ledger does", `
		SELECT DISTINCT coalesce(m.organization_id, l.organization_id) FROM ledger_months m
		FULL JOIN (SELECT organization_id, month, sum(micros) AS spent, sum(reserved_micros) FILTER (WHERE state = 'reserved') AS reserved
			FROM ledger GROUP BY organization_id, month) l USING (organization_id, month)
		WHERE coalesce(m.spent_micros, 0) <> coalesce(l.spent, 0) OR coalesce(m.reserved_micros, 0) <> coalesce(l.reserved, 0) ORDER BY 1`},
	{"the video of %s is of another lesson's course", `
		SELECT v.lesson_id FROM videos v JOIN lessons l USING (lesson_id) WHERE v.course_id <> l.course_id ORDER BY 1`},
	{"%s is of another organisation than its course", `
		SELECT lesson_id FROM lessons l JOIN courses c USING (course_id) WHERE l.organization_id <> c.organization_id
		UNION ALL SELECT source_id FROM sources s JOIN courses c USING (course_id) WHERE s.organization_id <> c.organization_id ORDER BY 1`},
}

// Found is what a database holds.
type Found struct {
	Version  int64
	Newest   string // when anything was last begun, as the database writes it
	Counts   string
	OpenJobs int64 // which the sweep will go on with
}

// Verify looks whether a database is one that functions can work with, and changes
// nothing. All that is wrong is told at once.
func Verify(ctx context.Context, pool *pgxpool.Pool) (Found, error) {
	var found Found
	err := pool.QueryRow(ctx, `SELECT max(version_id) FROM goose_db_version WHERE is_applied`).Scan(&found.Version)
	if err != nil {
		return found, fmt.Errorf("this is no database of Lectern: %w", err)
	}
	newest, err := newestVersion()
	if err != nil {
		return found, err
	}
	if found.Version < newest {
		return found, fmt.Errorf("the schema is at %04d of %04d: run migrate first", found.Version, newest)
	}
	var all []error
	for _, wrong := range wrongs {
		rows, err := pool.Query(ctx, wrong.query)
		if err != nil {
			return found, err
		}
		things, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return found, err
		}
		for _, thing := range things {
			all = append(all, fmt.Errorf(wrong.sentence, thing))
		}
	}
	err = pool.QueryRow(ctx, `
		SELECT concat_ws(', ', (SELECT count(*) FROM organizations) || ' organisations', (SELECT count(*) FROM users) || ' people',
				(SELECT count(*) FROM courses) || ' courses', (SELECT count(*) FROM lessons) || ' lessons', (SELECT count(*) FROM videos WHERE state = 'ready') || ' videos',
				(SELECT count(*) FROM sources) || ' documents', (SELECT count(*) FROM sessions) || ' conversations', (SELECT count(*) FROM ledger) || ' entries of the ledger'),
			(SELECT count(*) FROM jobs WHERE finished_at IS NULL),
			coalesce(greatest((SELECT max(updated_at) FROM courses), (SELECT max(created_at) FROM messages), (SELECT max(created_at) FROM jobs), (SELECT max(created_at) FROM ledger))::text, 'never')`).
		Scan(&found.Counts, &found.OpenJobs, &found.Newest)
	return found, errors.Join(append(all, err)...)
}

// newestVersion is the number of the newest migration.
func newestVersion() (int64, error) {
	names, err := files.ReadDir(".")
	if err != nil {
		return 0, err
	}
	var newest int64
	for _, name := range names { // in their order
		if _, err := fmt.Sscanf(name.Name(), "%04d_", &newest); err != nil {
			return 0, fmt.Errorf("%s has no number: %w", name.Name(), err)
		}
	}
	return newest, nil
}
