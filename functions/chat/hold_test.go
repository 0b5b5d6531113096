package chat

import (
	"testing"
	"time"

	"lectern.dev/lectern/internal/access/accesstest"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/edge/edgetest"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// A stream ends within 5 s after its reader was signed out, revoked, or given another
// role, and goes on for others; the answers go on whoever reads them.
func TestAStreamEndsWithItsReader(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	gate := accesstest.New(t, r.db, pgtest.As(t, r.db, postgres.Tenant))
	r.deps.Gate = gate
	r.serve(r.deps)
	person := func(user string) string { return gate.Person(user, account.Learner) }
	goOn := make(chan struct{})
	r.model.says(held(goOn, "Owls hunt ", "at night."))
	base := r.listen()
	readers := map[string]string{"signed out": person("user_out"), "promoted": person("user_promoted"), "revoked": "Bearer " + gate.Program("org_local", "cred_1", account.Chat), "": person("user_stays")}
	streams, answers := map[string]*reading{}, map[string]string{}
	for why, as := range readers {
		streams[why] = open(t, base, "POST", "/v1/chat/sessions/"+r.session("Authorization", as)+"/messages", map[string]any{"content": "When?"}, "Authorization", as)
		answers[why] = edgetest.Decode[conversation.Started](t, streams[why].until("delta")[0].data).Message.ID
	}
	r.exec(`DELETE FROM sign_ins WHERE user_id = 'user_out'`)
	r.exec(`UPDATE users SET role = 'author' WHERE user_id = 'user_promoted'`)
	r.exec(`INSERT INTO credential_revocations (auth_id, organization_id, revoked_by) VALUES ('cred_1', 'org_local', 'user_local')`)
	limit := time.After(time.Minute) // 5 s, on a machine that does nothing else
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
