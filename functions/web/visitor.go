package web

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"lectern.dev/lectern/internal/fault"
)

// person is who looks at a page, as far as pages show it. The noun's own type would
// link the hashing of passwords.
type person struct {
	ID           string       `json:"id"`
	Email        string       `json:"email"`
	Name         string       `json:"name"`
	Role         string       `json:"role"`
	Organization organization `json:"organization"`
}

type organization struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Operator bool   `json:"operator"` // it runs this Lectern
}

// roles, from least to most. Each may do what those before it may.
var roles = []string{"learner", "author", "owner", "root"}

func (p *person) atLeast(role string) bool {
	return p != nil && slices.Index(roles, p.Role) >= slices.Index(roles, role)
}

// Writes tells whether p may make and change courses.
func (p *person) Writes() bool { return p.atLeast("author") }

// Owns tells whether p may see to the organisation.
func (p *person) Owns() bool { return p.atLeast("owner") }

// Runs tells whether p may see to all organisations.
func (p *person) Runs() bool { return p.atLeast("root") }

// Called is what the page calls p: the name, or else the address.
func (p *person) Called() string {
	if name := strings.TrimSpace(p.Name); name != "" {
		return name
	}
	return p.Email
}

// Initial is the first letter of what p is called.
func (p *person) Initial() string {
	first, _ := utf8.DecodeRuneInString(p.Called())
	return strings.ToUpper(string(first))
}

type visitorKey struct{}

// visitor gives who has asked for a page; nil when nobody is signed in.
func visitor(ctx context.Context) *person {
	p, _ := ctx.Value(visitorKey{}).(*person)
	return p
}

// who asks the API who has sent the request.
func (s *site) who(r *http.Request) (*person, error) {
	if r.Header.Get("Cookie") == "" && r.Header.Get("Authorization") == "" {
		return nil, fault.New(fault.Unauthenticated, "Sign in first.")
	}
	p, err := get[person](r.Context(), s.accounts(r), "/v1/auth/me")
	return &p, err
}

// members lets only people reach next who are signed in.
func (s *site) members(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := s.who(r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitorKey{}, p)))
	})
}

// anybody lets all reach next; who is signed in is greeted.
func (s *site) anybody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, err := s.who(r); err == nil {
			r = r.WithContext(context.WithValue(r.Context(), visitorKey{}, p))
		}
		next.ServeHTTP(w, r)
	})
}

// turnAway answers who is not signed in (any more): a page is shown after signing
// in, a form was not carried out.
func (s *site) turnAway(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, "/sign-in?next="+url.QueryEscape(ownPath(r.URL.RequestURI())), http.StatusSeeOther)
		return nil
	}
	from, _ := url.Parse(r.Referer())
	next := "/"
	if from != nil {
		next = ownPath(from.RequestURI())
	}
	view := s.signInPage(next)
	view.Lead = ""
	view.Notice = "You are not signed in any more. What you sent was not carried out: sign in, and send it again."
	return s.render(w, r, http.StatusUnauthorized, "enter", view)
}

// ownPages are addresses that one may be led to after signing in: a path of plain
// names on this site, and a query. What a browser could take for another host
// (//, a backslash, a scheme, a line break) does not match, encoded or not.
var ownPages = regexp.MustCompile(`^(/|(/[A-Za-z0-9_-]+)+)(\?[A-Za-z0-9_=&%.~+-]*)?$`)

// ownPath gives raw when it is a page of ours to go back to, else "/". Pages that
// need nobody signed in are none, and so no link that carries a token is.
func ownPath(raw string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(raw, "/"), "/")
	first, _, _ = strings.Cut(first, "?")
	if len(raw) > 1000 || !ownPages.MatchString(raw) || slices.Contains([]string{"sign-in", "sign-up", "sign-out", "invitation", "reset", "resets", "v1", "static"}, first) {
		return "/"
	}
	return raw
}
