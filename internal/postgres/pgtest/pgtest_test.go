package pgtest_test

import (
	"testing"

	"lectern.dev/lectern/internal/postgres/pgtest"
)

func TestDatabasesAreMigratedAndApart(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	one, two := pgtest.New(t), pgtest.New(t)
	if _, err := one.Exec(ctx, `INSERT INTO organizations (organization_id, name) VALUES ('a', 'A')`); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := two.QueryRow(ctx, `SELECT count(*) FROM organizations WHERE organization_id = 'a'`).Scan(&n); err != nil || n != 0 {
		t.Fatalf("the other test's row is seen %d times, error %v", n, err)
	}
}
