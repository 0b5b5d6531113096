package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test's own program, started again, is the command.
func TestMain(m *testing.M) {
	if os.Getenv("LECTERN_TEST_MAIN") != "" || os.Getenv("LECTERN_EXTRACT") != "" {
		main()
	}
	os.Exit(m.Run())
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "LECTERN_TEST_MAIN=1", "FIRESTORE_EMULATOR_HOST=", "PORT=")
	cmd.Dir = t.TempDir()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	return cmd
}

func TestUsage(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, data := range map[string]string{"a.md": "# A", "b.exe": "x", "full/letter": "dear"} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good := filepath.Join(folder, "a.md")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"an unknown flag":     {[]string{"-frob"}, "flag provided but not defined: -frob"},
		"no flag":             {[]string{good}, "documents are given with -from"},
		"a missing file":      {[]string{"-from", filepath.Join(folder, "none.pdf")}, "cannot be read: no such file or directory"},
		"a strange file":      {[]string{"-from", filepath.Join(folder, "b.exe")}, "is not a document that can be read"},
		"someone else's -out": {[]string{"-from", good, "-out", filepath.Join(folder, "full")}, "choose another -out folder"},
		"too many lessons":    {[]string{"-from", good, "-lessons", "99"}, "-lessons is between 1 and 30"},
		"lessons in words":    {[]string{"-lessons", "many"}, `invalid value "many"`},
		"a strange address":   {[]string{"-addr", "here"}, `-addr "here" is not HOST:PORT`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t, c.args...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			err := cmd.Run()
			if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(stderr.String(), c.want) || strings.Count(stderr.String(), "\n") != 1 || stdout.Len() != 0 {
				t.Errorf("%v\nstdout: %s\nstderr: %s", err, stdout.String(), stderr.String())
			}
			if entries, _ := os.ReadDir(cmd.Dir); len(entries) != 0 {
				t.Errorf("it left %v behind", entries)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	out, err := command(t, "-help").Output()
	if err != nil || !strings.Contains(string(out), "-from") {
		t.Errorf("%v: %s", err, out)
	}
}

// It starts, signs its owner in by the link that it prints, once, keeps a second one
// out of its folder, stops on SIGTERM, and finds everything again.
func TestServe(t *testing.T) {
	t.Parallel()
	needPostgres(t)
	data := dataFolder(t)
	first := start(t, data)
	if status, _ := first.call(t, "POST", "/v1/courses", `{"title":"Kept"}`, nil); status != http.StatusUnauthorized {
		t.Errorf("somebody unknown makes a course: %d", status)
	}
	cookie := first.signIn(t, first.link, http.StatusOK)
	first.signIn(t, first.link, http.StatusUnauthorized)
	if status, answer := first.call(t, "POST", "/v1/courses", `{"title":"Kept"}`, cookie); status != http.StatusCreated {
		t.Errorf("the owner makes a course: %d: %s", status, answer)
	}
	if status, answer := first.call(t, "GET", "/v1/auth/me", "", cookie); !strings.Contains(answer, `"role":"root"`) {
		t.Errorf("the owner is %d: %s", status, answer)
	}
	another := first.anotherLink(t)
	first.signIn(t, another, http.StatusOK)

	second := command(t, "-addr", "127.0.0.1:0", "-data", data, "-no-sample")
	var stderr bytes.Buffer
	second.Stderr = &stderr
	if err := second.Run(); second.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), "is used by another Lectern") || strings.Count(stderr.String(), "\n") != 1 {
		t.Errorf("a second one: %v, %s", err, stderr.String())
	}

	first.stop(t)
	again := start(t, data)
	if status, answer := again.call(t, "GET", "/v1/courses", "", cookie); !strings.Contains(answer, "Kept") {
		t.Errorf("still signed in, the owner finds %d: %s", status, answer)
	}
	again.signIn(t, strings.Replace(another, first.url, again.url, 1), http.StatusUnauthorized)
	again.signIn(t, again.link, http.StatusOK)
	again.stop(t)
}

// signIn comes with a printed link, as its page does, and gives the cookie.
func (r *running) signIn(t *testing.T, link string, want int) *http.Cookie {
	t.Helper()
	page, token, ok := strings.Cut(link, "?token=")
	if !ok || page != r.url+"/sign-in/link" {
		t.Fatalf("the link is %q", link)
	}
	res, err := http.Post(r.url+"/v1/auth/sign-in/link", "application/json", strings.NewReader(`{"token":"`+token+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != want {
		t.Fatalf("the link gives %s, want %d", res.Status, want)
	}
	for _, c := range res.Cookies() {
		if c.Name == "lectern" {
			return c
		}
	}
	return nil
}

func (r *running) call(t *testing.T, method, path, body string, cookie *http.Cookie) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if cookie != nil {
		req.AddCookie(cookie)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(all)
}

type running struct {
	cmd    *exec.Cmd
	url    string
	link   string // that signs the owner in
	stdin  io.Writer
	stdout *bufio.Reader
	stderr bytes.Buffer
}

func start(t *testing.T, data string) *running {
	t.Helper()
	r := &running{cmd: command(t, "-addr", "127.0.0.1:0", "-data", data, "-no-sample")}
	r.cmd.Stderr = &r.stderr
	stdout, err := r.cmd.StdoutPipe()
	if err == nil {
		r.stdin, err = r.cmd.StdinPipe()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.cmd.Process.Signal(syscall.SIGTERM); _ = r.cmd.Wait() })
	r.stdout = bufio.NewReader(stdout)
	r.says(t, "listening on %s\n", &r.url)
	r.says(t, "sign in: %s\n", &r.link)
	r.says(t, " (once,")
	return r
}

// says reads the next line.
func (r *running) says(t *testing.T, form string, into ...any) {
	t.Helper()
	line, err := r.stdout.ReadString('\n')
	if _, scanErr := fmt.Sscanf(line, form, into...); scanErr != nil {
		t.Fatalf("it said %q, %v: %s", line, err, r.stderr.String())
	}
}

func (r *running) anotherLink(t *testing.T) (link string) {
	t.Helper()
	if _, err := io.WriteString(r.stdin, "\n"); err != nil {
		t.Fatal(err)
	}
	r.says(t, "sign in: %s\n", &link)
	return link
}

func (r *running) stop(t *testing.T) {
	t.Helper()
	begin := time.Now()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("it ended with %v: %s", err, r.stderr.String())
	}
	if took := time.Since(begin); tooLong(took, r.stderr.String()) {
		t.Errorf("it took %v to stop: %s", took, r.stderr.String())
	}
}

// tooLong tells that who was told to stop took more time than a platform gives, 9 s on a
// machine that does nothing else, or cut what was under way.
func tooLong(took time.Duration, said string) bool {
	return took > time.Minute || strings.Contains(said, "cut at the end of the drain")
}

// dataFolder is one that the database's own user may enter.
func dataFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "lectern-local-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder, "data")
}

func needPostgres(t *testing.T) {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if _, err := exec.LookPath("initdb"); err == nil || len(found) > 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("Postgres is not installed")
	}
	t.Skip("Postgres is not installed")
}
