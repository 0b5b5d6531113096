package web

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
)

// goodPassword is everybody's, goodToken what a letter's link carries while it works.
const (
	goodPassword = "tall grey heron at dawn"
	goodToken    = "canary-token-7Qf3"
	goodSecret   = "canary-secret-9Zk2"
)

// fakeAuth answers as functions/auth does. Who sends the cookie lectern=NAME is the
// person of that name.
type fakeAuth struct {
	people      map[string]person
	members     []member
	invitations []invitation
	credentials []credential
	signIns     []signIn
	budget      budget
	tenants     []tenant
	refuse      map[string]error // by "POST /v1/…": what is answered instead
	letters     []string         // addresses that a reset was asked for
	demoted     string           // a learner whom /v1/auth/me still calls something else
}

func newFakeAuth() fakeAuth {
	hillside := organization{ID: "org_hill", Name: "Hillside Evening School", Operator: true}
	day := func(d int) *time.Time { t := now.AddDate(0, 0, d); return &t }
	b := budget{Month: "2026-11", limits: limits{Soft: 40_000_000, Hard: 50_000_000, Spent: 21_384_210, Reserved: 3_150_000}, Use: []use{
		{"tokens", 4_183_220, 611_904, 12_904_310}, {"embedding", 902_118, 0, 18_042}, {"speech", 512_730, 34_182, 7_690_950}, {"render", 15_440, 0, 770_908},
	}}
	return fakeAuth{
		people: map[string]person{
			"root":    {ID: "usr_noor", Email: "noor@hillside.example", Name: "Noor Haddad", Role: "root", Organization: hillside},
			"owner":   {ID: "usr_noor", Email: "noor@hillside.example", Name: "Noor Haddad", Role: "owner", Organization: hillside},
			"author":  {ID: "usr_jonas", Email: "jonas@hillside.example", Name: "Jonas Weber", Role: "author", Organization: hillside},
			"learner": {ID: "usr_mila", Email: "mila@hillside.example", Role: "learner", Organization: hillside},
		},
		members: []member{
			{ID: "usr_noor", Email: "noor@hillside.example", Name: "Noor Haddad", Role: "owner", SeenAt: day(0)},
			{ID: "usr_jonas", Email: "jonas@hillside.example", Name: "Jonas Weber", Role: "author", SeenAt: day(-1)},
			{ID: "usr_mila", Email: "mila@hillside.example", Role: "learner"},
			{ID: "usr_ops", Email: "ops@hillside.example", Name: "Operations", Role: "root", SeenAt: day(-9)},
		},
		invitations: []invitation{{ID: "lnk_1", Email: "tomas@hillside.example", Role: "author", ExpiresAt: now.Add(20 * time.Minute)}},
		credentials: []credential{
			{ID: "auth_lms", Label: "Learning platform", Scopes: []string{"courses:read", "chat"}, CreatedAt: now, UsedAt: day(0)},
			{ID: "auth_nightly", Label: "Nightly import", Scopes: []string{"courses:read", "courses:write"}, CreatedAt: now, ExpiresAt: new(time.Date(2099, 1, 31, 23, 59, 59, 0, time.UTC))},
			{ID: "auth_old", Label: "Trial in spring", Scopes: []string{"courses:read"}, CreatedAt: *day(-200), RevokedAt: day(-90)},
		},
		signIns: []signIn{
			{ID: "sgn_1", Device: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", CreatedAt: *day(-3), SeenAt: now, Current: true},
			{ID: "sgn_2", Device: "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile/15E148 Safari/604.1", CreatedAt: *day(-20), SeenAt: *day(-1)},
		},
		budget: b,
		tenants: []tenant{
			{hillside, b.limits},
			{organization{ID: "org_dock", Name: "Dockside Training"}, limits{Soft: 8_000_000, Hard: 10_000_000, Spent: 9_100_000}},
		},
		refuse: map[string]error{},
	}
}

// as gives who asks.
func (f *fakeAPI) as(r *http.Request) (person, error) {
	for _, c := range r.Cookies() {
		if c.Value == f.auth.demoted && r.URL.Path != "/v1/auth/me" {
			return f.auth.people["learner"], nil
		}
		if p, ok := f.auth.people[c.Value]; ok && c.Name == "lectern" {
			return p, nil
		}
	}
	return person{}, fault.New(fault.Unauthenticated, "You are not signed in any more. Sign in again.")
}

// needing lets only those reach do who have at least the role.
func (f *fakeAPI) needing(role string, do func(*http.Request) (any, error)) http.HandlerFunc {
	return f.answer(func(r *http.Request) (any, error) {
		p, err := f.as(r)
		if err == nil && !p.atLeast(role) {
			err = fault.New(fault.Denied, "Your role does not allow that.")
		}
		if err != nil {
			return nil, err
		}
		return do(r)
	})
}

// setCookie is what an answer of sign-in carries; its attributes must arrive whole.
const (
	setCookie    = "lectern=owner; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"
	deviceCookie = "device=d; Path=/; Max-Age=31536000; HttpOnly; Secure; SameSite=Strict"
	noCookie     = "lectern=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
)

func (f *fakeAPI) authHandler() http.Handler {
	mux := http.NewServeMux()
	a := &f.auth
	// door answers who need not be signed in, with a cookie when do says so.
	door := func(do func(body map[string]string) (status int, cookie string, err error)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.see(r)
			raw, _ := io.ReadAll(r.Body)
			f.writes = append(f.writes, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+string(raw)))
			body := map[string]string{}
			_ = json.Unmarshal(raw, &body)
			err := a.refuse[r.Method+" "+r.URL.Path]
			var status int
			var cookie string
			if err == nil {
				status, cookie, err = do(body)
			}
			if err != nil {
				problem(w, r, err)
				return
			}
			if cookie != "" {
				w.Header().Add("Set-Cookie", cookie)
			}
			if r.URL.Path == "/v1/auth/sign-in" {
				w.Header().Add("Set-Cookie", deviceCookie)
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			if status != http.StatusNoContent {
				_, _ = w.Write([]byte(`{"status":"letter_sent","token":"bearer"}`))
			}
		}
	}
	link := func(body map[string]string) (int, string, error) {
		if body["token"] != goodToken {
			return 0, "", fault.New(fault.Unauthenticated, "This link does not work any more: it was used, or is older than 30 minutes. Ask for a new one.")
		}
		return http.StatusOK, setCookie, nil
	}
	mux.HandleFunc("POST /v1/auth/sign-in", door(func(body map[string]string) (int, string, error) {
		if body["password"] != goodPassword {
			return 0, "", fault.New(fault.Unauthenticated, "The e-mail address or the password is wrong.")
		}
		return http.StatusOK, setCookie, nil
	}))
	mux.HandleFunc("POST /v1/auth/sign-in/link", door(link))
	mux.HandleFunc("POST /v1/auth/sign-up/confirm", door(link))
	mux.HandleFunc("POST /v1/auth/sign-up", door(func(body map[string]string) (int, string, error) {
		if body["password"] == "password" {
			return 0, "", &fault.Error{Kind: fault.Invalid, Message: "Choose another password.", Fields: []fault.Field{{Location: "body.password", Message: "This is one of the most common passwords"}}}
		}
		switch body["invitation"] {
		case "":
		case goodToken:
			return http.StatusCreated, setCookie, nil
		default:
			return link(nil)
		}
		return http.StatusCreated, "", nil
	}))
	mux.HandleFunc("POST /v1/auth/resets", door(func(body map[string]string) (int, string, error) {
		a.letters = append(a.letters, body["email"])
		return http.StatusAccepted, "", nil
	}))
	mux.HandleFunc("POST /v1/auth/resets/redeem", door(link))
	mux.HandleFunc("POST /v1/auth/sign-out", door(func(map[string]string) (int, string, error) {
		return http.StatusNoContent, noCookie, nil
	}))
	mux.HandleFunc("POST /v1/auth/sign-out-everywhere", door(func(map[string]string) (int, string, error) {
		return http.StatusNoContent, noCookie, nil
	}))
	mux.HandleFunc("POST /v1/auth/password", door(func(body map[string]string) (int, string, error) {
		if body["current"] != goodPassword {
			return 0, "", &fault.Error{Kind: fault.Invalid, Message: "This is not your password.", Fields: []fault.Field{{Location: "body.current", Message: "This is not your password."}}}
		}
		return http.StatusOK, setCookie, nil
	}))
	mux.HandleFunc("POST /v1/auth/address", door(func(body map[string]string) (int, string, error) {
		if body["email"] == "jonas@hillside.example" {
			return 0, "", fault.New(fault.Conflict, "There is already an account with this e-mail address. Take another.")
		}
		return http.StatusOK, setCookie, nil
	}))
	mux.HandleFunc("GET /v1/auth/me", f.answer(func(r *http.Request) (any, error) { return f.as(r) }))
	mux.HandleFunc("GET /v1/auth/sign-ins", f.needing("learner", func(*http.Request) (any, error) { return list[signIn]{Items: a.signIns}, nil }))
	mux.HandleFunc("GET /v1/auth/members", f.needing("owner", func(*http.Request) (any, error) {
		return membership{Items: a.members, Invitations: a.invitations}, nil
	}))
	mux.HandleFunc("GET /v1/auth/credentials", f.needing("owner", func(*http.Request) (any, error) { return list[credential]{Items: a.credentials}, nil }))
	mux.HandleFunc("POST /v1/auth/credentials", f.needing("owner", func(r *http.Request) (any, error) {
		body, _ := io.ReadAll(r.Body)
		f.writes = append(f.writes, "POST /v1/auth/credentials "+string(body))
		var made newCredential
		err := json.Unmarshal(body, &made)
		return credentialPage{credential{ID: "auth_new", Label: made.Label, Scopes: made.Scopes, CreatedAt: now, ExpiresAt: made.ExpiresAt}, goodSecret}, err
	}))
	mux.HandleFunc("GET /v1/budget", f.needing("learner", func(*http.Request) (any, error) { return a.budget, nil }))
	mux.HandleFunc("GET /v1/budget/ledger", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/csv")
		_, _ = w.Write([]byte("entry,cost\n"))
	})
	mux.HandleFunc("GET /v1/organizations", f.needing("root", func(*http.Request) (any, error) { return list[tenant]{Items: a.tenants}, nil }))
	mux.HandleFunc("GET /openapi.json", f.answer(func(*http.Request) (any, error) {
		return json.RawMessage(`{"paths":{"/v1/auth/me":{"get":{"summary":"Read who you are","responses":{"200":{"description":"You"}}}}}}`), nil
	}))
	mux.HandleFunc("/", f.needing("learner", f.written))
	return edge.HTTP(mux, edge.Options{Front: edge.Front{GatewayKeys: []string{gatewayKey}}})
}

const gatewayKey = "the gateway's key in tests, long enough"
