package edge

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lectern.dev/lectern/internal/fault"
)

// theirs is a body in another's format.
type theirs struct {
	Word  string `json:"word" minLength:"1"`
	Extra int    `json:"extra,omitempty" maximum:"3"`
}

// theirError is how that tells an error.
type theirError struct {
	Oops   string `json:"oops"`
	Where  string `json:"where"`
	Status int    `json:"status"`
}

func inTheirWords(p *Problem, h http.Header) (int, any) {
	e := theirError{Oops: p.Detail, Status: p.Status}
	if len(p.Errors) > 0 {
		e.Where = p.Errors[0].Location
	}
	h.Set("X-Told", "theirs")
	if p.Status == http.StatusUnprocessableEntity {
		return http.StatusBadRequest, e
	}
	return p.Status, e
}

// holding is a gate whose policy is a header; it says when it holds somebody.
type holding struct{ held chan string }

func (d holding) Admit(r *http.Request, need Policy) (context.Context, error) {
	switch r.Header.Get("Authorization") {
	case "":
		return nil, fault.New(fault.Unauthenticated, "Sign in first.")
	case need.Role:
		return r.Context(), nil
	}
	return nil, fault.New(fault.Denied, "Your role does not allow that.")
}

func (d holding) Hold(ctx context.Context) (context.Context, context.CancelFunc) {
	d.held <- "held"
	return ctx, func() { d.held <- "released" }
}

func foreign(handler func(w http.ResponseWriter, r *http.Request, in *theirs) error, long bool) (http.Handler, *API, holding) {
	d := holding{make(chan string, 10)}
	api := NewAPI("x", "x", d)
	RegisterForeign(api, Policy{Role: "learner"}, huma.Operation{
		OperationID: "say", Method: http.MethodPost, Path: "/their/words",
		Parameters: []*huma.Param{{Name: "X-Session", In: "header", Schema: &huma.Schema{Type: huma.TypeString, MaxLength: new(8)}}},
	}, Foreign{Dialect: inTheirWords, Long: long}, handler)
	RegisterForeign(api, Policy{Role: "learner"}, huma.Operation{
		OperationID: "get", Method: http.MethodGet, Path: "/their/{thing}/x",
		Parameters: []*huma.Param{{Name: "thing", In: "path", Schema: &huma.Schema{Type: huma.TypeString}}},
	}, Foreign{Dialect: inTheirWords}, func(w http.ResponseWriter, r *http.Request, _ *struct{}) error {
		_, ok := r.Context().Deadline()
		if !ok {
			return errors.New("no deadline")
		}
		_, err := io.WriteString(w, r.PathValue("thing"))
		return err
	})
	return HTTP(api, Options{MaxBody: 1000}), api, d
}

func echo(w http.ResponseWriter, _ *http.Request, in *theirs) error {
	switch in.Word {
	case "panic":
		panic("oh")
	case "mistake":
		return errors.New("secret")
	case "later":
		return &fault.Error{Kind: fault.Unavailable, Message: "Later.", RetryAfter: 7 * time.Second}
	}
	_, err := io.WriteString(w, in.Word)
	return err
}

