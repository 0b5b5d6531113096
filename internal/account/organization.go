package account

import (
	"context"

	"lectern.dev/lectern/internal/postgres"
)

// GetOrganization reads an organisation; NotFound when there is none with this id.
func GetOrganization(ctx context.Context, q postgres.Querier, organization string) (Organization, error) {
	o := Organization{ID: organization}
	err := q.QueryRow(ctx, `
		SELECT name, operator
		FROM organizations
		WHERE organization_id = $1`, organization).Scan(&o.Name, &o.Operator)
	return o, postgres.Fault(err)
}
