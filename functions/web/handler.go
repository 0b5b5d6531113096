package web

import (
	"net/http"
	"net/url"
	"time"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
)

// maxBody is what the gateway passes on at most, in bytes; the functions behind it
// set their own, lower limits. Uploads go straight to the bucket.
const maxBody = 8 << 20

// Deps are what web stands on.
type Deps struct {
	Transport http.RoundTripper // carries requests to the other functions; nil: a pool of connections
	Courses   *url.URL          // where they answer: scheme, host, and what their paths begin with
	Auth      *url.URL
	Chat      *url.URL // nil: not there, its addresses answer 404
	Media     *url.URL // origin that videos are played from and documents are sent to; nil: this one
	// Front says where a client's address stands. The first of its keys is what the
	// functions know us by; requests to us are not signed.
	Front edge.Front
	// Terminal says that Lectern runs in somebody's terminal, which prints links that
	// sign them in.
	Terminal bool
}

// site answers pages.
type site struct {
	deps   Deps
	client *http.Client
	assets *assets
	pages  pages
}

// New makes the handler of the whole site: pages, static files, and the gateway.
func New(d Deps) http.Handler {
	if d.Transport == nil {
		d.Transport = transport()
	}
	files := readAssets()
	s := &site{
		deps:   d,
		client: &http.Client{Transport: d.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		assets: files,
		pages:  parsePages(),
	}
	mux := http.NewServeMux()
	s.routeDoor(mux)
	s.routePages(mux)
	s.routeForms(mux)
	if s.tutored() {
		s.routeTutor(mux)
	}
	s.routeAPI(mux)
	mux.Handle("GET /static/", files)
	mux.HandleFunc("GET /favicon.ico", files.byName["icon.svg"].serve)
	mux.Handle("/", s.anybody(s.page(func(*http.Request) (string, any, error) {
		return "", nil, fault.New(fault.NotFound, "There is no page at this address.")
	})))
	return edge.HTTP(s.secure(mux), edge.Options{MaxBody: maxBody, Front: edge.Front{TrustedHops: d.Front.TrustedHops}})
}

// routeDoor are the pages for who is not signed in yet.
func (s *site) routeDoor(mux *http.ServeMux) {
	mux.Handle("GET /sign-in", s.anybody(s.answers(s.showSignIn)))
	mux.Handle("POST /sign-in", s.answers(s.signIn))
	mux.Handle("GET /sign-in/link", s.secretPage(oneTimePage))
	mux.Handle("POST /sign-in/link", s.answers(s.signInOnce))
	mux.Handle("GET /sign-up", s.anybody(s.page(func(*http.Request) (string, any, error) { return "enter", signUpPage(), nil })))
	mux.Handle("POST /sign-up", s.answers(s.signUp))
	mux.Handle("GET /sign-up/sent", s.page(s.showSent))
	mux.Handle("GET /sign-up/confirm", s.secretPage(confirmPage))
	mux.Handle("POST /sign-up/confirm", s.answers(s.confirm))
	mux.Handle("GET /invitation", s.secretPage(invitationPage))
	mux.Handle("POST /invitation", s.answers(s.acceptInvitation))
	mux.Handle("GET /reset", s.secretPage(resetPage))
	mux.Handle("POST /reset", s.answers(s.reset))
	mux.Handle("POST /resets", s.answers(s.askReset))
	mux.Handle("GET /reset/sent", s.page(s.showResetSent))
	mux.Handle("POST /sign-out", s.answers(s.signOut))
}

// routePages are the pages for members.
func (s *site) routePages(mux *http.ServeMux) {
	mux.Handle("GET /{$}", s.members(s.page(s.showCourses)))
	mux.Handle("GET /courses/{course}", s.members(s.page(s.showCourse)))
	mux.Handle("GET /lessons/{lesson}", s.members(s.page(s.showLesson)))
	mux.Handle("GET /account", s.members(s.page(s.showAccount)))
	mux.Handle("GET /organization", s.members(s.page(s.showOrganization)))
	mux.Handle("GET /budget", s.members(s.page(s.showBudget)))
	mux.Handle("GET /organizations", s.members(s.page(s.showOrganizations)))
	mux.Handle("GET /docs", s.anybody(s.page(s.showDocs)))
}

// routeForms are what the members' pages send.
func (s *site) routeForms(mux *http.ServeMux) {
	s.takes(mux, map[string]http.Handler{
		"/courses":                                      s.answers(s.createCourse),
		"/courses/{course}/generations":                 s.act(s.generate),
		"/courses/{course}/renders":                     s.act(s.renderCourse),
		"/lessons/{lesson}/renders":                     s.act(s.renderLesson),
		"/jobs/{job}/cancel":                            s.act(s.cancelJob),
		"/jobs/{job}/resume":                            s.act(s.resumeJob),
		"/account/name":                                 s.answers(s.rename),
		"/account/address":                              s.answers(s.takeAddress),
		"/account/password":                             s.answers(s.changePassword),
		"/account/sign-out-everywhere":                  s.answers(s.signOutEverywhere),
		"/account/sign-ins/{sign_in}/end":               s.act(s.endSignIn),
		"/organization/members":                         s.answers(s.invite),
		"/organization/members/{user}/remove":           s.act(s.removeMember),
		"/organization/members/{user}/role":             s.act(s.changeRole),
		"/organization/invitations/{invitation}/revoke": s.act(s.revokeInvitation),
		"/organization/credentials":                     s.answers(s.createCredential),
		"/organization/credentials/{credential}/revoke": s.act(s.revokeCredential),
		"/organizations/{organization}/budget":          s.answers(s.setBudget),
	})
}

// routeTutor are the tutor's pages, and what they send.
func (s *site) routeTutor(mux *http.ServeMux) {
	mux.Handle("GET /tutor", s.members(s.page(s.showTalks)))
	mux.Handle("GET /tutor/{session}", s.members(s.page(s.showSession)))
	mux.Handle("GET /tutor/{session}/thread", s.members(s.page(s.showThread)))
	mux.Handle("GET /courses/{course}/tutor", s.members(s.page(s.showTutor)))
	mux.Handle("GET /courses/{course}/tutor/panel", s.members(s.page(s.showPanel)))
	s.takes(mux, map[string]http.Handler{
		"/courses/{course}/tutor":         s.answers(s.beginTalk),
		"/tutor/{session}":                s.answers(s.send),
		"/tutor/{session}/stop":           s.act(s.stopAnswer),
		"/tutor/{session}/title":          s.act(s.renameTalk),
		"/tutor/{session}/delete":         s.act(s.deleteTalk),
		"/tutor/memories/{memory}/forget": s.act(s.forget),
		"/tutor/memories/forget":          s.act(s.forgetAll),
	})
}

// takes serves forms, by their paths, that members alone may send.
func (s *site) takes(mux *http.ServeMux, forms map[string]http.Handler) {
	for path, form := range forms {
		mux.Handle("POST "+path, s.members(form))
	}
}

// routeAPI is the gateway to the functions, and the document of them all.
func (s *site) routeAPI(mux *http.ServeMux) {
	mux.HandleFunc("GET /openapi.json", s.serveOpenAPI)
	for path, target := range map[string]*url.URL{
		"/v1/":      s.deps.Courses,
		"/v1/auth/": s.deps.Auth, "/v1/budget": s.deps.Auth, "/v1/budget/": s.deps.Auth, "/v1/organizations": s.deps.Auth, "/v1/organizations/": s.deps.Auth,
		"/v1/chat/": s.deps.Chat, "/v1/models": s.deps.Chat, "/v1/models/": s.deps.Chat,
	} {
		if target == nil {
			mux.HandleFunc(path, notServed)
			continue
		}
		mux.Handle(path, s.gateway(target))
	}
}

// secure lets pages load what this site serves and nothing else; only videos may
// come from the bucket's origin, and documents go there. There is no inline script or style, and script
// cannot turn text into HTML (trusted types without any policy).
func (s *site) secure(next http.Handler) http.Handler {
	media := ""
	if s.deps.Media != nil {
		media = " " + s.deps.Media.String()
	}
	policy := "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'" + media + "; " +
		"img-src 'self'" + media + "; media-src 'self'" + media + "; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; " +
		"require-trusted-types-for 'script'; trusted-types 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		next.ServeHTTP(w, r)
	})
}

// transport keeps connections to the other functions open between requests; the
// default of two a host would open one for nearly every page. A stream may be
// silent for long, so only the time to the first byte of an answer is bounded.
func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 64
	t.ResponseHeaderTimeout = 30 * time.Second
	return t
}

func notServed(w http.ResponseWriter, r *http.Request) {
	problem(w, r, fault.New(fault.NotFound, "This part of Lectern is not served here."))
}
