package chat

import (
	"strconv"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/edgetest"
)

// Each limit refuses with 429, says in words which it was, and when to come again; a
// credential, behind which there may be many people, is bound by its organisation's.
func TestLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits    Limits
		mine, our int // how many turns a person, and after them a program, may have
		words     string
	}{
		"requests of a person":         {Limits{RequestsPerMinutePerUser: 2}, 2, 3, "as often as one person may"},
		"requests of an organisation":  {Limits{RequestsPerMinutePerOrganization: 2}, 2, 0, "Your organisation has asked"},
		"tokens of a person":           {Limits{TokensPerDayPerUser: 200}, 2, 3, "tokens that one person may use in a day"}, // a turn takes 110
		"tokens of an organisation":    {Limits{TokensPerDayPerOrganization: 200}, 2, 0, "tokens that it may use in a day"},
		"far more than anybody counts": {Limits{TokensPerDayPerUser: 1 << 40, TokensPerDayPerOrganization: 1 << 40}, 3, 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(d *Deps) { d.Limits = c.limits })
			try := func(as string, may int) {
				t.Helper()
				for i := range 3 {
					ses := r.session("Authorization", as)
					a := r.do("POST", "/v1/chat/sessions/"+ses+"/messages", map[string]any{"content": "When?"}, "Authorization", as)
					if i < may {
						a.Want(200)
						eventually(t, func() bool { return len(lines.of(ses)) > 0 }) // its tokens are counted
						continue
					}
					p := edgetest.Into[edge.Problem](a.Want(429))
					if wait, err := strconv.Atoi(a.Header().Get("Retry-After")); err != nil || wait < 1 || !strings.Contains(p.Detail, c.words) {
						t.Errorf("%+v, %v", p, a.Header())
					}
				}
			}
			try("learner", c.mine)
			try("program", c.our)
			if strings.HasSuffix(name, "person") {
				try("", c.mine) // another has their own
			}
		})
	}
}

func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(d *Deps) { d.Limits = Limits{StreamsPerUser: 2, StreamsPerOrganization: 3} })
	base := r.listen()
	goOn := make(chan struct{})
	r.model.says(held(goOn, "Owls ", "hunt."))
	ask := func(as string) *reading {
		t.Helper()
		return open(t, base, "POST", "/v1/chat/sessions/"+r.session("Authorization", as)+"/messages", map[string]any{"content": "When?"}, "Authorization", as)
	}
	one, two := ask("learner"), ask("learner")
	one.until("delta")
	two.until("delta")
	if three := ask("learner"); three.StatusCode != 429 || three.Header.Get("Retry-After") == "" {
		t.Errorf("a third stream of a person: %d", three.StatusCode)
	}
	program := ask("program")
	program.until("delta")
	if other := ask(""); other.StatusCode != 429 {
		t.Errorf("a fourth stream of an organisation: %d", other.StatusCode)
	}
	if other := ask("stranger"); other.StatusCode != 200 {
		t.Errorf("another organisation's: %d", other.StatusCode)
	}
	one.leave() // its place is free, though its answer goes on
	eventually(t, func() bool { return ask("learner").StatusCode == 200 })
	close(goOn)
	eventually(t, func() bool { // at the end of all, nothing is counted
		r.guard.readers.mu.Lock()
		defer r.guard.readers.mu.Unlock()
		return len(r.guard.readers.taken) == 0
	})
}

// Who has as many sessions as they may have is told what to do, and can do it; a fork is
// one of them, and the same request sent again is not.
func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(d *Deps) { d.Limits = Limits{SessionsPerUser: 2, SessionsPerOrganization: 3} })
	refused := func(a edgetest.Answer, words string) {
		t.Helper()
		if p := edgetest.Into[edge.Problem](a.Want(429)); !strings.Contains(p.Detail, words) {
			t.Errorf("%+v", p)
		}
	}
	begin := func(as string, headers ...string) edgetest.Answer {
		return r.do("POST", "/v1/chat/sessions", map[string]any{}, append(headers, "Authorization", as)...)
	}
	ses := r.session()
	r.send(ses, map[string]any{"content": "When?"})
	begin("", "Idempotency-Key", "one").Want(201)
	begin("", "Idempotency-Key", "one").Want(201)
	refused(begin(""), "You have 2 conversations")
	at := "/v1/chat/sessions/" + ses + "/checkpoints"
	refused(r.do("POST", at+"/"+edgetest.Into[edge.List[conversation.Checkpoint]](r.do("GET", at, nil).Want(200)).Items[0].ID+"/forks", nil), "Delete one")
	begin("program").Want(201)
	refused(begin("program"), "Your organization has 3 conversations")
	begin("stranger").Want(201)
	r.do("DELETE", "/v1/chat/sessions/"+ses, nil).Want(204)
	begin("").Want(201)
}

// Who is refused begins nothing.
func TestARefusalBeginsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(d *Deps) { d.Limits = Limits{RequestsPerMinutePerUser: 1} })
	ses := r.session()
	r.send(ses, map[string]any{"content": "When?"})
	r.do("POST", "/v1/chat/sessions/"+ses+"/messages", map[string]any{"content": "Where?"}).Want(429)
	at := "/v1/chat/sessions/" + ses + "/checkpoints"
	r.do("POST", at+"/"+edgetest.Into[edge.List[conversation.Checkpoint]](r.do("GET", at, nil).Want(200)).Items[0].ID+"/forks", nil).Want(429)
	if n := r.find(`SELECT count(*)::text FROM messages`); n != "2" || r.model.asked != 1 {
		t.Errorf("%s messages, %d calls", n, r.model.asked)
	}
}

func TestNegativeLimitsAreWrong(t *testing.T) {
	t.Parallel()
	if (Limits{}).check() != nil || (Limits{StreamsPerUser: -1}).check() == nil {
		t.Error("a limit below none is taken")
	}
}
