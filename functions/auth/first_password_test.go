package auth

import (
	"strings"
	"testing"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge/edgetest"
)

// The owner of a Lectern on a laptop comes in by a printed link, and takes an address
// and a password, once. Nobody else does: the address is not proved.
func TestTakeAddress(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.signUp("ann@example.com")
	r.exec(`UPDATE organizations SET operator = true WHERE organization_id = $1`, account.Local.Organization)
	secret, err := account.NewSignInLink(t.Context(), r.db, account.Local)
	if err != nil {
		t.Fatal(err)
	}
	b := r.browser()
	b.do("POST", "/v1/auth/sign-in/link", fields{"token": secret}).Want(200)
	take := func(email, password string) edgetest.Answer {
		return b.do("POST", "/v1/auth/address", fields{"email": email, "password": password})
	}
	take("owl@example.com", password).Want(403) // an owner alone
	r.exec(`UPDATE users SET role = 'root' WHERE user_id = $1`, account.Local.User)
	take("owl", password).Want(422)
	if a := take("owl@example.com", "owls").Want(422); !strings.Contains(a.Body.String(), `"body.password"`) {
		t.Errorf("the field is not named: %s", a.Body)
	}
	take("ANN@example.com", password).Want(409)
	if n := r.count(`SELECT count(*) FROM passwords WHERE user_id = $1`, account.Local.User); n != 0 {
		t.Fatal("what was refused left a password")
	}
	before := b.cookies["__Host-lectern"]
	in := edgetest.Into[signedIn](take("Owl@example.com", password).Want(200))
	if in.User.ID != account.Local.User || in.User.Email != "Owl@example.com" || b.me() != in.User {
		t.Errorf("%+v", in.User)
	}
	if old := r.browser(); before == b.cookies["__Host-lectern"] {
		t.Error("the cookie stays")
	} else {
		old.cookies["__Host-lectern"] = before
		old.do("GET", "/v1/auth/me", nil).Want(401)
	}
	take("other@example.com", password).Want(409)
	r.browser().signIn("owl@example.com", password).Want(200)
}
