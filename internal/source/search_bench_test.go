package source_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/internal/source"
)

// BenchmarkSearch asks for two words as a tenant, and as an owner whom no policy
// stops: in a course of 500 passages among those of 20 organizations, and in one of
// 50,000. Behind row-level security the full text index does not serve, since @@ is
// not leakproof: the course's index does, so that what others have costs nothing.
func BenchmarkSearch(b *testing.B) {
	for _, size := range []struct{ all, each int }{{1_500, 500}, {50_000, 500}, {50_000, 50_000}} {
		db := shelves(b, size.all, size.each)
		tenants := pgtest.As(b, db, postgres.Tenant)
		for _, who := range []string{"tenant", "owner"} {
			for _, query := range []string{"w7 w40", "w3000 w4000", "w7 nowhere"} { // common, rare, not all there
				b.Run(fmt.Sprintf("%d of %d/%s/%s", size.each, size.all, who, query), func(b *testing.B) {
					pool, ctx := db, b.Context()
					if who == "tenant" {
						pool, ctx = tenants, postgres.WithOrganization(b.Context(), organization)
					}
					for b.Loop() {
						if _, err := source.Search(ctx, pool, organization, "crs_0", query, 20); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

// shelves holds all passages, of 30 words that are common and rare, in courses of each.
func shelves(b *testing.B, all, each int) *pgxpool.Pool {
	db := pgtest.New(b)
	_, err := db.Exec(context.Background(), `
		SET statement_timeout = 0;
		INSERT INTO organizations (organization_id, name) SELECT 'org_' || n, 'x' FROM generate_series(1, 19) n;
		INSERT INTO courses (course_id, organization_id, title, created_by)
		SELECT 'crs_' || n, CASE n % 20 WHEN 0 THEN 'org_local' ELSE 'org_' || n % 20 END, 'x', 'x' FROM generate_series(0, `+fmt.Sprint(all/each-1)+`) n;
		INSERT INTO sources (source_id, course_id, organization_id, name, content_type, size, state, object)
		SELECT replace(course_id, 'crs', 'src'), course_id, organization_id, 'x', 'x', 1, 'ready', course_id FROM courses;
		INSERT INTO passages (passage_id, source_id, course_id, organization_id, position, kind, heading, page, start_offset, end_offset, text, words, configuration, lexemes)
		SELECT 'psg_' || n, source_id, course_id, organization_id, n, 'prose', '{}', 0, 0, 1, t, 30, 'english', to_tsvector('english', t)
		FROM generate_series(0, `+fmt.Sprint(all-1)+`) n
		CROSS JOIN LATERAL (SELECT string_agg('w' || (power(random(), 3) * 5000)::int, ' ') AS t FROM generate_series(1, 30 + n * 0)) words
		JOIN sources ON source_id = 'src_' || n / `+fmt.Sprint(each)+`;
		RESET statement_timeout;
		ANALYZE`)
	if err != nil {
		b.Fatal(err)
	}
	return db
}
