package relay

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/crash"
)

// rows are events of several answers, a column each.
type rows struct {
	organizations, sessions, messages, kinds, data []string
	seqs                                           []int64
}

func (r *rows) add(p part) {
	for _, e := range p.events {
		r.organizations = append(r.organizations, p.live.name.Organization)
		r.sessions = append(r.sessions, p.live.name.Session)
		r.messages = append(r.messages, p.live.name.Message)
		r.seqs = append(r.seqs, e.Seq)
		r.kinds = append(r.kinds, string(e.Kind))
		r.data = append(r.data, string(e.Data))
	}
}

// insert logs events of answers that are still made here, in one exchange that is
// one transaction, and tells how many rows are new. The lock is shared among this
// process's appends; who ends or takes over its answers has it alone. The second
// statement looks after the first has the lock, so it sees what was done under it.
func (r *Relay) insert(ctx context.Context, e *rows) (int, error) {
	var n int64
	b := &pgx.Batch{}
	b.Queue(`SELECT pg_advisory_xact_lock_shared(hashtextextended('producer ' || $1, 0))`, r.id)
	b.Queue(`
		INSERT INTO stream_events (message_id, seq, organization_id, kind, data)
		SELECT m.message_id, e.seq, m.organization_id, e.kind, e.data
		FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[])
			AS e (organization_id, session_id, message_id, seq, kind, data)
		JOIN messages m ON m.session_id = e.session_id AND m.message_id = e.message_id AND m.organization_id = e.organization_id
		WHERE m.state = 'streaming' AND m.producer_id = $1
		ON CONFLICT (message_id, seq) DO NOTHING`,
		r.id, e.organizations, e.sessions, e.messages, e.seqs, e.kinds, e.data)
	results := r.o.DB.SendBatch(ctx, b)
	_, err := results.Exec()
	if err == nil {
		tag, failed := results.Exec()
		n, err = tag.RowsAffected(), failed
	}
	crash.Point("relay.appended")
	if closed := results.Close(); err == nil { // its end is the commit's
		err = closed
	}
	return int(n), err
}

// logged tells which of the events stand in the log as they are.
func (r *Relay) logged(ctx context.Context, e *rows) ([]bool, error) {
	rows, err := r.o.DB.Query(ctx, `
		SELECT EXISTS (
			SELECT FROM stream_events s
			WHERE s.message_id = e.message_id AND s.seq = e.seq AND s.organization_id = e.organization_id AND s.kind = e.kind AND s.data = e.data)
		FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[])
			WITH ORDINALITY AS e (organization_id, message_id, seq, kind, data, n)
		ORDER BY e.n`, e.organizations, e.messages, e.seqs, e.kinds, e.data)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[bool])
}
