package matrix

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lectern.dev/lectern/internal/account"
)

// F80 and F81: nobody reaches what the policy does not give them, and nobody reaches
// into another organisation: not by a path, a query, a body or a header. What is
// refused has no effect.
func TestMatrix(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	operations := w.operations(t)
	if len(operations) < 30 {
		t.Fatalf("the document knows %d operations", len(operations))
	}
	victims := append(w.principals(t, w.victim), w.nobodies(t, w.victim)...)
	strangers := append(w.principals(t, w.stranger), w.principals(t, w.operator)...)
	before, sent := w.state(t, ""), w.tasks.Load()
	for _, o := range operations {
		t.Run(o.ID, func(t *testing.T) {
			keys := w.objects(t)
			w.refuses(t, o, victims)
			w.hides(t, o, strangers)
			if diff := cmp.Diff(before, w.state(t, "")); diff != "" {
				t.Errorf("a refused request changed something:\n%s", diff)
				before = w.state(t, "")
			}
			if diff := cmp.Diff(keys, w.objects(t)); diff != "" || w.tasks.Load() != sent {
				t.Errorf("a refused request, of this operation or one before, sent %d tasks or changed the bucket:\n%s", w.tasks.Load()-sent, diff)
				sent = w.tasks.Load()
			}
		})
	}
}

// refuses: who is not admitted meets the status that the policy means.
func (w *world) refuses(t *testing.T, o operation, all []principal) {
	t.Helper()
	r := w.whole(t, o, &w.victim)
	for _, p := range all {
		want := o.Policy.verdict(p)
		if want == 0 {
			continue
		}
		r.as = p.as
		a := w.ask(t, r)
		if a.status != want && !(p.guess && a.status == http.StatusTooManyRequests) {
			t.Errorf("%s gets %d, want %d: %.300s", p.name, a.status, want, a.body)
		}
		if strings.Contains(a.body, secret(w.victim.name)) {
			t.Errorf("%s is told %.300s", p.name, a.body)
		}
		isProblem(t, o, a)
	}
}

// hides: to who belongs to another organisation, what is another's and what does not
// exist are the same.
func (w *world) hides(t *testing.T, o operation, all []principal) {
	t.Helper()
	if o.Policy.Who == "everyone" || !strings.Contains(o.Path, "{") || o.Policy.Role == string(account.Root) || o.ID == "get-model" { // models are nobody's
		return
	}
	others, none := w.whole(t, o, &w.victim), w.whole(t, o, &w.victim)
	none.path = w.path(t, o, unknown(w.victim.ids)) + strings.TrimPrefix(none.path, w.path(t, o, w.victim.ids))
	for _, p := range all {
		if p.nobody || o.Policy.verdict(p) != 0 {
			continue
		}
		others.as, none.as = p.as, p.as
		a, b := w.ask(t, others), w.ask(t, none)
		if a.status != http.StatusNotFound {
			t.Errorf("%s gets %d, want 404: %.300s", p.name, a.status, a.body)
		}
		if diff := cmp.Diff(told(a, w.victim.ids), told(b, unknown(w.victim.ids))); diff != "" {
			t.Errorf("%s can tell what exists from what does not:\n%s", p.name, diff)
		}
	}
}

// told is all of an answer that may not differ between two of the same kind. The ids
// that were asked for come back in it.
func told(a answer, asked map[string]string) map[string]string {
	body := a.anonymized()
	for name, id := range asked {
		body = strings.ReplaceAll(body, id, "{"+name+"}")
	}
	all := map[string]string{"status": fmt.Sprint(a.status), "body": body, "size": fmt.Sprint(len(a.body))}
	for name, values := range a.header {
		if name != "Date" && name != "X-Request-Id" {
			all[name] = strings.Join(values, ", ")
		}
	}
	return all
}

func isProblem(t *testing.T, o operation, a answer) {
	t.Helper()
	if elsewhere := a.status == http.StatusNotFound && a.header.Get("Content-Type") == "application/problem+json"; o.foreign() && !elsewhere { // where its path became no operation's
		isOpenAIs(t, a)
		return
	}
	var p struct {
		Title, Detail string
		Status        int
		RequestID     string `json:"request_id"`
	}
	err := json.Unmarshal([]byte(a.body), &p)
	if err != nil || a.header.Get("Content-Type") != "application/problem+json" || p.Status != a.status || p.Detail == "" || p.RequestID != a.header.Get("X-Request-Id") {
		t.Errorf("%d is no problem document: %q %.300s", a.status, a.header.Get("Content-Type"), a.body)
	}
}

// foreign tells whether the operation speaks as OpenAI's do.
func (o operation) foreign() bool {
	return o.Path == "/v1/chat/completions" || strings.HasPrefix(o.Path, "/v1/models")
}

// isOpenAIs is isProblem for those.
// https://platform.openai.com/docs/guides/error-codes
func isOpenAIs(t *testing.T, a answer) {
	t.Helper()
	var p struct {
		Error struct{ Message, Type string }
	}
	err := json.Unmarshal([]byte(a.body), &p)
	if err != nil || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") || p.Error.Message == "" || p.Error.Type == "" {
		t.Errorf("%d is no error of OpenAI's form: %q %.300s", a.status, a.header.Get("Content-Type"), a.body)
	}
}