// Whatever refuses a request, before its handler, in it or after a panic, says so in
// the words that the clients of that address know; all other addresses have ours.
func TestForeignErrors(t *testing.T) {
	t.Parallel()
	h, _, _ := foreign(echo, false)
	const good = `{"word":"hi"}`
	for name, c := range map[string]struct {
		method, path, body string
		header             []string
		status             int
		where              string
		ours               bool
	}{
		"nobody":          {body: good, header: []string{"Authorization", ""}, status: 401},
		"somebody else":   {body: good, header: []string{"Authorization", "author"}, status: 403},
		"another page":    {body: good, header: []string{"Sec-Fetch-Site", "cross-site"}, status: 403},
		"too large":       {body: `{"word":"` + strings.Repeat("x", 2000) + `"}`, status: 413},
		"no JSON":         {body: `{`, status: 400},
		"nothing":         {body: ``, status: 400},
		"not UTF-8":       {body: "{\"word\":\"\xff\"}", status: 400},
		"twice":           {body: `{"word":"a","word":"b"}`, status: 400},
		"wrong":           {body: `{"word":1}`, status: 400, where: "word"},
		"undeclared":      {body: `{"word":"a","role":"root"}`, status: 400, where: "role"},
		"too much":        {body: `{"word":"a","extra":4}`, status: 400, where: "extra"},
		"a form":          {body: good, header: []string{"Content-Type", "text/plain"}, status: 415},
		"UTF-16":          {body: good, header: []string{"Content-Type", "application/json; charset=utf-16"}, status: 415},
		"a query":         {path: "/their/words?a=b", body: good, status: 400, where: "query.a"},
		"a broken query":  {path: "/their/words?%zz", body: good, status: 400},
		"a long header":   {body: good, header: []string{"X-Session", "nine long"}, status: 400, where: "header.X-Session"},
		"a mistake":       {body: `{"word":"mistake"}`, status: 500},
		"a panic":         {body: `{"word":"panic"}`, status: 500},
		"later":           {body: `{"word":"later"}`, status: 503},
		"another method":  {method: "PUT", body: good, status: 405},
		"nothing there":   {path: "/their/words/x/y/z", body: good, status: 404, ours: true},
		"in its path too": {method: "DELETE", path: "/their/a/x", status: 405},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method, path := c.method, c.path
			if method == "" {
				method = http.MethodPost
			}
			if path == "" {
				path = "/their/words"
			}
			r := httptest.NewRequest(method, path, strings.NewReader(c.body))
			r.Header.Set("Authorization", "learner")
			r.Header.Set("Content-Type", "application/json")
			for i := 0; i < len(c.header); i += 2 {
				r.Header.Set(c.header[i], c.header[i+1])
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.status || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Request-Id") == "" {
				t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
			}
			if c.ours {
				if w.Header().Get("Content-Type") != "application/problem+json" {
					t.Errorf("%v %s", w.Header(), w.Body)
				}
				return
			}
			var e theirError
			d := json.NewDecoder(w.Body)
			d.DisallowUnknownFields()
			if err := d.Decode(&e); err != nil || e.Oops == "" || e.Where != c.where || w.Header().Get("X-Told") != "theirs" || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("%v %+v %v", err, e, w.Header())
			}
			if strings.Contains(e.Oops, "secret") {
				t.Errorf("it tells %q", e.Oops)
			}
			if name == "later" && w.Header().Get("Retry-After") != "7" || name == "nobody" && w.Header().Get("Www-Authenticate") == "" {
				t.Errorf("%v", w.Header())
			}
		})
	}
}

