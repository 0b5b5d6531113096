package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// member is a person of the organisation.
type member struct {
	ID     string     `json:"id"`
	Email  string     `json:"email"`
	Name   string     `json:"name"`
	Role   string     `json:"role"`
	SeenAt *time.Time `json:"seen_at"`
}

// Called is the name, or else the address.
func (m member) Called() string { return (&person{Name: m.Name, Email: m.Email}).Called() }

// Initial is the first letter of what they are called.
func (m member) Initial() string { return (&person{Name: m.Name, Email: m.Email}).Initial() }

// invitation is an open one.
type invitation struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	Name      string    `json:"name"`
	Role      string    `json:"role"`
	ExpiresAt time.Time `json:"expires_at"`
}

// membership is how the API answers with members.
type membership struct {
	Items       []member     `json:"items"`
	NextCursor  string       `json:"next_cursor"`
	Invitations []invitation `json:"invitations"`
}

// credential is an API credential, without its secret.
type credential struct {
	ID        string     `json:"id"`
	Label     string     `json:"label"`
	Scopes    []string   `json:"scopes"`
	CreatedAt time.Time  `json:"created_at"`
	UsedAt    *time.Time `json:"last_used_at"`
	ExpiresAt *time.Time `json:"expires_at"`
	RevokedAt *time.Time `json:"revoked_at"`
}

// Works tells whether programs can still use it at a time.
func (c credential) Works(now time.Time) bool {
	return c.RevokedAt == nil && (c.ExpiresAt == nil || c.ExpiresAt.After(now))
}

// organizationPage is what owners see to.
type organizationPage struct {
	Me                *person
	Notice            string
	Members           []memberRow
	Next              string // cursor of the next page of members
	Invitations       []invitation
	Invite            form
	Credentials, Past []credential // those that work, and those that do not any more
	Create            form
	Now               time.Time
}

// memberRow is a member and what can be done about them.
type memberRow struct {
	member
	Self  bool
	May   bool // whether the person may change or remove them
	Roles []option
}

func (s *site) organizationPage(ctx context.Context, r *http.Request) (organizationPage, error) {
	me := visitor(ctx)
	view := organizationPage{
		Me: me, Now: time.Now(), Notice: doneOnOrganization[r.URL.Query().Get("done")],
		Invite: newForm("invite", "/organization/members", "Send the invitation",
			input{Name: "email", Label: "E-mail address", Type: "email", Autocomplete: "off", Required: true, Most: 254},
			input{Name: "role", Label: "Role", Type: "select", Options: roleOptions(me, "author")}),
		Create: newForm("credential", "/organization/credentials", "Make the credential",
			input{Name: "label", Label: "Label", Autocomplete: "off", Required: true, Most: 100, Hint: "What it is for, such as the program's name."},
			input{Name: "scopes", Label: "What it may do", Type: "checkboxes", Options: scopeOptions()},
			input{Name: "expires", Label: "Works until", Type: "date", Hint: "Leave it empty for a credential without an end."}),
	}
	api := s.accounts(r)
	var people membership
	var credentials list[credential]
	group, ctx := errgroup.WithContext(ctx)
	query := url.Values{"limit": {"100"}}
	if cursor := r.URL.Query().Get("cursor"); cursor != "" {
		query.Set("cursor", cursor)
	}
	group.Go(func() (err error) {
		people, err = get[membership](ctx, api, "/v1/auth/members?"+query.Encode())
		return err
	})
	group.Go(func() (err error) {
		credentials, err = get[list[credential]](ctx, api, "/v1/auth/credentials?limit=100")
		return err
	})
	if err := group.Wait(); err != nil {
		return view, err
	}
	view.Invitations, view.Next = people.Invitations, people.NextCursor
	for _, m := range people.Items {
		view.Members = append(view.Members, memberRow{m, m.ID == me.ID, m.ID != me.ID && me.atLeast(m.Role), roleOptions(me, m.Role)})
	}
	for _, c := range credentials.Items {
		if c.Works(view.Now) {
			view.Credentials = append(view.Credentials, c)
		} else {
			view.Past = append(view.Past, c)
		}
	}
	return view, nil
}

var doneOnOrganization = map[string]string{
	"invited": "The invitation is on its way. Its link works for 30 minutes.",
	"role":    "The role is changed.", "removed": "They do not belong to the organisation any more, and are signed out.",
	"invitation": "The invitation is taken back.", "revoked": "The credential is revoked. Programs that use it are refused within seconds.",
}

