package account_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
)

var founders = account.Founders{
	RootEmail: "Root@Example.org", RootPassword: "root canary one", ClientEmail: "owner@example.net", ClientSecret: "client canary one",
}

func (v *vault) bootstrap(f account.Founders) []string {
	v.t.Helper()
	done, err := account.Bootstrap(v.t.Context(), v.owner, v.hasher, f)
	if err != nil {
		v.t.Fatal(err)
	}
	if text := strings.Join(done, "\n"); strings.Contains(text, "canary") || strings.Contains(text, "argon2id") {
		v.t.Errorf("a secret is told: %s", text)
	}
	return done
}

// rows is all that a bootstrap could touch.
func (v *vault) rows() (text string) {
	v.t.Helper()
	err := v.owner.QueryRow(v.t.Context(), `
		SELECT concat_ws(E'\n', (SELECT json_agg(o ORDER BY organization_id) FROM organizations o), (SELECT json_agg(u ORDER BY user_id) FROM users u),
			(SELECT json_agg(p ORDER BY user_id) FROM passwords p), (SELECT json_agg(s ORDER BY sign_in_id) FROM sign_ins s),
			(SELECT json_agg(c ORDER BY auth_id) FROM credentials c), (SELECT json_agg(r ORDER BY auth_id) FROM credential_revocations r),
			(SELECT json_agg(f) FROM founders f))`).Scan(&text)
	if err != nil {
		v.t.Fatal(err)
	}
	return text
}

// rootHas tells whether root has a password.
func (v *vault) rootHas(password string) bool {
	v.t.Helper()
	var hash string
	if err := v.owner.QueryRow(v.t.Context(), `SELECT hashed_password FROM passwords WHERE user_id = $1`, account.OperatorOwner).Scan(&hash); err != nil {
		v.t.Fatal(err)
	}
	ok, _, err := v.hasher.Verify(v.t.Context(), password, hash)
	if err != nil {
		v.t.Fatal(err)
	}
	return ok
}

func (v *vault) clientHas(authID, secret string) bool {
	v.t.Helper()
	p, err := v.verifier().Check(v.t.Context(), authID, secret)
	if err != nil && !fault.Is(err, fault.Unauthenticated) {
		v.t.Fatal(err)
	}
	return err == nil && p.Organization == account.ClientOrganization && len(p.Scopes) == 3
}

func TestBootstrap(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	if done := v.bootstrap(founders); len(done) != 6 {
		t.Errorf("%q", done)
	}
	root := account.Principal{Organization: account.OperatorOrganization, User: account.OperatorOwner}
	profile, err := account.GetProfile(v.in(root.Organization), v.tenants, root)
	if err != nil || profile.Role != account.Root || profile.Email != "Root@Example.org" || !profile.Organization.Operator {
		t.Errorf("%+v, %v", profile, err)
	}
	if !v.rootHas("root canary one") || !v.clientHas("dreambridge", "client canary one") {
		t.Error("the secrets are not those of the settings")
	}
	if strings.Contains(v.rows(), "canary") {
		t.Error("a secret is stored")
	}
	before := v.rows()
	if done := v.bootstrap(founders); len(done) != 0 || v.rows() != before {
		t.Errorf("the second run did %q: %s became %s", done, before, v.rows())
	}
}

func TestBootstrapWithAnotherRootPassword(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	v.bootstrap(founders)
	if _, err := account.Begin(t.Context(), v.owner, account.OperatorOwner, "a browser"); err != nil {
		t.Fatal(err)
	}
	// What root has chosen stays while the setting is as it was.
	chosen, err := v.hasher.Hash(t.Context(), "chosen by root")
	if err != nil {
		t.Fatal(err)
	}
	v.exec(v.owner, `UPDATE passwords SET hashed_password = $1 WHERE user_id = $2`, chosen, account.OperatorOwner)
	if done := v.bootstrap(founders); len(done) != 0 || !v.rootHas("chosen by root") {
		t.Errorf("%q", done)
	}
	f := founders
	f.RootPassword = "root canary two"
	if done := v.bootstrap(f); len(done) != 1 || !v.rootHas("root canary two") {
		t.Errorf("%q", done)
	}
	var signedIn int
	if err := v.owner.QueryRow(t.Context(), `SELECT count(*) FROM sign_ins`).Scan(&signedIn); err != nil || signedIn != 0 {
		t.Errorf("%d sign-ins are left, %v", signedIn, err)
	}
	if done := v.bootstrap(f); len(done) != 0 {
		t.Errorf("%q", done)
	}
}