// A body that lies about its length is cut, and said to be too large.
func TestForeignBodyWithoutALength(t *testing.T) {
	t.Parallel()
	h, _, _ := foreign(echo, false)
	r := httptest.NewRequest(http.MethodPost, "/their/words", io.MultiReader(strings.NewReader(`{"word":"`), strings.NewReader(strings.Repeat("x", 2000)), strings.NewReader(`"}`)))
	r.Header.Set("Authorization", "learner")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusRequestEntityTooLarge || w.Header().Get("X-Told") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// The gate watches over long answers as long as they go on, and the others end.
func TestForeignAnswers(t *testing.T) {
	t.Parallel()
	for _, long := range []bool{false, true} {
		h, _, d := foreign(func(w http.ResponseWriter, r *http.Request, in *theirs) error {
			if _, bounded := r.Context().Deadline(); bounded == long {
				t.Errorf("long: %t, bounded: %t", long, bounded)
			}
			if long {
				if was := <-heldBy(r); was != "held" {
					t.Errorf("it was %s", was)
				}
			}
			return echo(w, r, in)
		}, long)
		r := httptest.NewRequest(http.MethodPost, "/their/words", strings.NewReader(`{"word":"hi","extra":null}`))
		r = r.WithContext(context.WithValue(r.Context(), holdingKey{}, d))
		r.Header.Set("Authorization", "learner")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK || w.Body.String() != "hi" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		close(d.held)
		if was := <-d.held; long && was != "released" || !long && was != "" {
			t.Errorf("long: %t; afterwards it was %q", long, was)
		}
	}
}

type holdingKey struct{}

func heldBy(r *http.Request) chan string { return r.Context().Value(holdingKey{}).(holding).held }

// It stands in the document like any other operation.
func TestForeignIsDocumented(t *testing.T) {
	t.Parallel()
	_, api, _ := foreign(echo, true)
	o := api.OpenAPI().Paths["/their/words"].Post
	policy, _ := o.Extensions[policyExtension].(map[string]string)
	if policy["role"] != "learner" || len(o.Security) == 0 || o.RequestBody.Content["application/json"].Schema.Ref == "" {
		t.Errorf("%+v", o)
	}
	for _, status := range []string{"400", "401", "402", "403", "413", "415", "429", "500", "503"} {
		if a := o.Responses[status]; a == nil || !strings.HasSuffix(a.Content["application/json"].Schema.Ref, "TheirError") {
			t.Errorf("%s is %+v", status, a)
		}
	}
	if o.Responses["422"] != nil {
		t.Error("422 is what 400 is told for")
	}
	if get := api.OpenAPI().Paths["/their/{thing}/x"].Get; get.RequestBody != nil || get.Responses["404"] == nil {
		t.Errorf("%+v", get)
	}
}

// slow is a response whose writes are seen as they happen.
type slow struct {
	*httptest.ResponseRecorder
	fail bool
}

func (s *slow) Write(b []byte) (int, error) {
	if s.fail {
		return 0, errors.New("nobody reads")
	}
	return s.ResponseRecorder.Write(b)
}

// Comments keep a silent stream open, at least every 15 s; it begins with the first of
// them, and not before, so that an error can have a status until then.
func TestDataStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &slow{ResponseRecorder: httptest.NewRecorder()}
		s := NewDataStream(w)
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan struct{})
		go s.Alive(ctx, func() { close(gone) })
		synctest.Wait()
		sent := func() string { // the comments come from another goroutine
			s.mu.Lock()
			defer s.mu.Unlock()
			return w.Body.String()
		}
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if sent() != "" {
			t.Error("it begins by itself")
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := sent(); got != ": still here\n\n" || s.Withdraw() {
			t.Errorf("after 14 s it sent %q", got)
		}
		if err := s.Send([]byte("data: x\n\n")); err != nil || !strings.HasSuffix(sent(), "data: x\n\n") {
			t.Errorf("%v %q", err, sent())
		}
		if kind := w.Header().Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%v", w.Header())
		}
		s.mu.Lock()
		w.fail = true
		s.mu.Unlock()
		time.Sleep(15 * time.Second)
		<-gone
		w.fail = false
		if err := s.Send([]byte("data: y\n\n")); err == nil {
			t.Error("after a write that failed, something was missing")
		}
		cancel()

		early := &slow{ResponseRecorder: httptest.NewRecorder()}
		s = NewDataStream(early)
		if !s.Withdraw() || s.Send([]byte("data: z\n\n")) == nil || early.Body.Len() > 0 {
			t.Errorf("what was withdrawn begins: %q", early.Body)
		}
	})
}

// A page of a trusted origin may use OpenAI's JavaScript client, with the headers that
// it sends by itself and ours, and read what it needs of the answer.
func TestPagesMayUseOpenAIsClient(t *testing.T) {
	t.Parallel()
	_, api, _ := foreign(echo, false)
	h := HTTP(api, Options{TrustedOrigins: []string{"https://front.example"}})
	r := httptest.NewRequest(http.MethodOptions, "/their/words", nil)
	r.Header.Set("Origin", "https://front.example")
	r.Header.Set("Access-Control-Request-Method", "POST")
	r.Header.Set("Access-Control-Request-Headers", "authorization,content-type,x-lectern-session,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count,x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Header().Get("Access-Control-Allow-Origin") != "https://front.example" || w.Header().Get("Access-Control-Allow-Headers") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}
