package budget

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

// Entry is one line of the ledger.
type Entry struct {
	ID       string     `json:"id"`
	Created  time.Time  `json:"created_at"`
	Settled  *time.Time `json:"settled_at,omitempty"`
	Kind     Kind       `json:"kind" enum:"tokens,embedding,speech,render"`
	Model    string     `json:"model"`
	State    string     `json:"state" enum:"reserved,settled,released,expired" doc:"expired: nobody said what was used, so all that was reserved is counted"`
	Input    int64      `json:"input_units" doc:"tokens in, characters, or seconds of one processor; while reserved, at most"`
	Output   int64      `json:"output_units" doc:"tokens out, or seconds of sound; while reserved, at most"`
	Reserved int64      `json:"reserved_micros" doc:"the most that it could come to, in millionths of a US dollar"`
	Micros   int64      `json:"micros" doc:"what it came to, in millionths of a US dollar"`
	USD      string     `json:"usd" doc:"the same in US dollars" example:"0.0125"`
	User     string     `json:"user,omitempty" doc:"who asked for it"`
	Subject  string     `json:"subject,omitempty" doc:"the job or session that it was spent for"`
}

// Entries lists a month of an organisation's ledger in the order in which it was
// written: at most limit entries after the cursor, and the cursor of the next page,
// empty when there is none.
func (l *Ledger) Entries(ctx context.Context, organization string, month time.Time, cursor string, limit int) ([]Entry, string, error) {
	at, after, err := parseCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	rows, err := l.DB.Query(ctx, `
		SELECT entry_id, created_at, settled_at, kind, model, state, input_units, output_units, reserved_micros, micros, user_id, subject
		FROM ledger
		WHERE organization_id = $1 AND month = $2 AND (created_at, entry_id) > ($3, $4)
		ORDER BY created_at, entry_id
		LIMIT $5`, organization, month, at, after, limit+1)
	if err != nil {
		return nil, "", postgres.Fault(err)
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Entry, err error) {
		err = row.Scan(&e.ID, &e.Created, &e.Settled, &e.Kind, &e.Model, &e.State, &e.Input, &e.Output, &e.Reserved, &e.Micros, &e.User, &e.Subject)
		e.USD = usd(e.Micros)
		return e, err
	})
	if err != nil || len(entries) <= limit {
		return entries, "", postgres.Fault(err)
	}
	last := entries[limit-1]
	return entries[:limit], newCursor(last.Created, last.ID), nil
}

// ParseMonth reads a month such as 2026-11; empty is the present one, by the
// database's clock.
func (l *Ledger) ParseMonth(ctx context.Context, s string) (time.Time, error) {
	if s == "" {
		var now time.Time
		err := l.DB.QueryRow(ctx, `SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date`).Scan(&now)
		return now, postgres.Fault(err)
	}
	month, err := time.Parse("2006-01", s)
	if err != nil || month.Year() < 2000 {
		return month, wrong("month", "is not a month such as 2026-11", "The month is not one such as 2026-11.")
	}
	return month, nil
}

func newCursor(at time.Time, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(at.UnixMicro(), 36) + "." + id))
}

var longAgo = time.Unix(0, 0)

func parseCursor(s string) (time.Time, string, error) {
	if s == "" {
		return longAgo, "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	at, entry, found := strings.Cut(string(raw), ".")
	micros, numErr := strconv.ParseInt(at, 36, 64)
	if err != nil || numErr != nil || !found || !id.Valid(id.LedgerEntry, entry) || micros < 0 || micros > 253402300799_000000 {
		return longAgo, "", wrong("cursor", "is not a cursor of this list", "The cursor is not one that a list gave. Begin again without it.")
	}
	return time.UnixMicro(micros), entry, nil
}

func wrong(parameter, message, sentence string) error {
	e := fault.New(fault.Invalid, "%s", sentence)
	e.Fields = []fault.Field{{Location: "query." + parameter, Message: message}}
	return e
}
