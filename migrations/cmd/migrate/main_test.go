package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/gcp/secretmanager/emulator"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/cluster"
)

// cloud is a fresh server as Cloud SQL gives one: who migrates owns the database and
// may make roles, and is no superuser; functions have users of their own.
type cloud struct {
	t     *testing.T
	admin *pgxpool.Pool
	url   string // of the database
}

const (
	tenantUser = `lectern-courses@project.iam`
	systemUser = `odd "user"; DROP TABLE users; --`
)

func newCloud(t *testing.T) *cloud {
	folder, err := os.MkdirTemp("", "lectern-migrate-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	server, err := cluster.Start(t.Context(), filepath.Join(folder, "data"), cluster.Options{Throwaway: true, Log: t.Output()})
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	c := &cloud{t: t, url: server.URL("lectern")}
	c.admin = c.open(server.URL("postgres"), postgres.Owner)
	for _, sql := range []string{
		`CREATE ROLE migrator LOGIN CREATEROLE`,
		`CREATE ROLE "` + tenantUser + `" LOGIN`,
		`CREATE ROLE "odd ""user""; DROP TABLE users; --" LOGIN`,
		`CREATE DATABASE lectern OWNER migrator`,
	} {
		if _, err := c.admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("DATABASE_URL", c.as("migrator"))
	t.Setenv("TENANT_USERS", tenantUser)
	t.Setenv("SYSTEM_USERS", systemUser)
	return c
}

// as gives the URL of the database for a user.
func (c *cloud) as(user string) string {
	u, err := url.Parse(c.url)
	if err != nil {
		c.t.Fatal(err)
	}
	u.User = url.User(user)
	query := u.Query()
	query.Del("user")
	u.RawQuery = query.Encode()
	return u.String()
}

func (c *cloud) open(url string, role postgres.Role) *pgxpool.Pool {
	pool, err := postgres.Open(context.Background(), url, postgres.Options{Role: role})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(pool.Close)
	return pool
}

// run gives what a run tells.
func (c *cloud) run(bootstrap bool, vault *emulator.Vault) (string, error) {
	c.t.Helper()
	var out strings.Builder
	err := migrate(c.t.Context(), &out, bootstrap, vault.Options()...)
	text := out.String()
	if err != nil {
		text += err.Error()
	}
	if strings.Contains(text, "canary") || strings.Contains(text, "argon2id") {
		c.t.Errorf("a secret is told: %s", text)
	}
	return text, err
}

// TestMain lets a test run this program as a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("MIGRATE_AS_A_PROCESS") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A fresh database is ready after one run of who is no superuser.
func TestFreshDatabase(t *testing.T) { // not parallel: its settings are the process's
	c := newCloud(t)
	vault := emulator.New(t)
	vault.Set("projects/p/secrets/root/versions/latest", "root canary one\n")
	vault.Set("projects/p/secrets/dreambridge/versions/1", "client canary one")
	vault.Set("projects/p/secrets/dreambridge/versions/latest", "client canary two")
	t.Setenv("ROOT_EMAIL", "root@example.org")
	t.Setenv("ROOT_PASSWORD", "sm://projects/p/secrets/root")
	t.Setenv("DREAMBRIDGE_SECRET", "sm://projects/p/secrets/dreambridge/versions/1")
	if text, err := c.run(true, vault); err != nil || !strings.Contains(text, "dreambridge") {
		t.Fatal(text, err)
	}
	var owner string
	if err := c.admin.QueryRow(t.Context(), `SELECT rolname FROM pg_database JOIN pg_roles r ON r.oid = datdba WHERE datname = 'lectern' AND NOT rolsuper`).Scan(&owner); err != nil || owner != "migrator" {
		t.Fatal(owner, err)
	}
	if err := c.open(c.as("migrator"), postgres.Owner).QueryRow(t.Context(), `SELECT tableowner FROM pg_tables WHERE tablename = 'users'`).Scan(&owner); err != nil || owner != "migrator" {
		t.Fatal(owner, err)
	}
	if text, err := c.run(true, vault); err != nil || !strings.Contains(text, "Nothing was to do") {
		t.Fatal(text, err)
	}
	if text, err := c.run(false, vault); err != nil || text != "" {
		t.Fatal(text, err)
	}

	// The functions' users work: one in an organisation, one in all.
	hasher, err := account.NewHasher(account.HashOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tenants, systems := c.open(c.as(tenantUser), postgres.Tenant), c.open(c.as(systemUser), postgres.System)
	client := func(context.Context) string { return "" }
	p, err := account.NewVerifier(tenants, hasher, client).Check(t.Context(), "dreambridge", "client canary one")
	if err != nil || p.Organization != account.ClientOrganization {
		t.Errorf("%+v, %v", p, err)
	}
	count := func(ctx context.Context, pool *pgxpool.Pool) (n int) {
		t.Helper()
		if err := pool.QueryRow(ctx, `SELECT count(*) FROM organizations`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	of := postgres.WithOrganization(t.Context(), account.ClientOrganization)
	if a, b, c, d := count(t.Context(), tenants), count(of, tenants), count(t.Context(), systems), count(of, systems); a != 0 || b != 1 || c != 2 || d != 1 {
		t.Errorf("organisations seen: %d, %d, %d, %d", a, b, c, d)
	}
	if _, err := tenants.Exec(t.Context(), `SET ROLE lectern_system`); err == nil {
		t.Error("a tenants' user may become the system")
	}
	for name, pool := range map[string]*pgxpool.Pool{"tenants": tenants, "systems": systems} {
		if _, err := pool.Exec(t.Context(), `SELECT FROM founders`); err == nil {
			t.Errorf("%s read what only the owner may", name)
		}
		if _, err := pool.Exec(t.Context(), `RESET ROLE; CREATE TABLE mine (n INT)`); err == nil {
			t.Errorf("%s make tables", name)
		}
	}

	// A new version of the secret.
	t.Setenv("DREAMBRIDGE_SECRET", "sm://projects/p/secrets/dreambridge")
	if text, err := c.run(true, vault); err != nil || !strings.Contains(text, "dreambridge-2") {
		t.Fatal(text, err)
	}
	if _, err := account.NewVerifier(tenants, hasher, client).Check(t.Context(), "dreambridge-2", "client canary two"); err != nil {
		t.Error(err)
	}
}

// What is wrong is told before anything is changed.
func TestWrongSettings(t *testing.T) {
	c := newCloud(t)
	vault := emulator.New(t)
	t.Setenv("ROOT_PASSWORD", "sm://projects/p/secrets/missing")
	tables := func() (n int) {
		t.Helper()
		err := c.open(c.as("migrator"), postgres.Owner).QueryRow(t.Context(), `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if text, err := c.run(true, vault); err == nil || !strings.Contains(text, "ROOT_EMAIL") || tables() != 0 {
		t.Errorf("%s; %d tables", text, tables())
	}
	t.Setenv("ROOT_EMAIL", "root@example.org")
	if text, err := c.run(true, vault); err == nil || !strings.Contains(text, "projects/p/secrets/missing") || tables() != 0 {
		t.Errorf("%s; %d tables", text, tables())
	}
	t.Setenv("TENANT_USERS", tenantUser+",nobody,nor you")
	if text, err := c.run(false, vault); err == nil || !strings.Contains(text, `no user "nobody"`) || !strings.Contains(text, `no user "nor you"`) {
		t.Error(text, err)
	}
	var admitted bool
	if err := c.admin.QueryRow(t.Context(), `SELECT pg_has_role($1, 'lectern_tenant', 'member')`, tenantUser).Scan(&admitted); err != nil || admitted {
		t.Errorf("admitted: %t, %v", admitted, err)
	}
}

func TestCalibration(t *testing.T) {
	var out strings.Builder
	if err := measure(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(out.String(), "\n")
	if !strings.HasPrefix(first, fmt.Sprintf("%3d MiB, %d passes: ", account.Today.MemoryKiB>>10, account.Today.Iterations)) {
		t.Error(out.String())
	}
}
