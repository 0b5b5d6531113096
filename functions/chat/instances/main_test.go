// Package instances shows the chat as several processes on one database: its program
// as it is deployed, killed, frozen and told to end while readers come and go.
package instances

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/functions/chat"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/openai/openaitest"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// asChat makes a copy of this program a chat.
const asChat = "LECTERN_INSTANCE"

func TestMain(m *testing.M) {
	if os.Getenv(asChat) != "" {
		edge.Main(chat.Build)
		return
	}
	code := m.Run()
	for _, dir := range scratch {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// schedules is how many a test runs; LECTERN_SCHEDULES says another number.
func schedules(usual int) int {
	if n, err := strconv.Atoi(os.Getenv("LECTERN_SCHEDULES")); err == nil {
		return n
	}
	return usual
}

// house is a database and a model's server, on which instances work.
type house struct {
	t      *testing.T
	db     *pgxpool.Pool
	model  *httptest.Server
	secret string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, db: pgtest.New(t)}
	hasher, err := account.NewHasher(account.HashOptions{})
	if err != nil {
		t.Fatal(err)
	}
	credential := account.NewCredential{AuthID: "cred_1", Label: "test", Scopes: []string{account.Chat}}
	secret, err := credential.SetSecret(t.Context(), hasher, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := credential.Insert(postgres.AnyOrganization(t.Context()), h.db, "org_local", "user_local"); err != nil {
		t.Fatal(err)
	}
	h.secret = string(secret)
	h.model = httptest.NewServer(&openaitest.Script{Forget: true, Reply: counting})
	t.Cleanup(h.model.CloseClientConnections)
	return h
}

var (
	wish   = regexp.MustCompile(`(\d+) words, one every (\d+) ms`)
	spoken = regexp.MustCompile(`w(\d+)\b`)
)

// words are what the model says when it is asked for so many, from the first on.
func words(first, n int) []string {
	var all []string
	for i := first; i < n; i++ {
		all = append(all, fmt.Sprintf("w%d ", i))
	}
	return all
}

// counting is a model that counts, and goes on counting where it is shown an answer
// that was begun.
func counting(q openaitest.Request) openaitest.Reply {
	messages, _ := q.Body["messages"].([]any)
	n, pause, first, space := 0, 0, 0, ""
	for _, m := range messages {
		message, _ := m.(map[string]any)
		text, _ := message["content"].(string)
		if asked := wish.FindStringSubmatch(text); asked != nil && message["role"] == "user" {
			n, _ = strconv.Atoi(asked[1])
			pause, _ = strconv.Atoi(asked[2])
		}
		if said := spoken.FindAllStringSubmatch(text, -1); said != nil {
			last, _ := strconv.Atoi(said[len(said)-1][1])
			first, space = last+1, ""
			if !strings.HasSuffix(text, " ") {
				space = " "
			}
		}
	}
	pieces := words(first, n)
	if len(pieces) == 0 {
		pieces = []string{""}
	}
	pieces[0] = space + pieces[0]
	return openaitest.Reply{Pieces: pieces, Every: time.Duration(pause) * time.Millisecond}
}

func (h *house) session() string {
	h.t.Helper()
	s := id.New(id.Session)
	if _, err := h.db.Exec(context.Background(), `INSERT INTO sessions (session_id, organization_id, user_id, task) VALUES ($1, 'org_local', 'cred_1', 'tutor')`, s); err != nil {
		h.t.Error(err)
	}
	return s
}

// instance is a running chat.
type instance struct {
	cmd    *exec.Cmd
	url    string
	log    bytes.Buffer
	exited chan struct{}
	at     time.Time // when it did
}

// start starts an instance, on another port when somebody took the first meanwhile.
func (h *house) start() *instance {
	h.t.Helper()
	self, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	return h.run(self)
}

// run starts a program that is a chat, with further settings.
func (h *house) run(program string, settings ...string) *instance {
	h.t.Helper()
	for range 5 {
		if i := h.tryStart(program, settings); i != nil {
			return i
		}
	}
	h.t.Error("the chat does not start")
	return nil
}

func (h *house) tryStart(program string, settings []string) *instance {
	h.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	addr := listener.Addr().(*net.TCPAddr)
	_ = listener.Close()
	i := &instance{cmd: exec.Command(program), url: "http://" + addr.String(), exited: make(chan struct{})}
	i.cmd.Env = append(os.Environ(), asChat+"=1", "PORT="+strconv.Itoa(addr.Port),
		"DATABASE_URL="+h.db.Config().ConnString(), "COOKIE_KEYS=0123456789abcdef0123456789abcdef",
		"OPENAI_BASE_URL="+h.model.URL+"/v1", "OPENAI_API_KEY=none", "OPENAI_MODEL=counting",
		`PRICES={"counting":{"kind":"tokens","input":0.001,"output":0.001}}`, "BUDGET_SOFT_MICROS=100000000000", "BUDGET_HARD_MICROS=100000000000",
		"CHAT_ANSWERS_PER_USER=0", "CHAT_ANSWERS_PER_ORGANIZATION=0", "CHAT_REQUESTS_PER_MINUTE_PER_USER=0", "CHAT_REQUESTS_PER_MINUTE_PER_ORGANIZATION=0",
		"CHAT_TOKENS_PER_DAY_PER_USER=0", "CHAT_TOKENS_PER_DAY_PER_ORGANIZATION=0", "CHAT_STREAMS_PER_USER=0", "CHAT_STREAMS_PER_ORGANIZATION=0")
	i.cmd.Env = append(i.cmd.Env, settings...)
	i.cmd.Stderr = &i.log
	i.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // whose end would be the child's
		err := i.cmd.Start()
		started <- err
		if err == nil {
			_ = i.cmd.Wait()
			i.at = time.Now()
		}
		close(i.exited)
	}()
	if err := <-started; err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		_ = i.cmd.Process.Kill()
		<-i.exited
		if h.t.Failed() && os.Getenv("LECTERN_VERBOSE") != "" {
			h.t.Log(i.log.String())
		}
	})
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get(i.url + "/healthz")
		if err == nil {
			_ = resp.Body.Close()
			return i
		}
		select {
		case <-i.exited:
			return nil
		default:
		}
		if time.Since(began) > time.Minute {
			h.t.Errorf("the chat does not answer: %v", err)
			return nil
		}
	}
}

