package chat

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

// anybody is a gate that lets everybody in but who has a bad key.
type anybody struct{}

func (anybody) Admit(r *http.Request, _ edge.Policy) (context.Context, error) {
	switch r.Header.Get("Authorization") {
	case "Bearer bad":
		return nil, fault.New(fault.Unauthenticated, "The API credential is wrong.")
	case "Bearer forbidden":
		return nil, fault.New(fault.Denied, "This API credential may not do that.")
	}
	return account.With(r.Context(), account.Principal{Organization: "org_1", User: "cred_1", Scopes: []string{account.Chat}}), nil
}

func (anybody) Hold(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}

// stateless is the handler without a database: what has no session needs none.
func stateless(model llm.Streamer) http.Handler {
	return New(Deps{Model: model, Gate: anybody{}})
}

// says is a model that streams pieces and ends in a way.
type says struct {
	pieces []llm.Piece
	end    llm.Response
	err    error
}

func (says) Name() string { return "small" }

func (m says) Complete(context.Context, llm.Request) (llm.Response, error) {
	panic("completions are streamed")
}

func (m says) Stream(ctx context.Context, _ llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
	for _, p := range m.pieces {
		if err := emit(p); err != nil {
			return m.end, err
		}
	}
	return m.end, m.err
}

func call(h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func complete(h http.Handler, body string, header ...string) *httptest.ResponseRecorder {
	return call(h, http.MethodPost, "/v1/chat/completions", body, header...)
}

const hello = `"model":"lectern","messages":[{"role":"user","content":"Hello"}]`

// strict decodes JSON that holds nothing but what T declares.
func strict[T any](t *testing.T, text string) (v T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// dataOf gives the events of a stream, which are data alone.
func dataOf(t *testing.T, stream string) (all []string) {
	t.Helper()
	for event := range strings.SplitSeq(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
		data, ok := strings.CutPrefix(event, "data: ")
		if !ok || strings.Contains(data, "\n") {
			t.Fatalf("no event of data alone: %q", event)
		}
		all = append(all, data)
	}
	return all
}
