package source

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/postgres"
)

// Names gives what people call the sources of a course, by id: the title that a
// document gives itself, else its file's name.
func Names(ctx context.Context, q postgres.Querier, organization, course string) (map[string]string, error) {
	rows, err := q.Query(ctx, `
		SELECT source_id, CASE title WHEN '' THEN name ELSE title END
		FROM sources
		WHERE organization_id = $1 AND course_id = $2`, organization, course)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	names := map[string]string{}
	var key, name string
	_, err = pgx.ForEachRow(rows, []any{&key, &name}, func() error {
		names[key] = name
		return nil
	})
	return names, postgres.Fault(err)
}
