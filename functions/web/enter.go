package web

import (
	"net/http"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
)

// enterPage is what stands at the door: a page with one form, or with none when
// there is nothing to fill in any more.
type enterPage struct {
	Title, Lead string
	Notice      string // what has just happened
	Form        *form
	Links       []link
}

// link leads on, after a word that says whom.
type link struct{ Before, URL, Text string }

var (
	toSignIn = link{"Have an account?", "/sign-in", "Sign in"}
	toSignUp = link{"New here?", "/sign-up", "Make an account"}
	toReset  = link{"", "/reset", "Forgotten your password?"}
)

func email() input {
	return input{Name: "email", Label: "E-mail address", Type: "email", Autocomplete: "username", Required: true, Most: 254}
}

func name() input {
	return input{Name: "name", Label: "Your name", Autocomplete: "name", Required: true, Most: 100}
}

func newPassword(label string) input {
	return input{
		Name: "password", Label: label, Type: "password", Autocomplete: "new-password", Required: true, Least: 8,
		Hint: "8 characters or more. A few words that do not belong together are easy to keep in mind and hard to guess.",
	}
}

func door(title, lead string, f form, links ...link) enterPage {
	return enterPage{Title: title, Lead: lead, Form: &f, Links: links}
}

func (s *site) signInPage(next string) enterPage {
	lead := ""
	if s.deps.Terminal {
		lead = "Have you just started Lectern? The terminal shows a link that signs you in; Enter gives another."
	}
	f := newForm("sign-in", "/sign-in", "Sign in", email(),
		input{Name: "password", Label: "Password", Type: "password", Autocomplete: "current-password", Required: true})
	return door("Sign in", lead, f.with("next", next), toReset, toSignUp)
}

func signUpPage() enterPage {
	return door("Make an account", "For you and your organisation. You can invite others afterwards.",
		newForm("sign-up", "/sign-up", "Make the account", name(), email(), newPassword("Password"),
			input{Name: "organization", Label: "Organisation", Autocomplete: "organization", Required: true, Most: 100, Hint: "Your company, school or team: courses belong to it."}),
		toSignIn)
}

func confirmPage(token string) enterPage {
	return door("One last click", "This confirms your address and signs you in.", newForm("confirm", "/sign-up/confirm", "Confirm and sign in").with("token", token))
}

func oneTimePage(token string) enterPage {
	return door("Sign in to Lectern", "This link works once, in the browser in which you press the button.", newForm("one-time", "/sign-in/link", "Sign in").with("token", token))
}

func invitationPage(token string) enterPage {
	return door("You are invited", "Say what you are called and choose a password. From then on you sign in with it and the address that the invitation was sent to.",
		newForm("invitation", "/invitation", "Accept the invitation", name(), newPassword("Password")).with("token", token), toSignIn)
}

// resetPage asks for a new password, or, without a token, where to send the link.
func resetPage(token string) enterPage {
	if token == "" {
		return door("Forgotten your password?", "Say which address you sign in with. If there is an account with it, a link to choose a new password is sent there.",
			newForm("ask", "/resets", "Send the link", email()), toSignIn)
	}
	return door("Choose a new password", "You are signed in with it at once, and signed out everywhere else.",
		newForm("reset", "/reset", "Set the password", newPassword("New password")).with("token", token))
}

// said are pages that only tell something.
func said(title, lead string, links ...link) enterPage {
	return enterPage{Title: title, Lead: lead, Links: links}
}

