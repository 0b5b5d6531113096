package account

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// Invitation is open until its link is used, or for 30 minutes.
type Invitation struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	Name      string    `json:"name,omitempty"`
	Role      Role      `json:"role" enum:"root,owner,author,learner"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Invitations lists the open ones of an organisation, the newest first and at most
// 100.
func Invitations(ctx context.Context, q postgres.Querier, organization string) ([]Invitation, error) {
	rows, err := q.Query(postgres.AnyOfPool(ctx), `
		SELECT link_id, data->>'email', coalesce(data->>'name', ''), data->>'role', created_at, expires_at
		FROM links
		WHERE organization_id = $1 AND kind = 'invitation' AND used_at IS NULL AND expires_at > now()
		ORDER BY created_at DESC, link_id DESC
		LIMIT 100`, organization)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	invitations, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Invitation])
	return invitations, postgres.Fault(err)
}

// Invite sends an address the link with which its owner becomes a member; an earlier
// one of this organisation to it ends. The name, "" or what the inviter calls them,
// is only shown in the list. Who has an account elsewhere reads that they need
// another address; the inviter does not learn it.
func (d *Desk) Invite(ctx context.Context, p Principal, email string, role Role, name string) (Invitation, error) {
	if err := allowed(p, role); err != nil {
		return Invitation{}, err
	}
	e, err := ParseEmail(email)
	if err != nil {
		return Invitation{}, err
	}
	if name != "" {
		if name, err = cleanName(name, "body.name"); err != nil {
			return Invitation{}, err
		}
	}
	organization, err := d.mayInvite(ctx, p, role)
	if err != nil {
		return Invitation{}, err
	}
	known, err := findPerson(ctx, d.DB, e.Address)
	if err != nil {
		return Invitation{}, err
	}
	if known.organization == p.Organization {
		return Invitation{}, fault.New(fault.Conflict, "They are a member already.")
	}
	if err := d.throttle.Allow(ctx, Ask{ThrottleKey("invitations", p.Organization), d.Limits.Invites}, d.letter(e)); err != nil {
		return Invitation{}, err
	}
	l := newLink(invitationLink)
	l.organization, l.address, l.createdBy = p.Organization, e.Address, p.User
	l.data = linkData{Email: e.Shown, Name: name, Role: role}
	secret, err := l.make(ctx, d.DB)
	if err != nil {
		return Invitation{}, err
	}
	letter := d.letterInvitation(e, organization, secret)
	if known.user != "" {
		letter = d.letterCannotJoin(e, organization)
	}
	if err := d.send(ctx, letter); err != nil {
		if undo := d.Uninvite(context.WithoutCancel(ctx), p, l.id); undo != nil {
			slog.WarnContext(ctx, "an invitation whose letter was not sent is still listed", "link", l.id, "error", undo)
		}
		return Invitation{}, err
	}
	return Invitation{l.id, e.Shown, name, role, l.createdAt, l.expiresAt}, nil
}

// mayInvite gives the name of p's organisation if it may have members of that role.
func (d *Desk) mayInvite(ctx context.Context, p Principal, role Role) (name string, err error) {
	var operator bool
	err = d.DB.QueryRow(ctx, `
		SELECT name, operator
		FROM organizations
		WHERE organization_id = $1`, p.Organization).Scan(&name, &operator)
	if err == nil && role == Root && !operator {
		return "", errRoot
	}
	return name, postgres.Fault(err)
}

// Uninvite takes an open invitation back.
func (d *Desk) Uninvite(ctx context.Context, p Principal, invitation string) error {
	tag, err := d.DB.Exec(postgres.AnyOfPool(ctx), `
		DELETE FROM links
		WHERE organization_id = $1 AND link_id = $2 AND kind = 'invitation' AND used_at IS NULL`, p.Organization, invitation)
	if err == nil && tag.RowsAffected() == 0 {
		return fault.New(fault.NotFound, "There is no such invitation.")
	}
	return postgres.Fault(err)
}
