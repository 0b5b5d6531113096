package account_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// vault is a real database with two organisations, as functions see it.
type vault struct {
	t       *testing.T
	owner   *pgxpool.Pool // who migrates
	tenants *pgxpool.Pool // sees nothing without an organisation
	system  *pgxpool.Pool
	hasher  *account.Hasher
}

func newVault(t *testing.T) *vault {
	url := pgtest.URL(t)
	open := func(role postgres.Role) *pgxpool.Pool {
		pool, err := postgres.Open(context.Background(), url, postgres.Options{Role: role})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		return pool
	}
	v := &vault{t, open(postgres.Owner), open(postgres.Tenant), open(postgres.System), newHasher(t, account.HashOptions{Cost: cheap})}
	v.exec(v.owner, `INSERT INTO organizations (organization_id, name) VALUES ('org_other', 'Other')`)
	return v
}

func (v *vault) exec(q postgres.Querier, sql string, args ...any) {
	v.t.Helper()
	if _, err := q.Exec(v.t.Context(), sql, args...); err != nil {
		v.t.Fatal(err)
	}
}

func (v *vault) in(organization string) context.Context {
	return postgres.WithOrganization(v.t.Context(), organization)
}

func (v *vault) make(organization string, c account.NewCredential) (account.Credential, account.Secret) {
	v.t.Helper()
	if c.Label == "" {
		c.Label = "a program"
	}
	if c.Scopes == nil {
		c.Scopes = []string{account.Chat}
	}
	secret, err := c.SetSecret(v.t.Context(), v.hasher, "")
	if err != nil {
		v.t.Fatal(err)
	}
	made, err := c.Insert(v.in(organization), v.tenants, organization, "user_local")
	if err != nil {
		v.t.Fatal(err)
	}
	return made, secret
}

// verifier is that of a function whose pool sees no organisation by itself.
func (v *vault) verifier() *account.Verifier {
	return account.NewVerifier(v.tenants, v.hasher, func(context.Context) string { return "" })
}

func (v *vault) list(organization string) []account.Credential {
	v.t.Helper()
	found, next, err := account.ListCredentials(v.in(organization), v.tenants, organization, "", 100)
	if err != nil || next != "" {
		v.t.Fatal(next, err)
	}
	return found
}

func TestCredentialLives(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	soon := time.Now().Add(time.Hour).Truncate(time.Second)
	made, secret := v.make("org_local", account.NewCredential{
		Label: " A program ", Scopes: []string{account.WriteCourses, account.Chat, account.Chat}, ExpiresAt: &soon,
	})
	if made.Label != "A program" || !slices.Equal(made.Scopes, []string{account.Chat, account.WriteCourses}) || made.CreatedBy != "user_local" ||
		!made.ExpiresAt.Equal(soon) || made.LastUsedAt != nil || made.RevokedAt != nil || len(secret) != 43 {
		t.Errorf("%+v with %d characters", made, len(secret))
	}

	check := v.verifier()
	p, err := check.Check(t.Context(), made.ID, string(secret))
	if err != nil || p.Organization != "org_local" || p.User != made.ID || !slices.Equal(p.Scopes, made.Scopes) || !p.Credential() {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, err := check.Check(t.Context(), made.ID, string(account.NewSecret())); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a wrong secret: %v", err)
	}
	if got := v.list("org_local"); len(got) != 1 || got[0].LastUsedAt == nil || got[0].ID != made.ID {
		t.Errorf("%+v", got)
	}

	// Revoked, it is refused at once, by who remembers it and by who does not.
	for range 2 {
		if err := account.RevokeCredential(v.in("org_local"), v.tenants, "org_local", made.ID, "user_local"); err != nil {
			t.Fatal(err)
		}
	}
	for name, verifier := range map[string]*account.Verifier{"remembers": check, "is new": v.verifier()} {
		if _, err := verifier.Check(t.Context(), made.ID, string(secret)); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("revoked, and the verifier %s: %v", name, err)
		}
	}
	if got := v.list("org_local"); len(got) != 1 || got[0].RevokedAt == nil {
		t.Errorf("%+v", got)
	}
}

