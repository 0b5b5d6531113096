package matrix

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"lectern.dev/lectern/internal/account"
)

// tenant is an organisation with one of everything.
type tenant struct {
	name   string
	id     string
	people map[account.Role]string // user ids
	ids    map[string]string       // of what belongs to it, by the names that paths use
	// credentials are "<auth_id>.<secret>", by what sets them apart.
	credentials map[string]string
	etag        string // of its course
}

// settle makes an organisation with people of every role and one of everything.
func (w *world) settle(t *testing.T, name string) tenant {
	t.Helper()
	h := tenant{name: name, id: "org_" + name, people: map[account.Role]string{}}
	if err := account.EnsureOrganization(t.Context(), w.Pool(), account.Organization{ID: h.id, Name: secret(name)}); err != nil {
		t.Fatal(err)
	}
	for _, role := range []account.Role{account.Owner, account.Author, account.Learner} {
		h.people[role] = w.person(t, h, string(role), role)
	}
	return w.furnish(t, h)
}

// furnish gives an organisation one of everything.
func (w *world) furnish(t *testing.T, h tenant) tenant {
	t.Helper()
	mark := secret(h.name)
	h.ids = map[string]string{"organization": h.id, "user": w.person(t, h, "spare", account.Learner)}
	h.credentials = map[string]string{}
	owner := w.signedIn(t, cmp.Or(h.people[account.Owner], h.people[account.Root]))
	make := func(method, path string, body any) map[string]any {
		t.Helper()
		a := w.must(t, request{method: method, path: path, body: body, as: owner})
		out := map[string]any{}
		if err := json.Unmarshal([]byte(a.body), &out); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, a.body)
		}
		if etag := a.header.Get("ETag"); etag != "" && path == "/v1/courses" {
			h.etag = etag
		}
		return out
	}
	h.ids["course"] = make("POST", "/v1/courses", map[string]any{"title": mark})["id"].(string)
	h.ids["module"] = make("POST", "/v1/courses/"+h.ids["course"]+"/modules", map[string]any{"title": mark})["id"].(string)
	h.ids["lesson"] = make("POST", "/v1/modules/"+h.ids["module"]+"/lessons", map[string]any{"title": mark})["id"].(string)
	slides := make("PUT", "/v1/lessons/"+h.ids["lesson"]+"/slides", map[string]any{"items": []any{slide(mark)}})["items"].([]any)
	h.ids["slide"] = slides[0].(map[string]any)["id"].(string)
	questions := make("PUT", "/v1/lessons/"+h.ids["lesson"]+"/questions", map[string]any{"items": []any{question(mark)}})["items"].([]any)
	h.ids["question"] = questions[0].(map[string]any)["id"].(string)
	h.ids["job"] = make("POST", "/v1/courses/"+h.ids["course"]+"/generations", map[string]any{"title": mark})["job"].(map[string]any)["id"].(string)
	h.ids["source"] = make("POST", "/v1/courses/"+h.ids["course"]+"/sources", map[string]any{"name": mark + ".md", "size": 3})["source"].(map[string]any)["id"].(string)
	h.ids["invitation"] = make("POST", "/v1/auth/members", map[string]any{"email": h.name + "-guest@example.com", "role": "learner", "name": mark})["id"].(string)
	w.talk(t, h, owner)
	w.admitPrograms(t, h, owner)
	_ = w.signedIn(t, cmp.Or(h.people[account.Owner], h.people[account.Root])) // on another device
	h.ids["sign_in"] = w.find(t, `SELECT max(sign_in_id) FROM sign_ins WHERE organization_id = $1 AND user_id = $2`,
		h.id, cmp.Or(h.people[account.Owner], h.people[account.Root]))
	return h
}

