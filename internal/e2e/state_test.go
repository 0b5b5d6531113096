package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/blob"
)

// bucket is what the checks need of one.
type bucket interface {
	blob.Store
	blob.Lister
}

// rows are what must be the same after every run, without times, counters of
// attempts, units of progress (a step that ends before its first heartbeat keeps
// those that were planned) and the ids by which organizations are told apart.
var rows = []string{
	`SELECT 'course', title, summary, audience, language FROM courses ORDER BY title`,
	`SELECT 'module', position, title, summary FROM modules ORDER BY position`,
	`SELECT 'lesson', m.position, l.position, l.title, l.objectives, l.article, l.citations
		FROM lessons l JOIN modules m USING (module_id) ORDER BY m.position, l.position`,
	`SELECT 'slide', m.position, l.position, s.position, s.kind, s.body
		FROM slides s JOIN lessons l USING (lesson_id) JOIN modules m USING (module_id) ORDER BY m.position, l.position, s.position`,
	`SELECT 'question', m.position, l.position, q.position, q.body
		FROM questions q JOIN lessons l USING (lesson_id) JOIN modules m USING (module_id) ORDER BY m.position, l.position, q.position`,
	`SELECT 'source', name, content_type, size, state, reason, title, language, pages, characters FROM sources ORDER BY name`,
	`SELECT 'passage', position, kind, heading, page, start_offset, end_offset, text FROM passages ORDER BY position`,
	`SELECT 'job', kind, state, done = total, message, error FROM jobs ORDER BY kind`,
	`SELECT 'step', j.kind, s.kind, s.state, s.done = s.units, s.error FROM job_steps s JOIN jobs j USING (job_id)
		LEFT JOIN lessons l ON l.lesson_id = s.subject ORDER BY j.kind, s.kind, l.position`,
	`SELECT 'video', m.position, l.position, v.state, v.manifest
		FROM videos v JOIN lessons l USING (lesson_id) JOIN modules m USING (module_id) ORDER BY m.position, l.position, v.state`,
}

// Ids, and hashes of what holds ids.
var (
	ids     = regexp.MustCompile(`\b(crs|mod|les|sld|qst|src|psg|job)_[0-9a-z]+\b`)
	content = regexp.MustCompile(`/[0-9a-f]{32}/job-\d+/`)
)

func normal(text string) string {
	return content.ReplaceAllString(ids.ReplaceAllString(text, "$1"), "/content/job/")
}

// state gives all that a run has made, in lines that can be compared: rows, keys of
// the bucket, and every frame and sample of the films.
func state(t *testing.T, pool *pgxpool.Pool, b bucket) []string {
	t.Helper()
	var lines []string
	for _, sql := range rows {
		found, err := pool.Query(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		texts, err := pgx.CollectRows(found, func(row pgx.CollectableRow) (string, error) {
			values, err := row.Values()
			return normal(fmt.Sprint(values...)), err
		})
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, texts...)
	}
	objects, err := b.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, o := range objects {
		keys = append(keys, "object "+normal(o.Key))
	}
	slices.Sort(keys) // as the ids would have it they come in any order
	return append(append(lines, keys...), frames(t, pool, b)...)
}

// frames gives the hash of each film's frames and samples, in the lessons' order.
func frames(t *testing.T, pool *pgxpool.Pool, b bucket) (lines []string) {
	t.Helper()
	found, err := pool.Query(t.Context(), `
		SELECT v.folder FROM videos v JOIN lessons l USING (lesson_id) JOIN modules m USING (module_id)
		WHERE v.state = 'ready' ORDER BY m.position, l.position`)
	if err != nil {
		t.Fatal(err)
	}
	folders, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for i, folder := range folders {
		path := filepath.Join(t.TempDir(), fmt.Sprint(i, ".mp4"))
		if err := fetch(t.Context(), b, folder+"video.mp4", path); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("ffmpeg", "-v", "error", "-i", path, "-map", "0:v", "-map", "0:a", "-f", "framemd5", "-").Output()
		if err != nil {
			t.Fatalf("%s cannot be played: %v", folder, err)
		}
		lines = append(lines, strings.Split(strings.TrimSpace(string(out)), "\n")...)
	}
	return lines
}

func fetch(ctx context.Context, b bucket, key, path string) error {
	r, _, err := b.Open(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := f.ReadFrom(r); err != nil {
		return err
	}
	return f.Close()
}

// settle waits until the system is at rest: what was put down for removal is gone.
func settle(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; {
		var left int
		err := pool.QueryRow(t.Context(), `
			SELECT (SELECT count(*) FROM deletions WHERE cleaned_at IS NULL)
				+ (SELECT count(*) FROM ledger WHERE state = 'reserved')
				+ (SELECT count(*) FROM job_steps WHERE state IN ('blocked', 'queued', 'running', 'delivered'))`).Scan(&left)
		if err != nil {
			t.Fatal(err)
		}
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d things are still under way", left)
		}
		if !pause(t.Context()) {
			t.Fatal(t.Context().Err())
		}
	}
}

