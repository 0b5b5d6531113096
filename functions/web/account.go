package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// signIn is a device on which the person is signed in.
type signIn struct {
	ID        string    `json:"id"`
	Device    string    `json:"device"` // the browser's own words
	CreatedAt time.Time `json:"created_at"`
	SeenAt    time.Time `json:"seen_at"`
	Current   bool      `json:"current"`
}

// accountPage is a person's own.
type accountPage struct {
	Me             *person
	Notice         string
	Name, Password form
	Address        form // for who has none: where a password is changed for others
	SignIns        []signIn
	Tutor          bool // whether there is one
}

func (s *site) accountPage(ctx context.Context, r *http.Request) (accountPage, error) {
	view := accountPage{
		Me:     visitor(ctx),
		Tutor:  s.tutored(),
		Notice: doneOnAccount[r.URL.Query().Get("done")],
		Name: newForm("name", "/account/name", "Save",
			input{Name: "name", Label: "Name", Autocomplete: "name", Required: true, Most: 100, Value: visitor(ctx).Name}),
		Password: newForm("password", "/account/password", "Change the password",
			input{Name: "current", Label: "Current password", Type: "password", Autocomplete: "current-password", Required: true},
			input{
				Name: "new", APIName: "password", Label: "New password", Type: "password", Autocomplete: "new-password", Required: true, Least: 8,
				Hint: "8 characters or more. You stay signed in here, and are signed out everywhere else.",
			}),
	}
	view.Address = newForm("address", "/account/address", "Save the address and password", email(), newPassword("Password"))
	view.Password.Hidden = []hidden{{"username", view.Me.Email, "username"}}
	all, err := get[list[signIn]](ctx, s.accounts(r), "/v1/auth/sign-ins")
	view.SignIns = all.Items
	return view, err
}

var doneOnAccount = map[string]string{
	"name":     "Your name is saved.",
	"address":  "From now on you can sign in with your address and password.",
	"password": "The password is changed, and you are signed out everywhere else.",
	"sign-in":  "That device is signed out.",
}

func (s *site) showAccount(r *http.Request) (string, any, error) {
	view, err := s.accountPage(r.Context(), r)
	return "account", view, err
}

func (s *site) rename(w http.ResponseWriter, r *http.Request) error {
	got, err := s.accounts(r).write(r.Context(), http.MethodPatch, "/v1/auth/me", "", map[string]string{"name": strings.TrimSpace(r.PostFormValue("name"))})
	return s.onAccount(w, r, got, err, "name", func(v *accountPage) *form { return &v.Name })
}

func (s *site) changePassword(w http.ResponseWriter, r *http.Request) error {
	got, err := s.accounts(r).write(r.Context(), http.MethodPost, "/v1/auth/password", "", map[string]string{"current": r.PostFormValue("current"), "new": r.PostFormValue("new")})
	return s.onAccount(w, r, got, err, "password", func(v *accountPage) *form { return &v.Password })
}

func (s *site) takeAddress(w http.ResponseWriter, r *http.Request) error {
	got, err := s.accounts(r).write(r.Context(), http.MethodPost, "/v1/auth/address", "", map[string]string{"email": r.PostFormValue("email"), "password": r.PostFormValue("password")})
	return s.onAccount(w, r, got, err, "address", func(v *accountPage) *form { return &v.Address })
}

// onAccount goes back to the account, or shows there what is wrong with one of its forms.
func (s *site) onAccount(w http.ResponseWriter, r *http.Request, got answer, err error, done string, which func(*accountPage) *form) error {
	if err == nil {
		relay(w, got)
		http.Redirect(w, r, "/account?done="+done, http.StatusSeeOther)
		return nil
	}
	view, unread := s.accountPage(r.Context(), r)
	if unread != nil {
		return unread
	}
	status, unfit := which(&view).refuse(w, r, err)
	if unfit != nil {
		return unfit
	}
	return s.render(w, r, status, "account", view)
}

func (s *site) endSignIn(r *http.Request) (string, error) {
	_, err := s.accounts(r).write(r.Context(), http.MethodDelete, "/v1/auth/sign-ins/"+url.PathEscape(r.PathValue("sign_in")), "", nil)
	return "/account?done=sign-in", there(err)
}

func (s *site) signOutEverywhere(w http.ResponseWriter, r *http.Request) error {
	got, err := s.accounts(r).write(r.Context(), http.MethodPost, "/v1/auth/sign-out-everywhere", "", nil)
	if err != nil {
		return err
	}
	relay(w, got)
	http.Redirect(w, r, "/sign-in?done=ended", http.StatusSeeOther)
	return nil
}

// device says in few words what a browser says of itself in many. What it does not
// know it leaves as it is.
func device(words string) string {
	browser, system := "", ""
	for _, known := range []struct{ mark, name string }{ // the first that fits: each pretends to be those below
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
	} {
		if browser == "" && strings.Contains(words, known.mark) {
			browser = known.name
		}
	}
	for _, known := range []struct{ mark, name string }{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"}, {"Mac OS X", "Mac"}, {"Linux", "Linux"},
	} {
		if system == "" && strings.Contains(words, known.mark) {
			system = known.name
		}
	}
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case strings.TrimSpace(words) == "":
		return "Unknown device"
	}
	return words
}
