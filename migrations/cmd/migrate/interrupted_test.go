package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/gcp/secretmanager/emulator"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// process is the real program, with the settings of this one and some more.
func process(t *testing.T, ctx context.Context, args []string, env ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(append(os.Environ(), "MIGRATE_AS_A_PROCESS=1"), env...)
	return cmd
}

// founded holds what a bootstrap makes against what it should.
func (c *cloud) founded() {
	c.t.Helper()
	pool := c.open(c.as("migrator"), postgres.Owner)
	var made string
	err := pool.QueryRow(c.t.Context(), `
		SELECT concat_ws(', ', (SELECT count(*) FROM organizations), (SELECT count(*) FROM users), (SELECT count(*) FROM passwords),
			(SELECT count(*) FROM founders), (SELECT count(*) FROM credentials), (SELECT count(*) FROM credential_revocations),
			pg_has_role($1, 'lectern_system', 'member'), pg_has_role($2, 'lectern_tenant', 'member'))`, systemUser, tenantUser).Scan(&made)
	if err != nil || made != "2, 1, 1, 1, 1, 0, t, t" {
		c.t.Errorf("organisations, people, passwords, founders, credentials, revocations, admitted: %s, %v", made, err)
	}
	hasher, err := account.NewHasher(account.HashOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	p, err := account.NewVerifier(c.open(c.as(tenantUser), postgres.Tenant), hasher, func(context.Context) string { return "" }).Check(c.t.Context(), "dreambridge", "client canary")
	if err != nil || p.Organization != account.ClientOrganization {
		c.t.Errorf("%+v, %v", p, err)
	}
}

// F35: the real program is killed here and there, and started again each time.
func TestKilled(t *testing.T) {
	c := newCloud(t)
	wire := pgtest.NewWire(t, c.as("migrator"))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	kills := 0
	for nth := 2; ; nth += 11 {
		var out strings.Builder
		cmd := process(t, ctx, []string{"-bootstrap"}, "DATABASE_URL="+wire.URL(),
			"ROOT_EMAIL=root@example.org", "ROOT_PASSWORD=root canary", "DREAMBRIDGE_SECRET=client canary")
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		wire.Cut(nth, kills%2 == 1, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		cut, _ := wire.WasCut()
		if strings.Contains(out.String(), "canary") {
			t.Errorf("a secret is told: %s", out.String())
		}
		if err == nil {
			break
		}
		if !cut {
			t.Fatalf("after %d kills: %v\n%s", kills, err, out.String())
		}
		kills++
	}
	if kills < 5 {
		t.Errorf("it was killed %d times only", kills)
	}
	c.founded()
}

// Who is admitted and what a Lectern begins with are begun again at each statement, too.
func TestInterruptedAfterTheSchema(t *testing.T) {
	c := newCloud(t)
	vault := emulator.New(t)
	if _, err := c.run(false, vault); err != nil {
		t.Fatal(err)
	}
	if _, err := c.admin.Exec(t.Context(), fmt.Sprintf(`REVOKE lectern_tenant FROM %q GRANTED BY migrator`, tenantUser)); err != nil {
		t.Fatal(err)
	}
	wire := pgtest.NewWire(t, c.as("migrator"))
	t.Setenv("DATABASE_URL", wire.URL())
	t.Setenv("ROOT_EMAIL", "root@example.org")
	t.Setenv("ROOT_PASSWORD", "root canary")
	t.Setenv("DREAMBRIDGE_SECRET", "client canary")
	for nth, ends := 1, false; !ends; nth++ {
		for _, after := range []bool{false, true} {
			wire.Cut(nth, after, nil)
			var out strings.Builder
			err := migrate(t.Context(), &out, true, vault.Options()...)
			cut, _ := wire.WasCut()
			if err != nil && !cut {
				t.Fatalf("%v", err)
			}
			if strings.Contains(fmt.Sprint(err, out.String()), "canary") {
				t.Errorf("a secret is told: %v", err)
			}
			if ends = !cut; ends {
				break
			}
		}
	}
	c.founded()
}
