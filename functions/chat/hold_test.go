package chat

import (
	"testing"
	"time"

	"lectern.dev/lectern/internal/access"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// A stream ends within 5 s after its reader was signed out, revoked, or given another
// role, and goes on for others; the answers go on whoever reads them.
func TestAStreamEndsWithItsReader(t *testing.T) {
	t.Parallel()
	tokens, err := access.NewTokens(access.Cookies{Keys: []string{"a key of the cookies, 32 bytes at least"}})
	if err != nil {
		t.Fatal(err)
	}
	hasher, err := account.NewHasher(account.HashOptions{Cost: account.HashCost{MemoryKiB: 8, Iterations: 1, Lanes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	d := r.deps
	d.Gate = access.New(pgtest.As(t, r.db, postgres.Tenant), tokens, hasher)
	r.serve(d)
	person := func(user string) string {
		t.Helper()
		r.exec(`INSERT INTO users (user_id, organization_id, name, role) VALUES ($1, 'org_local', 'P', 'learner')`, user)
		secret, err := account.Begin(t.Context(), r.db, user, "")
		if err != nil {
			t.Fatal(err)
		}
		token, err := tokens.NewToken(secret)
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + token
	}
	c := account.NewCredential{AuthID: "cred_1", Label: "x", Scopes: []string{account.Chat}}
	secret, err := c.SetSecret(t.Context(), hasher, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Insert(t.Context(), r.db, account.Local.Organization, account.Local.User); err != nil {
		t.Fatal(err)
	}
	goOn := make(chan struct{})
	r.model.says(held(goOn, "Owls hunt ", "at night."))
	base := r.listen()
	readers := map[string]string{"signed out": person("user_out"), "promoted": person("user_promoted"), "revoked": "Bearer cred_1." + string(secret), "": person("user_stays")}
	streams, answers := map[string]*reading{}, map[string]string{}
	for why, as := range readers {
		streams[why] = open(t, base, "POST", "/v1/chat/sessions/"+r.session("Authorization", as)+"/messages", map[string]any{"content": "When?"}, "Authorization", as)
		answers[why] = decoded[conversation.Started](t, streams[why].until("delta")[0].data).Message.ID
	}
	r.exec(`DELETE FROM sign_ins WHERE user_id = 'user_out'`)
	r.exec(`UPDATE users SET role = 'author' WHERE user_id = 'user_promoted'`)
	r.exec(`INSERT INTO credential_revocations (auth_id, organization_id, revoked_by) VALUES ('cred_1', 'org_local', 'user_local')`)
	limit := time.After(10 * time.Second) // 5 s, on a machine that does nothing else
	for why := range readers {
		if why == "" {
			continue
		}
		select {
		case e, open := <-streams[why].events:
			if open {
				t.Errorf("%s: the stream goes on with %+v", why, e)
			}
		case <-limit:
			t.Fatalf("%s: the stream goes on", why)
		}
	}
	close(goOn)
	if all := streams[""].rest(); all[len(all)-1].name != "done" {
		t.Errorf("who may stay sees %+v", all)
	}
	for why, answer := range answers {
		eventually(t, func() bool { return r.find(`SELECT state FROM messages WHERE message_id = $1`, answer) != "streaming" })
		if got := r.find(`SELECT state || ': ' || content FROM messages WHERE message_id = $1`, answer); got != "complete: Owls hunt at night." {
			t.Errorf("%s: the answer is %s", why, got)
		}
	}
}
