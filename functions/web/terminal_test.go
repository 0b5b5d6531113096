package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Who has come in by a printed link, and runs this Lectern, can take an address and a
// password; others have them, and are not asked.
func TestOnlyWhoHasNoAddressIsAskedForOne(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	api.change(func() {
		api.auth.people["printed"] = person{ID: "usr_local", Name: "Owner", Role: "root", Organization: organization{ID: "org_hill", Name: "Local"}}
	})
	for name, asked := range map[string]bool{"printed": true, "root": false, "owner": false, "learner": false} {
		_, page := fetch(t, "GET", site+"/account", nil, "Cookie", "lectern="+name)
		if strings.Contains(page, `action="/account/address"`) != asked || strings.Contains(page, `action="/account/password"`) == asked {
			t.Errorf("%s is asked for an address: %v", name, !asked)
		}
	}
	answer, page := submit(t, site+"/account/address", "lectern=printed", url.Values{"email": {"jonas@hillside.example"}, "password": {"x"}})
	if answer.StatusCode != http.StatusConflict {
		t.Errorf("an address that is taken: %d", answer.StatusCode)
	}
	wants(t, page, "There is already an account with this e-mail address.", `value="jonas@hillside.example"`)
}

// Somebody who opens a Lectern of their own without its link is told where that is;
// nobody is on a Lectern that runs elsewhere.
func TestTheTerminalIsNamedWhereThereIsOne(t *testing.T) {
	t.Parallel()
	for _, terminal := range []bool{true, false} {
		page := (&site{deps: Deps{Terminal: terminal}}).signInPage("/")
		if strings.Contains(page.Lead, "terminal") != terminal {
			t.Errorf("terminal %v: %q", terminal, page.Lead)
		}
	}
}
