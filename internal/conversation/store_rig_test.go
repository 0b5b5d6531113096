package conversation

import (
	"cmp"
	"context"
	"encoding/json"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// shelf is a database with the people who keep sessions there.
type shelf struct {
	pool *pgxpool.Pool // sees everything
	db   *pgxpool.Pool // as chat has it
}

// Two of one organisation, one of another, and a program.
var (
	ann     = account.Principal{Organization: "org_local", User: "usr_ann", Role: account.Learner, SignIn: "sgn_ann"}
	bob     = account.Principal{Organization: "org_local", User: "usr_bob", Role: account.Owner, SignIn: "sgn_bob"}
	eve     = account.Principal{Organization: "org_eve", User: "usr_eve", Role: account.Owner, SignIn: "sgn_eve"}
	program = account.Principal{Organization: "org_local", User: "cred_1", Scopes: []string{account.Chat}}
)

const testModel, testProducer = "test-model", "prd_test"

func newShelf(t testing.TB) *shelf {
	t.Helper()
	pool := pgtest.New(t)
	s := &shelf{pool: pool, db: pgtest.As(t, pool, postgres.Tenant)}
	s.exec(t, `
		INSERT INTO organizations (organization_id, name) VALUES ('org_eve', 'Eve');
		INSERT INTO users (user_id, organization_id, name, role) VALUES
			('usr_ann', 'org_local', 'Ann', 'learner'), ('usr_bob', 'org_local', 'Bob', 'owner'), ('usr_eve', 'org_eve', 'Eve', 'owner');
		INSERT INTO courses (course_id, organization_id, title, created_by) VALUES ('crs_1', 'org_local', 'One', 'usr_bob'), ('crs_2', 'org_local', 'Two', 'usr_bob'), ('crs_e', 'org_eve', 'E', 'usr_eve');
		INSERT INTO modules (module_id, course_id, organization_id, title, position) VALUES ('mod_1', 'crs_1', 'org_local', 'M', 0);
		INSERT INTO lessons (lesson_id, module_id, course_id, organization_id, title, position) VALUES ('les_1', 'mod_1', 'crs_1', 'org_local', 'L', 0);`)
	return s
}

func (s *shelf) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := s.pool.Exec(context.Background(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func (s *shelf) number(t testing.TB, sql string, args ...any) (n int64) {
	t.Helper()
	if err := s.pool.QueryRow(context.Background(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// as is the context of a call by p.
func as(t testing.TB, p account.Principal) context.Context { return account.With(t.Context(), p) }

// tx runs fn in a transaction of p.
func (s *shelf) tx(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return postgres.InTx(ctx, s.db, fn)
}

func (s *shelf) session(t testing.TB, p account.Principal) Session {
	t.Helper()
	session, err := CreateSession(as(t, p), s.db, p, NewSession{})
	if err != nil {
		t.Fatal(err)
	}
	return session
}

// open opens a turn, as the one process that there is.
func (s *shelf) open(t testing.TB, p account.Principal, session string, in Prompt) (Turn, error) {
	t.Helper()
	return open(as(t, p), s.db, p, session, in, testProducer, Limits{}, testModel)
}

func (s *shelf) mustOpen(t testing.TB, p account.Principal, session string, in Prompt) Turn {
	t.Helper()
	turn, err := s.open(t, p, session, in)
	if err != nil {
		t.Fatal(err)
	}
	return turn
}

// end finishes a turn as complete, or as what o says.
func (s *shelf) end(t testing.TB, turn Turn, o Outcome) Message {
	t.Helper()
	o.State = cmp.Or(o.State, Complete)
	if o.State == Complete {
		o.Finish = cmp.Or(o.Finish, llm.Stop)
	}
	o.Model, o.PromptVersion = cmp.Or(o.Model, testModel), cmp.Or(o.PromptVersion, "p1")
	m, err := finish(as(t, turn.who), s.db, turn, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// say has a whole turn, and gives it with its answer.
func (s *shelf) say(t testing.TB, p account.Principal, session, content, answer string) (Turn, Message) {
	t.Helper()
	turn := s.mustOpen(t, p, session, Prompt{Content: content})
	return turn, s.end(t, turn, Outcome{Content: answer, Tokens: int64(len(answer)+3) / 4})
}

// every reads all messages of a session, page by page.
func (s *shelf) every(t testing.TB, p account.Principal, session string, limit int) (messages []Message) {
	t.Helper()
	for cursor := ""; ; {
		page, next, err := Messages(as(t, p), s.db, p, session, cursor, limit)
		if err != nil {
			t.Fatal(err)
		}
		if messages = append(messages, page...); next == "" {
			return messages
		}
		cursor = next
	}
}

func wantKind(t testing.TB, err error, kind fault.Kind) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("got %v (%v), want %v", err, fault.KindOf(err), kind)
	}
}

// contents are what messages say.
func contents(messages []Message) (said []string) {
	for _, m := range messages {
		said = append(said, m.Content)
	}
	return said
}

func encoded(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
