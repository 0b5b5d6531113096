package course

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

// List gives the organization's courses, newest first and without outlines: at
// most limit of them after the cursor, and the cursor of the next page, empty when
// there is none. A course made meanwhile never shifts a page.
func List(ctx context.Context, q postgres.Querier, organization, cursor string, limit int) ([]Course, string, error) {
	after, err := parseCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	rows, err := q.Query(ctx, `
		SELECT `+courseColumns+`
		FROM courses
		WHERE organization_id = $1 AND (created_at, course_id) < ($2, $3)
		ORDER BY created_at DESC, course_id DESC
		LIMIT $4`, organization, after.at, after.id, limit+1)
	if err != nil {
		return nil, "", postgres.Fault(err)
	}
	courses, err := pgx.CollectRows(rows, scanCourse)
	if err != nil {
		return nil, "", postgres.Fault(err)
	}
	if len(courses) <= limit {
		return courses, "", nil
	}
	last := courses[limit-1]
	return courses[:limit], position{last.CreatedAt, last.ID}.String(), nil
}

// position is where a page ends. Clients see it as an opaque cursor.
type position struct {
	at time.Time // in microseconds, as Postgres keeps it
	id string
}

func (p position) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.at.UnixMicro(), 36) + "." + p.id))
}

// lastMicrosecond is above everything that Postgres can hold as a creation time here.
var lastMicrosecond = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

func parseCursor(s string) (position, error) {
	if s == "" {
		return position{at: lastMicrosecond}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	at, course, found := strings.Cut(string(raw), ".")
	micros, numErr := strconv.ParseInt(at, 36, 64)
	if err != nil || numErr != nil || !found || !id.Valid(id.Course, course) || micros < 0 || micros > lastMicrosecond.UnixMicro() {
		e := fault.New(fault.Invalid, "The cursor is not one that a list gave. Begin again without it.")
		e.Fields = []fault.Field{{Location: "query.cursor", Message: "is not a cursor of this list"}}
		return position{}, e
	}
	return position{time.UnixMicro(micros), course}, nil
}