func (i *instance) signal(s syscall.Signal) { _ = i.cmd.Process.Signal(s) }

// event is one event as it came.
type event struct{ id, name, data string }

var errSilent = errors.New("nothing has come for too long")

// listen reads an answer's events until give returns an error or the stream ends, or
// nothing has come for some seconds. A question that is empty follows after the event last.
func (h *house) listen(ctx context.Context, i *instance, session, question, last string, give func(event) error) (status int, err error) {
	return h.listenFor(ctx, 4*time.Second, i, session, question, last, give)
}

// patient is for who does not come again: on a busy machine seconds pass without an event.
const patient = time.Minute

func (h *house) listenFor(ctx context.Context, patience time.Duration, i *instance, session, question, last string, give func(event) error) (status int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(patience, func() { cancel(errSilent) })
	defer silence.Stop()
	method, path, body := "GET", "/stream", ""
	if question != "" {
		method, path, body = "POST", "/messages", question
	}
	q, err := http.NewRequestWithContext(ctx, method, i.url+"/v1/chat/sessions/"+session+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	q.Header.Set("Authorization", "Bearer cred_1."+h.secret)
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Accept", "text/event-stream")
	if last != "" {
		q.Header.Set("Last-Event-ID", last)
	}
	resp, err := client.Do(q)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, read(resp.Body, func(e event) error {
		silence.Reset(patience)
		return give(e)
	})
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
