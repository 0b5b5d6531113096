package main

import (
	"strings"
	"testing"

	"lectern.dev/lectern/internal/gcp/secretmanager/emulator"
	"lectern.dev/lectern/internal/postgres"
)

// Cloud SQL gives a service account a user without any attribute. terraform/migrate.tf
// makes it a member of cloudsqlsuperuser, who owns every database and may make roles:
// what members inherit are its rights, not its CREATEROLE, so the URL has them work as it.
func TestAsCloudSQLServiceAccount(t *testing.T) {
	c := newCloud(t)
	const account = `lectern-migrate@project.iam`
	for _, sql := range []string{
		`CREATE ROLE cloudsqlsuperuser NOLOGIN CREATEROLE CREATEDB`,
		`CREATE ROLE "` + account + `" LOGIN IN ROLE cloudsqlsuperuser`,
		`ALTER DATABASE lectern OWNER TO cloudsqlsuperuser`,
		`DROP ROLE migrator`,
	} {
		if _, err := c.admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	vault := emulator.New(t)
	t.Setenv("ROOT_EMAIL", "root@example.org")
	t.Setenv("ROOT_PASSWORD", "root canary one")
	t.Setenv("DREAMBRIDGE_SECRET", "client canary one of more than thirty-two letters")

	if _, err := c.open(c.as(account), postgres.Owner).Exec(t.Context(), `CREATE ROLE lectern_tenant`); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Fatalf("as itself it may make roles: %v", err)
	}
	t.Setenv("DATABASE_URL", c.as(account)+"&role=cloudsqlsuperuser")
	t.Setenv("DATABASE_CONNECTIONS", "2") // as terraform/pools.tf gives it
	if text, err := c.run(true, vault); err != nil || !strings.Contains(text, "dreambridge") {
		t.Fatal(text, err)
	}
	if text, err := c.run(true, vault); err != nil || !strings.Contains(text, "Nothing was to do") {
		t.Fatal(text, err)
	}

	// Nothing belongs to the account: it may go, and another one carry on.
	var others int
	owned := `SELECT count(*) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'public' AND pg_get_userbyid(relowner) <> 'cloudsqlsuperuser'`
	if err := c.open(c.as(account), postgres.Owner).QueryRow(t.Context(), owned).Scan(&others); err != nil || others != 0 {
		t.Errorf("%d relations of others, %v", others, err)
	}
	// Functions' users work as they may, and are nobody's superuser.
	for user, role := range map[string]postgres.Role{tenantUser: postgres.Tenant, systemUser: postgres.System} {
		pool := c.open(c.as(user), role)
		var organizations int
		if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM organizations`).Scan(&organizations); err != nil || (organizations > 0) != (role == postgres.System) {
			t.Errorf("%s sees %d organisations, %v", user, organizations, err)
		}
		if _, err := pool.Exec(t.Context(), `SET ROLE cloudsqlsuperuser`); err == nil {
			t.Errorf("%s may become the owner", user)
		}
	}
}
