package account

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

// Member is a person as the owners of their organisation see them.
type Member struct {
	ID        string     `json:"id"`
	Email     string     `json:"email"`
	Name      string     `json:"name"`
	Role      Role       `json:"role" enum:"root,owner,author,learner"`
	CreatedAt time.Time  `json:"created_at"`
	SeenAt    *time.Time `json:"seen_at,omitempty" doc:"the last use, to a few minutes; absent when they are signed in nowhere"`
}

const memberColumns = `u.user_id, u.email, u.name, u.role, u.created_at,
	(SELECT max(s.seen_at) FROM sign_ins s WHERE s.organization_id = u.organization_id AND s.user_id = u.user_id)`

// Members lists the people of an organisation in the order in which they came: at
// most limit of them after the cursor, and the cursor of the next page, "" when there
// is none.
func Members(ctx context.Context, q postgres.Querier, organization, cursor string, limit int) ([]Member, string, error) {
	after, user, err := parseMemberCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	rows, err := q.Query(ctx, `
		SELECT `+memberColumns+`
		FROM users u
		WHERE u.organization_id = $1 AND (u.created_at, u.user_id) > ($2, $3)
		ORDER BY u.created_at, u.user_id
		LIMIT $4`, organization, after, user, limit+1)
	if err != nil {
		return nil, "", postgres.Fault(err)
	}
	members, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Member])
	if err != nil || len(members) <= limit {
		return members, "", postgres.Fault(err)
	}
	last := members[limit-1]
	next := strconv.FormatInt(last.CreatedAt.UnixMicro(), 36) + "." + last.ID
	return members[:limit], base64.RawURLEncoding.EncodeToString([]byte(next)), nil
}

func parseMemberCursor(s string) (time.Time, string, error) {
	if s == "" {
		return time.Time{}, "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	at, user, found := strings.Cut(string(raw), ".")
	micros, numErr := strconv.ParseInt(at, 36, 64)
	if err != nil || numErr != nil || !found || !id.Valid(id.User, user) || micros < 0 || micros > 253_402_300_799_000_000 { // the year 9999
		return time.Time{}, "", wrongField("query.cursor", "The cursor is not one that this list gave. Begin again without it.")
	}
	return time.UnixMicro(micros), user, nil
}

// ChangeRole gives a member another role; it holds at their next request, and the
// invitations that they have sent end. Nobody gives a role above their own or touches
// who has one (Denied); root is only in an operator's organisation; the last owner
// stays one (Conflict).
func ChangeRole(ctx context.Context, db postgres.Beginner, p Principal, user string, role Role) (m Member, err error) {
	if err := allowed(p, role); err != nil {
		return Member{}, err
	}
	err = asOwner(ctx, db, p, user, role, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			UPDATE users u
			SET role = $3, updated_at = now()
			FROM organizations o
			WHERE u.organization_id = $1 AND u.user_id = $2
				AND o.organization_id = u.organization_id AND (o.operator OR $3 <> 'root')
			RETURNING `+memberColumns, p.Organization, user, role)
		if err != nil {
			return err
		}
		m, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Member])
		if err = postgres.Fault(err); fault.Is(err, fault.NotFound) {
			return errRoot
		}
		return err
	})
	return m, err
}

// RemoveMember takes a person out of the organisation, and all that they are signed
// in with. What they have made stays. The rules are those of ChangeRole.
func RemoveMember(ctx context.Context, db postgres.Beginner, p Principal, user string) error {
	return asOwner(ctx, db, p, user, "", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM users WHERE organization_id = $1 AND user_id = $2`, p.Organization, user)
		return err
	})
}

// asOwner runs change, which leaves the member with the role then, where p may do it.
//
// All owners' rows are locked in one order before they are counted. Of two who demote
// each other at the same time, the second waits, and then no longer finds the first.
func asOwner(ctx context.Context, db postgres.Beginner, p Principal, user string, then Role, change func(pgx.Tx) error) error {
	return postgres.InTx(postgres.AnyOfPool(ctx), db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT user_id, role
			FROM users
			WHERE organization_id = $1 AND (role IN ('root', 'owner') OR user_id = $2)
			ORDER BY user_id
			FOR UPDATE`, p.Organization, user)
		if err != nil {
			return err
		}
		roles := map[string]Role{}
		var who string
		var role Role
		if _, err := pgx.ForEachRow(rows, []any{&who, &role}, func() error { roles[who] = role; return nil }); err != nil {
			return err
		}
		is, ok := roles[user]
		switch {
		case !ok:
			return fault.New(fault.NotFound, "There is no such member.")
		case !roles[p.User].AtLeast(Owner): // demoted or removed since they were let in
			return fault.New(fault.Denied, "Your role does not allow that.")
		case !roles[p.User].AtLeast(is):
			return fault.New(fault.Denied, "Their role is above yours.")
		case then != "" && !roles[p.User].AtLeast(then): // the same
			return errAbove
		case is.AtLeast(Owner) && !then.AtLeast(Owner) && owners(roles) == 1:
			return fault.New(fault.Conflict, "This is the last owner. Make somebody else an owner first.")
		}
		if err := endLinks(ctx, tx, user); err != nil {
			return err
		}
		return change(tx)
	})
}

func owners(roles map[string]Role) (n int) {
	for _, role := range roles {
		if role.AtLeast(Owner) {
			n++
		}
	}
	return n
}

var errRoot = fault.New(fault.Denied, "Only the organisation that runs this Lectern has members with the role root.")

// allowed tells whether p may give a role.
func allowed(p Principal, role Role) error {
	if !p.Role.AtLeast(role) {
		return errAbove
	}
	return nil
}

var errAbove = fault.New(fault.Denied, "You cannot give a role above your own.")