var roleWords = map[string]string{
	"learner": "Learner: reads courses", "author": "Author: writes courses too", "owner": "Owner: sees to members, credentials and the budget too", "root": "Root: sees to all organisations too",
}

// roleOptions are the roles that there are in the person's organisation.
func roleOptions(me *person, chosen string) []option {
	var all []option
	for _, role := range roles {
		if role != "root" || me.Organization.Operator && me.Runs() || role == chosen {
			all = append(all, option{Value: role, Label: roleWords[role], Chosen: role == chosen})
		}
	}
	return all
}

func scopeOptions() []option {
	return []option{
		{"courses:read", "Read courses", "", true},
		{"courses:write", "Write courses", "and have them written and filmed", false},
		{"chat", "Chat", "with the tutor, also by way of OpenAI's clients", false},
	}
}

func (s *site) showOrganization(r *http.Request) (string, any, error) {
	view, err := s.organizationPage(r.Context(), r)
	return "organization", view, err
}

// onOrganization shows what is wrong with one of the organisation's forms.
func (s *site) onOrganization(w http.ResponseWriter, r *http.Request, err error, which func(*organizationPage) *form) error {
	view, unread := s.organizationPage(r.Context(), r)
	if unread != nil {
		return unread
	}
	status, unfit := which(&view).refuse(w, r, err)
	if unfit != nil {
		return unfit
	}
	return s.render(w, r, status, "organization", view)
}

func (s *site) invite(w http.ResponseWriter, r *http.Request) error {
	body := map[string]string{"email": r.PostFormValue("email"), "role": r.PostFormValue("role")}
	if _, err := s.accounts(r).write(r.Context(), http.MethodPost, "/v1/auth/members", r.PostFormValue("key"), body); err != nil {
		return s.onOrganization(w, r, err, func(v *organizationPage) *form { return &v.Invite })
	}
	http.Redirect(w, r, "/organization?done=invited", http.StatusSeeOther)
	return nil
}

func (s *site) changeRole(r *http.Request) (string, error) {
	_, err := s.accounts(r).write(r.Context(), http.MethodPatch, "/v1/auth/members/"+url.PathEscape(r.PathValue("user")), "", map[string]string{"role": r.PostFormValue("role")})
	return "/organization?done=role", err
}

func (s *site) removeMember(r *http.Request) (string, error) {
	_, err := s.accounts(r).write(r.Context(), http.MethodDelete, "/v1/auth/members/"+url.PathEscape(r.PathValue("user")), "", nil)
	return "/organization?done=removed", there(err)
}

func (s *site) revokeInvitation(r *http.Request) (string, error) {
	_, err := s.accounts(r).write(r.Context(), http.MethodDelete, "/v1/auth/invitations/"+url.PathEscape(r.PathValue("invitation")), "", nil)
	return "/organization?done=invitation", there(err)
}

func (s *site) revokeCredential(r *http.Request) (string, error) {
	_, err := s.accounts(r).write(r.Context(), http.MethodDelete, "/v1/auth/credentials/"+url.PathEscape(r.PathValue("credential")), "", nil)
	return "/organization?done=revoked", there(err)
}

// newCredential is what a credential is made from.
type newCredential struct {
	Label     string     `json:"label"`
	Scopes    []string   `json:"scopes"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// credentialPage shows a credential with its secret, this once.
type credentialPage struct {
	Credential credential `json:"credential"`
	Secret     string     `json:"secret"`
}

// createCredential answers with the secret at once: a redirect would have to keep it
// somewhere. The page is in no cache, and coming back to it shows nothing.
func (s *site) createCredential(w http.ResponseWriter, r *http.Request) error {
	wanted := newCredential{Label: strings.TrimSpace(r.PostFormValue("label")), Scopes: slices.Clone(r.PostForm["scopes"])}
	form := func(v *organizationPage) *form { return &v.Create }
	if len(wanted.Scopes) == 0 {
		return s.onOrganization(w, r, wrongField("scopes", "Choose at least one."), form)
	}
	if day := r.PostFormValue("expires"); day != "" {
		until, err := time.Parse(time.DateOnly, day)
		if err != nil {
			return s.onOrganization(w, r, wrongField("expires", "This is no date such as 2027-01-31."), form)
		}
		until = until.Add(24*time.Hour - time.Second) // that day included
		wanted.ExpiresAt = &until
	}
	got, err := s.accounts(r).write(r.Context(), http.MethodPost, "/v1/auth/credentials", "", wanted) // no key: the answer is kept nowhere
	if err != nil {
		return s.onOrganization(w, r, err, form)
	}
	made, err := decode[credentialPage](got)
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "secret", made)
}