// broken are conditions that no run may leave behind, each as a query for what
// violates it.
var broken = map[string]string{
	"a job that has ended has steps that have not": `
		SELECT j.job_id || ' ' || s.name FROM jobs j JOIN job_steps s USING (job_id)
		WHERE j.state IN ('succeeded', 'failed', 'canceled') AND s.state IN ('blocked', 'queued', 'running', 'delivered')`,
	"a job succeeded without one of its steps": `
		SELECT j.job_id || ' ' || s.name FROM jobs j JOIN job_steps s USING (job_id) WHERE j.state = 'succeeded' AND s.state <> 'succeeded'`,
	"an open job has nothing that could go on": `
		SELECT job_id FROM jobs j WHERE state IN ('queued', 'running') AND NOT EXISTS (
			SELECT FROM job_steps s WHERE s.job_id = j.job_id AND s.state IN ('queued', 'running', 'delivered'))`,
	"two open jobs for the same work": `
		SELECT subject FROM jobs WHERE state IN ('queued', 'running', 'waiting') GROUP BY kind, subject, content HAVING count(*) > 1`,
	"positions with gaps": `
		SELECT lesson_id FROM slides GROUP BY lesson_id HAVING max(position) <> count(*) - 1
		UNION ALL SELECT module_id FROM lessons GROUP BY module_id HAVING max(position) <> count(*) - 1
		UNION ALL SELECT course_id FROM modules GROUP BY course_id HAVING max(position) <> count(*) - 1
		UNION ALL SELECT source_id FROM passages GROUP BY source_id HAVING max(position) <> count(*) - 1`,
	"a source is ready without passages": `
		SELECT source_id FROM sources s WHERE state = 'ready' AND NOT EXISTS (SELECT FROM passages p WHERE p.source_id = s.source_id)`,
	"units that do not add up": `
		SELECT job_id FROM jobs j WHERE state = 'succeeded' AND (done <> total OR total <> (SELECT sum(units) FROM job_steps s WHERE s.job_id = j.job_id))`,
}

// The ledger after every scenario, and so after every kill (F51 with F01's points):
// nothing leaks, nothing is counted twice or forgotten, and nobody spends more than
// they may.
var unbalanced = map[string]string{
	"money that is reserved for nothing": `
		SELECT organization_id || ' ' || reserved_micros FROM ledger_months WHERE reserved_micros <> 0
		UNION ALL SELECT entry_id FROM ledger WHERE state = 'reserved'`,
	"a month that is not the sum of its entries": `
		SELECT m.organization_id || ' ' || spent_micros
		FROM ledger_months m, LATERAL (
			SELECT coalesce(sum(micros), 0) AS micros,
				coalesce(sum(input_units) FILTER (WHERE kind = 'tokens'), 0) AS tokens,
				coalesce(sum(input_units) FILTER (WHERE kind = 'speech'), 0) AS characters,
				coalesce(sum(input_units) FILTER (WHERE kind = 'render'), 0) AS seconds
			FROM ledger l WHERE l.organization_id = m.organization_id AND l.month = m.month AND l.state IN ('settled', 'expired')) e
		WHERE (spent_micros, tokens_in, speech_characters, render_seconds) <> (e.micros, e.tokens, e.characters, e.seconds)`,
	"work that nobody paid for": `
		SELECT kind FROM unnest(ARRAY['tokens', 'speech', 'render']) kind
		WHERE NOT EXISTS (SELECT FROM ledger l WHERE l.kind = kind AND l.micros > 0)`,
	"a budget that was overspent": `
		SELECT m.organization_id || ' ' || spent_micros FROM ledger_months m LEFT JOIN budgets b USING (organization_id)
		WHERE spent_micros + reserved_micros > coalesce(b.hard_micros, 100000000)`,
}

// checkInvariants holds after every scenario: the rows agree with each other, and
// the bucket with the rows.
func checkInvariants(t *testing.T, pool *pgxpool.Pool, b bucket) {
	t.Helper()
	all := maps.Clone(broken)
	maps.Copy(all, unbalanced)
	for what, sql := range all {
		found, err := pool.Query(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		violations, err := pgx.CollectRows(found, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		if len(violations) > 0 {
			t.Errorf("%s: %v", what, violations)
		}
	}
	found, err := pool.Query(t.Context(), `
		SELECT folder || 'video.mp4', generation, bytes FROM videos WHERE state = 'ready'
		UNION ALL SELECT object, generation, size FROM sources WHERE state IN ('queued', 'ready')`)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	var key string
	var generation, size int64
	_, err = pgx.ForEachRow(found, []any{&key, &generation, &size}, func() error {
		info, err := b.Stat(t.Context(), key)
		if err != nil || info.Generation != generation || info.Size != size {
			t.Errorf("%s is in the database at generation %d with %d bytes, and in the bucket at %d with %d (%v)", key, generation, size, info.Generation, info.Size, err)
		}
		known[folderOf(key)] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	objects, err := b.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if !strings.HasPrefix(o.Key, "segments/") && !known[folderOf(o.Key)] {
			t.Errorf("%s belongs to nothing", o.Key)
		}
	}
}

func folderOf(key string) string { return key[:strings.LastIndexByte(key, '/')+1] }