// Only a slow hash of the secret is kept, and nothing of it is told.
func TestSecretIsKeptNowhere(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	made, secret := v.make("org_local", account.NewCredential{})
	if _, err := v.verifier().Check(t.Context(), made.ID, string(secret)); err != nil {
		t.Fatal(err)
	}
	rows, _ := v.owner.Query(t.Context(), `
		SELECT to_jsonb(c)::text FROM credentials c UNION ALL SELECT to_jsonb(u)::text FROM credential_uses u UNION ALL SELECT to_jsonb(i)::text FROM idempotency i`)
	stored, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(stored) != 2 || !strings.Contains(stored[0], "$argon2id$v=19$") {
		t.Fatalf("%q, %v", stored, err)
	}
	told, err := json.Marshal(v.list("org_local"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append(stored, string(told), fmt.Sprintf("%v %+v", secret, made)) {
		if strings.Contains(text, string(secret)) {
			t.Errorf("%s holds the secret", text)
		}
	}
	if strings.Contains(string(told), "argon2id") {
		t.Errorf("%s holds the hash", told)
	}
}

func TestExpiredCredentialIsRefused(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	made, secret := v.make("org_local", account.NewCredential{})
	check := v.verifier()
	if _, err := check.Check(t.Context(), made.ID, string(secret)); err != nil {
		t.Fatal(err)
	}
	v.exec(v.owner, `ALTER TABLE credentials DISABLE TRIGGER credentials_append_only`)
	v.exec(v.owner, `UPDATE credentials SET expires_at = now()`)
	if _, err := check.Check(t.Context(), made.ID, string(secret)); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("%v", err)
	}
}

// Nobody changes what was written, not even the tables' owner.
func TestCredentialsAreAppendOnly(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	made, _ := v.make("org_local", account.NewCredential{})
	if err := account.RevokeCredential(v.in("org_local"), v.tenants, "org_local", made.ID, "user_local"); err != nil {
		t.Fatal(err)
	}
	snapshot := func() (s string) {
		if err := v.owner.QueryRow(t.Context(), `
			SELECT (SELECT json_agg(c)::text FROM credentials c) || (SELECT json_agg(r)::text FROM credential_revocations r)`).Scan(&s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := snapshot()
	for who, c := range map[string]struct {
		ctx  context.Context
		pool *pgxpool.Pool
	}{
		"tenant": {v.in("org_local"), v.tenants}, "system": {t.Context(), v.system}, "owner": {t.Context(), v.owner},
	} {
		for _, sql := range []string{
			`UPDATE credentials SET hashed_password = 'x'`,
			`UPDATE credentials SET expires_at = NULL, scopes = '{chat,courses:write}' WHERE auth_id = '` + made.ID + `'`,
			`UPDATE credentials SET auth_id = 'x' WHERE false`,
			`INSERT INTO credentials (auth_id, organization, hashed_password, scopes, created_by) VALUES ('` + made.ID + `', 'org_local', 'x', '{chat}', 'x')
				ON CONFLICT (auth_id) DO UPDATE SET hashed_password = 'x'`,
			`DELETE FROM credentials`,
			`TRUNCATE credentials CASCADE`,
			`UPDATE credential_revocations SET revoked_at = 'infinity'`,
			`DELETE FROM credential_revocations`,
			`TRUNCATE credential_revocations`,
			`DELETE FROM organizations WHERE organization_id = 'org_local'`,
		} {
			_, err := c.pool.Exec(c.ctx, sql)
			pg, _ := err.(*pgconn.PgError)
			if pg == nil || pg.Code[:2] != "23" && pg.Code != "42501" {
				t.Errorf("%s as %s: %v", sql, who, err)
			}
			table := "credentials"
			if strings.Contains(sql, "credential_revocations") {
				table = "credential_revocations"
			}
			if who == "owner" && !strings.Contains(sql, "organizations") && (pg == nil || pg.Message != table+" is append-only") {
				t.Errorf("%s as %s is not refused by the trigger: %v", sql, who, err)
			}
		}
	}
	if after := snapshot(); after != before {
		t.Errorf("%s became %s", before, after)
	}
}

// The hash is for the verifier alone, and one organisation's rows for itself.
func TestCredentialsOfOthersAreOutOfReach(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	made, secret := v.make("org_local", account.NewCredential{})
	other := v.in("org_other")
	if got := v.list("org_other"); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	// The rows are behind row-level security, too: a query with the wrong organisation.
	if got, _, err := account.ListCredentials(other, v.tenants, "org_local", "", 10); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, organization := range []string{"org_other", "org_local"} {
		if err := account.RevokeCredential(other, v.tenants, organization, made.ID, "user_other"); !fault.Is(err, fault.NotFound) {
			t.Errorf("revoked as %s: %v", organization, err)
		}
	}
	// Nor is row-level security all there is.
	if got, _, err := account.ListCredentials(t.Context(), v.owner, "org_other", "", 10); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if err := account.RevokeCredential(t.Context(), v.owner, "org_other", made.ID, "user_other"); !fault.Is(err, fault.NotFound) {
		t.Errorf("revoked without the wall: %v", err)
	}
	var hash string
	if err := v.tenants.QueryRow(v.in("org_local"), `SELECT hashed_password FROM credentials`).Scan(&hash); err == nil {
		t.Error("a tenant reads hashes")
	}
	c := account.NewCredential{Label: "x", Scopes: []string{account.Chat}}
	if _, err := c.SetSecret(t.Context(), v.hasher, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Insert(other, v.tenants, "org_local", "user_other"); err == nil {
		t.Error("one organisation makes credentials for another")
	}
	if _, err := v.verifier().Check(other, made.ID, string(secret)); err != nil {
		t.Errorf("it was touched: %v", err)
	}
	for _, odd := range []string{"", "x\x00", "cred_unknown", strings.Repeat("x", 65)} {
		if err := account.RevokeCredential(v.in("org_local"), v.tenants, "org_local", odd, "x"); !fault.Is(err, fault.NotFound) {
			t.Errorf("%q: %v", odd, err)
		}
	}
}

func TestCredentialsThatCannotBeMade(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	past := time.Now().Add(-time.Hour)
	for name, c := range map[string]struct {
		account.NewCredential
		chosen, want string
	}{
		"no label":         {account.NewCredential{Scopes: scopes}, "", "body.label"},
		"a long label":     {account.NewCredential{Label: strings.Repeat("ä", 101), Scopes: scopes}, "", "body.label"},
		"two lines":        {account.NewCredential{Label: "a\nb", Scopes: scopes}, "", "body.label"},
		"U+0000":           {account.NewCredential{Label: "a\x00b", Scopes: scopes}, "", "body.label"},
		"no scope":         {account.NewCredential{Label: "x"}, "", "body.scopes"},
		"an unknown scope": {account.NewCredential{Label: "x", Scopes: []string{"root"}}, "", "body.scopes"},
		"an odd id":        {account.NewCredential{AuthID: "a.b", Label: "x", Scopes: scopes}, "", "body.id"},
		"over already":     {account.NewCredential{Label: "x", Scopes: scopes, ExpiresAt: &past}, "", "body.expires_at"},
		"a common secret":  {account.NewCredential{Label: "x", Scopes: scopes}, "password1", "first that are tried"},
		"a short secret":   {account.NewCredential{Label: "x", Scopes: scopes}, "xK3#pQ9", "at least 8"},
		"the id as secret": {account.NewCredential{AuthID: "dreambridge", Label: "x", Scopes: scopes}, "Dreambridge", "your own"},
	} {
		_, err := c.SetSecret(t.Context(), v.hasher, c.chosen)
		if err == nil {
			_, err = c.Insert(v.in("org_local"), v.tenants, "org_local", "x")
		}
		e, ok := err.(*fault.Error)
		if !ok || e.Kind != fault.Invalid || !strings.Contains(fmt.Sprint(e.Message, e.Fields), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// A password that an operator chooses counts byte by byte.
func TestChosenSecret(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	const chosen = " a.chosen:secret\u0301 "
	c := account.NewCredential{AuthID: "client-1", Label: "x", Scopes: scopes}
	secret, err := c.SetSecret(t.Context(), v.hasher, chosen)
	if err != nil || string(secret) != chosen {
		t.Fatal(err)
	}
	if _, err := c.Insert(v.in("org_local"), v.tenants, "org_local", "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := v.verifier().Check(t.Context(), "client-1", chosen); err != nil {
		t.Error(err)
	}
	if _, err := v.verifier().Check(t.Context(), "client-1", strings.TrimSpace(chosen)); !fault.Is(err, fault.Unauthenticated) {
		t.Error(err)
	}
}

func TestPagesOfCredentials(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	var want []string
	for range 7 {
		made, _ := v.make("org_local", account.NewCredential{})
		want = append(want, made.ID)
	}
	v.make("org_other", account.NewCredential{})
	slices.Reverse(want)
	var got []string
	cursor := ""
	for range 4 {
		page, next, err := account.ListCredentials(v.in("org_local"), v.tenants, "org_local", cursor, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page {
			got = append(got, c.ID)
		}
		cursor = next
	}
	if !slices.Equal(got, want) || cursor != "" {
		t.Errorf("%v, want %v; then %q", got, want, cursor)
	}
	for _, odd := range []string{"x", "!", "LjE", "MS4", strings.Repeat("a", 200)} {
		if _, _, err := account.ListCredentials(v.in("org_local"), v.tenants, "org_local", odd, 2); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", odd, err)
		}
	}
}

func TestAsManyCredentialsAsAllowed(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	v.exec(v.owner, `
		INSERT INTO credentials (auth_id, organization, hashed_password, scopes, created_by)
		SELECT 'c' || i, 'org_local', 'x', '{chat}', 'x' FROM generate_series(1, 100) i`)
	c := account.NewCredential{Label: "x", Scopes: scopes}
	if _, err := c.SetSecret(t.Context(), v.hasher, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Insert(v.in("org_local"), v.tenants, "org_local", "x"); !fault.Is(err, fault.Conflict) {
		t.Errorf("the 101st: %v", err)
	}
	if err := account.RevokeCredential(v.in("org_local"), v.tenants, "org_local", "c7", "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Insert(v.in("org_local"), v.tenants, "org_local", "x"); err != nil {
		t.Errorf("with one revoked: %v", err)
	}
}

// The last use is written when the one that is known is five minutes old, and no
// answer waits for it to work.
func TestLastUse(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	made, secret := v.make("org_local", account.NewCredential{})
	check := func() {
		t.Helper()
		if _, err := v.verifier().Check(t.Context(), made.ID, string(secret)); err != nil {
			t.Fatal(err)
		}
	}
	ago := func() (minutes int) {
		t.Helper()
		err := v.owner.QueryRow(t.Context(), `SELECT floor(extract(epoch FROM now() - used_at) / 60)::int FROM credential_uses`).Scan(&minutes)
		if err != nil {
			t.Fatal(err)
		}
		return minutes
	}
	check()
	if ago() != 0 {
		t.Error("the first use is not written")
	}
	for _, c := range []struct{ since, want int }{{3, 3}, {6, 0}} {
		v.exec(v.owner, `UPDATE credential_uses SET used_at = now() - make_interval(mins => $1, secs => 5)`, c.since)
		check()
		if got := ago(); got != c.want {
			t.Errorf("%d minutes old, it became %d", c.since, got)
		}
	}
	v.exec(v.owner, `UPDATE credential_uses SET used_at = now() - interval '6 minutes'`)
	v.exec(v.owner, `REVOKE ALL ON credential_uses FROM lectern_tenant`)
	check()
}
