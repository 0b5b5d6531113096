package job

import (
	"context"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// Limits bound how many jobs of a kind are open at once; 0: as many as they like.
type Limits struct {
	PerUser         int
	PerOrganization int
}

// nouns say what jobs of a kind are called.
var nouns = map[Kind]string{Generate: "courses being written", Ingest: "documents being read", Render: "videos being made"}

// Admit refuses an open job that is one too many, or that there is no budget for, in
// the transaction that opened it. Those of an organization come one after the other,
// so that two at once cannot both be the last; it is taken after all other locks.
func (r *Runner) Admit(ctx context.Context, tx postgres.Querier, j Job) error {
	if limits, ok := r.Limits[j.Kind]; ok {
		if err := limits.admit(ctx, tx, j); err != nil {
			return err
		}
	}
	if r.Afford != nil && j.Kind != Ingest { // reading costs nothing
		return r.Afford(ctx, tx, j.Organization)
	}
	return nil
}

func (l Limits) admit(ctx context.Context, tx postgres.Querier, j Job) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('open jobs of ' || $1, 0))`, j.Organization)
	if err != nil {
		return postgres.Fault(err)
	}
	var theirs, all int // this one among them
	err = tx.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE created_by = $3), count(*)
		FROM jobs
		WHERE organization_id = $1 AND kind = $2 AND state IN ('queued', 'running', 'waiting')`,
		j.Organization, j.Kind, j.CreatedBy).Scan(&theirs, &all)
	switch {
	case err != nil:
		return postgres.Fault(err)
	case l.PerUser > 0 && theirs > l.PerUser:
		return fault.New(fault.Exhausted,
			"You already have %d %s, as many as one person may have at once. Wait until one is done, or cancel it.", l.PerUser, nouns[j.Kind])
	case l.PerOrganization > 0 && all > l.PerOrganization:
		return fault.New(fault.Exhausted,
			"Your organization already has %d %s, as many as it may have at once. Wait until one is done, or cancel it.", l.PerOrganization, nouns[j.Kind])
	}
	return nil
}