func (s *site) showSignIn(w http.ResponseWriter, r *http.Request) error {
	next := ownPath(r.URL.Query().Get("next"))
	if visitor(r.Context()) != nil {
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	view := s.signInPage(next)
	view.Notice = doneAtDoor[r.URL.Query().Get("done")]
	return s.render(w, r, http.StatusOK, "enter", view)
}

// doneAtDoor is what the sign-in page says after something else.
var doneAtDoor = map[string]string{
	"ready":      "Your account is ready: sign in with it.",
	"signed-out": "You are signed out.",
	"ended":      "You are signed out on all your devices.",
}

func (s *site) signIn(w http.ResponseWriter, r *http.Request) error {
	next := ownPath(r.PostFormValue("next"))
	body := map[string]string{"email": r.PostFormValue("email"), "password": r.PostFormValue("password")}
	got, err := s.accounts(r).write(r.Context(), http.MethodPost, "/v1/auth/sign-in", "", body)
	if err != nil {
		return s.again(w, r, s.signInPage(next), err)
	}
	relay(w, got)
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

// again shows the page with what is wrong with its form.
func (s *site) again(w http.ResponseWriter, r *http.Request, view enterPage, err error) error {
	status, unfit := view.Form.refuse(w, r, err)
	if unfit != nil {
		return unfit
	}
	return s.render(w, r, status, "enter", view)
}

// relay hands on the cookies that the API set.
func relay(w http.ResponseWriter, from answer) {
	for _, cookie := range from.header.Values("Set-Cookie") {
		w.Header().Add("Set-Cookie", cookie)
	}
}

func (s *site) signUp(w http.ResponseWriter, r *http.Request) error {
	body := map[string]string{}
	for _, name := range []string{"email", "password", "name", "organization"} {
		body[name] = r.PostFormValue(name)
	}
	got, err := s.accounts(r).write(r.Context(), http.MethodPost, "/v1/auth/sign-up", "", body)
	if err != nil {
		return s.again(w, r, signUpPage(), err)
	}
	state, err := decode[struct{ Status string }](got)
	if err != nil {
		return err
	}
	next := "/sign-up/sent"
	if state.Status == "ready" { // this Lectern sends no letters
		next = "/sign-in?done=ready"
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

// Whether the address is known here is told to its owner alone, in the letter.
func (s *site) showSent(*http.Request) (string, any, error) {
	return "enter", said("Look into your mailbox", "A letter is on its way to the address that you gave. The link in it works for 30 minutes and finishes the account. Nothing there? Look among the unwanted mail.",
		link{"Done that?", "/sign-in", "Sign in"}), nil
}

func (s *site) confirm(w http.ResponseWriter, r *http.Request) error {
	token := r.PostFormValue("token")
	return s.redeem(w, r, confirmPage(token), "/v1/auth/sign-up/confirm", map[string]string{"token": token}, "/", toSignUp)
}

func (s *site) signInOnce(w http.ResponseWriter, r *http.Request) error {
	token := r.PostFormValue("token")
	return s.redeem(w, r, oneTimePage(token), "/v1/auth/sign-in/link", map[string]string{"token": token}, "/", link{"", "/sign-in", "Sign in with your password"})
}

func (s *site) acceptInvitation(w http.ResponseWriter, r *http.Request) error {
	token := r.PostFormValue("token")
	body := map[string]string{"invitation": token, "name": r.PostFormValue("name"), "password": r.PostFormValue("password")}
	return s.redeem(w, r, invitationPage(token), "/v1/auth/sign-up", body, "/", toSignIn)
}

func (s *site) askReset(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.accounts(r).write(r.Context(), http.MethodPost, "/v1/auth/resets", "", map[string]string{"email": r.PostFormValue("email")}); err != nil {
		return s.again(w, r, resetPage(""), err)
	}
	http.Redirect(w, r, "/reset/sent", http.StatusSeeOther)
	return nil
}

func (s *site) showResetSent(*http.Request) (string, any, error) {
	return "enter", said("Look into your mailbox", "If there is an account with this address, a link to choose a new password has been sent there. It works for 30 minutes.", toSignIn), nil
}

func (s *site) reset(w http.ResponseWriter, r *http.Request) error {
	token := r.PostFormValue("token")
	body := map[string]string{"token": token, "password": r.PostFormValue("password")}
	return s.redeem(w, r, resetPage(token), "/v1/auth/resets/redeem", body, "/", link{"", "/reset", "Ask for a new link"})
}

// redeem is enter for a link's token. One that is used up, too old or made up is told
// on a page without the form, which could not help; it says what can.
func (s *site) redeem(w http.ResponseWriter, r *http.Request, view enterPage, path string, body map[string]string, next string, instead link) error {
	got, err := s.accounts(r).write(r.Context(), http.MethodPost, path, "", body)
	if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.NotFound) {
		edge.Failed(r.Context(), err)
		p := edge.ProblemOf(r.Context(), err)
		return s.render(w, r, p.Status, "enter", said("This link does not work", p.Detail, instead))
	}
	if err != nil {
		return s.again(w, r, view, err)
	}
	relay(w, got)
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

func (s *site) signOut(w http.ResponseWriter, r *http.Request) error {
	got, err := s.accounts(r).write(r.Context(), http.MethodPost, "/v1/auth/sign-out", "", nil)
	if err != nil {
		return err
	}
	relay(w, got)
	http.Redirect(w, r, "/sign-in?done=signed-out", http.StatusSeeOther)
	return nil
}
