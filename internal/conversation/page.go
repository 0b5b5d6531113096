package conversation

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"time"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
)

// place is where a page of sessions ends. Clients see it as an opaque cursor.
type place struct {
	at time.Time // in microseconds, as Postgres keeps it
	id string
}

func (p place) String() string {
	return cursorOf(strconv.FormatInt(p.at.UnixMicro(), 36) + "." + p.id)
}

// lastMicrosecond is above everything that Postgres can hold as a creation time here.
var lastMicrosecond = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

func parsePlace(cursor string) (place, error) {
	if cursor == "" {
		return place{at: lastMicrosecond}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	at, session, found := strings.Cut(string(raw), ".")
	micros, numErr := strconv.ParseInt(at, 36, 64)
	if err != nil || numErr != nil || !found || !id.Valid(id.Session, session) || micros < 0 || micros > lastMicrosecond.UnixMicro() {
		return place{}, noCursor()
	}
	return place{time.UnixMicro(micros), session}, nil
}

// parseOrdinal reads the cursor of a list that is ordered as messages came: the
// ordinal of the last one, or before the first.
func parseOrdinal(cursor string) (int64, error) {
	if cursor == "" {
		return math.MinInt64, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	ordinal, numErr := strconv.ParseInt(string(raw), 36, 64)
	if err != nil || numErr != nil {
		return 0, noCursor()
	}
	return ordinal, nil
}

func ordinalCursor(ordinal int64) string { return cursorOf(strconv.FormatInt(ordinal, 36)) }

func cursorOf(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func noCursor() error {
	e := fault.New(fault.Invalid, "The cursor is not one that a list gave. Begin again without it.")
	e.Fields = []fault.Field{{Location: "query.cursor", Message: "is not a cursor of this list"}}
	return e
}
