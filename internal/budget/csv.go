package budget

import (
	"context"
	"encoding/csv"
	"io"
	"strconv"
	"time"
)

// pageOfCSV is how many entries are read at once.
const pageOfCSV = 500

// WriteCSV writes a month of an organisation's ledger. It reads page by page, so that
// no connection waits for a reader who is slow.
func (l *Ledger) WriteCSV(ctx context.Context, w io.Writer, organization string, month time.Time) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{
		"entry", "created_at", "settled_at", "kind", "model", "state", "input_units", "output_units",
		"reserved_micros", "micros", "usd", "user", "subject",
	}); err != nil {
		return err
	}
	for cursor := ""; ; {
		entries, next, err := l.Entries(ctx, organization, month, cursor, pageOfCSV)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := out.Write(e.record()); err != nil {
				return err
			}
		}
		out.Flush()
		if err := out.Error(); err != nil || next == "" {
			return err
		}
		cursor = next
	}
}

func (e Entry) record() []string {
	settled := ""
	if e.Settled != nil {
		settled = e.Settled.UTC().Format(time.RFC3339)
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []string{
		e.ID, e.Created.UTC().Format(time.RFC3339), settled, string(e.Kind), cell(e.Model), e.State, number(e.Input), number(e.Output),
		number(e.Reserved), number(e.Micros), e.USD, cell(e.User), cell(e.Subject),
	}
}

// cell keeps a spreadsheet from taking a text for a formula.
// https://owasp.org/www-community/attacks/CSV_Injection
func cell(text string) string {
	if text == "" {
		return ""
	}
	switch text[0] {
	case '=', '+', '-', '@', '\t', '\r', '\n':
		return "'" + text
	}
	return text
}