// talk gives the owner a session with an answer, and with what is remembered of it.
func (w *world) talk(t *testing.T, h tenant, owner string) {
	t.Helper()
	h.ids["model"] = "lectern" // which is everybody's
	session := idOf(t, w.must(t, request{method: "POST", path: "/v1/chat/sessions", as: owner, body: map[string]any{"course": h.ids["course"], "title": secret(h.name)}}))
	at := "/v1/chat/sessions/" + session
	h.ids["session"], h.ids["message"] = session, "msg-of-"+h.name
	w.must(t, request{method: "POST", path: at + "/messages", as: owner, body: map[string]any{"id": h.ids["message"], "content": secret(h.name)}})
	for name, list := range map[string]string{"checkpoint": at + "/checkpoints", "memory": "/v1/chat/memories?course=" + h.ids["course"]} {
		for limit := time.Now().Add(30 * time.Second); h.ids[name] == ""; time.Sleep(10 * time.Millisecond) {
			var found struct {
				Items []struct{ ID, Message string }
			}
			a := w.must(t, request{method: "GET", path: list, as: owner})
			if err := json.Unmarshal([]byte(a.body), &found); err != nil || time.Now().After(limit) {
				t.Fatalf("%s: %v: %s", list, err, a.body)
			}
			if len(found.Items) > 0 {
				h.ids[name] = found.Items[0].ID
				h.ids["answer"] = cmp.Or(h.ids["answer"], found.Items[0].Message)
			}
		}
	}
}

// admitPrograms makes a credential of each scope, and two that are over.
func (w *world) admitPrograms(t *testing.T, h tenant, owner string) {
	t.Helper()
	for _, scope := range []string{account.Chat, account.ReadCourses, account.WriteCourses, revoked} {
		scopes := []string{scope}
		if scope == revoked {
			scopes = everyScope
		}
		var made struct {
			Credential account.Credential
			Secret     string
		}
		a := w.must(t, request{method: http.MethodPost, path: "/v1/auth/credentials", as: owner, body: map[string]any{"label": secret(h.name), "scopes": scopes}})
		if err := json.Unmarshal([]byte(a.body), &made); err != nil {
			t.Fatal(err)
		}
		h.credentials[scope] = made.Credential.ID + "." + made.Secret
		h.ids["credential"] = made.Credential.ID
		if scope == revoked {
			w.must(t, request{method: http.MethodDelete, path: "/v1/auth/credentials/" + made.Credential.ID, as: owner})
			// One that is over has the same secret: the table is append-only, so no time can be moved in it.
			over := "over" + h.name
			w.exec(t, `
				INSERT INTO credentials (auth_id, organization, hashed_password, label, scopes, created_by, created_at, expires_at)
				SELECT $2, organization, hashed_password, label, scopes, created_by, now() - interval '2 hours', now() - interval '1 hour'
				FROM credentials WHERE auth_id = $1`, made.Credential.ID, over)
			h.credentials[expired] = over + "." + made.Secret
		}
	}
	h.ids["credential"], _, _ = strings.Cut(h.credentials[account.ReadCourses], ".")
}

const revoked, expired = "revoked", "expired"

var everyScope = []string{account.Chat, account.ReadCourses, account.WriteCourses}

func slide(mark string) map[string]any {
	return map[string]any{
		"kind": "points", "title": mark,
		"points":    []any{map[string]any{"text": mark}},
		"narration": []any{map[string]any{"text": mark, "reveals": 1}},
	}
}

func question(mark string) map[string]any {
	return map[string]any{"prompt": mark, "choices": []any{mark, "no"}, "key": 1}
}

// person makes somebody of an organisation.
func (w *world) person(t *testing.T, h tenant, name string, role account.Role) (user string) {
	t.Helper()
	user = "usr_" + h.name + name
	if err := account.EnsurePerson(t.Context(), w.Pool(), h.id, user, secret(h.name), role); err != nil {
		t.Fatal(err)
	}
	return user
}

// signedIn gives the Authorization header of a person on a new device.
func (w *world) signedIn(t *testing.T, user string) string {
	t.Helper()
	token, err := w.Token(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + token
}