// Credentials do not change: another secret is another credential.
func TestBootstrapWithAnotherClientSecret(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	v.bootstrap(founders)
	f := founders
	for n := 2; n <= 12; n++ {
		f.ClientSecret = fmt.Sprint("client canary ", n)
		id := fmt.Sprint("dreambridge-", n)
		if done := v.bootstrap(f); len(done) != 1 || !strings.Contains(done[0], id) || !v.clientHas(id, f.ClientSecret) {
			t.Fatalf("%q", done)
		}
		if done := v.bootstrap(f); len(done) != 0 {
			t.Fatalf("done again: %q", done)
		}
	}
	open := 0
	for _, c := range v.list(account.ClientOrganization) {
		if c.RevokedAt == nil {
			open++
		}
	}
	if open != 1 || v.clientHas("dreambridge", "client canary one") || v.clientHas("dreambridge-11", "client canary 11") {
		t.Errorf("%d are open", open)
	}
	// What somebody has revoked is not brought back by the same secret.
	if err := account.RevokeCredential(v.in(account.ClientOrganization), v.tenants, account.ClientOrganization, "dreambridge-12", "user_root"); err != nil {
		t.Fatal(err)
	}
	if done := v.bootstrap(f); len(done) != 0 || v.clientHas("dreambridge-12", f.ClientSecret) {
		t.Errorf("%q", done)
	}
}

func TestBootstrapMendsWhatWasChanged(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	v.bootstrap(founders)
	v.exec(v.owner, `UPDATE users SET role = 'learner' WHERE user_id = $1`, account.OperatorOwner)
	v.exec(v.owner, `UPDATE organizations SET operator = false WHERE organization_id = $1`, account.OperatorOrganization)
	f := founders
	f.RootEmail = "other@example.org"
	if done := v.bootstrap(f); len(done) != 2 {
		t.Errorf("%q", done)
	}
	v.exec(v.owner, `DELETE FROM users WHERE user_id = $1`, account.OperatorOwner)
	if done := v.bootstrap(f); len(done) != 2 || !v.rootHas(f.RootPassword) {
		t.Errorf("%q", done)
	}
}

func TestBootstrapWithLess(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	if done := v.bootstrap(account.Founders{RootEmail: "root@example.org", RootPassword: "root canary one"}); len(done) != 4 {
		t.Errorf("%q", done)
	}
	if c := v.list(account.ClientOrganization); len(c) != 0 {
		t.Errorf("%+v", c)
	}
}

// A setting that is wrong leaves nothing behind, and is named without its value.
func TestBootstrapWithWrongSettings(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	v.exec(v.owner, `
		INSERT INTO users (user_id, organization_id, name, role, email, address)
		VALUES ('user_x', 'org_other', 'X', 'owner', 'taken@example.org', 'taken@example.org')`)
	before := v.rows()
	for want, change := range map[string]func(*account.Founders){
		"root's address":             func(f *account.Founders) { f.RootEmail = "canary" },
		"root's password":            func(f *account.Founders) { f.RootPassword = "canary" },
		"belongs to another account": func(f *account.Founders) { f.RootEmail = "Taken@example.org" },
		"the client's address":       func(f *account.Founders) { f.ClientEmail = "canary" },
		"the client's secret":        func(f *account.Founders) { f.ClientSecret = "canary" },
	} {
		f := founders
		change(&f)
		_, err := account.Bootstrap(t.Context(), v.owner, v.hasher, f)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if v.rows() != before {
		t.Error("something is left behind")
	}
}

func TestBootstrapsAtOnce(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			f := founders
			f.ClientSecret = fmt.Sprint("client canary ", i)
			if _, err := account.Bootstrap(t.Context(), v.owner, v.hasher, f); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var ids []string
	open := 0
	for _, c := range v.list(account.ClientOrganization) {
		ids = append(ids, c.ID)
		if c.RevokedAt == nil {
			open++
		}
	}
	slices.Sort(ids)
	if open != 1 || !slices.Equal(ids, []string{"dreambridge", "dreambridge-2", "dreambridge-3", "dreambridge-4"}) {
		t.Errorf("%v, %d open", ids, open)
	}
}
