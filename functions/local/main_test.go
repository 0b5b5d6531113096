package main

import (
	"bufio"
	"bytes"
	"fmt"
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

// It starts, answers, keeps a second one out of its folder, stops on SIGTERM, and
// finds everything again.
func TestServe(t *testing.T) {
	t.Parallel()
	needPostgres(t)
	data := dataFolder(t)
	first := start(t, data)
	made, err := http.Post(first.url+"/v1/courses", "application/json", strings.NewReader(`{"title":"Kept"}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = made.Body.Close()
	if made.StatusCode != http.StatusUnauthorized {
		t.Fatalf("somebody unknown made a course: %s", made.Status)
	}
	key, err := os.ReadFile(filepath.Join(data, "cookie-key"))
	if err != nil {
		t.Fatal(err)
	}

	second := command(t, "-addr", "127.0.0.1:0", "-data", data, "-no-sample")
	var stderr bytes.Buffer
	second.Stderr = &stderr
	if err := second.Run(); second.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), "is used by another Lectern") || strings.Count(stderr.String(), "\n") != 1 {
		t.Errorf("a second one: %v, %s", err, stderr.String())
	}

	first.stop(t)
	again := start(t, data)
	if kept, err := os.ReadFile(filepath.Join(data, "cookie-key")); err != nil || !bytes.Equal(key, kept) {
		t.Errorf("the second start signs everybody out: %v", err)
	}
	again.stop(t)
}

type running struct {
	cmd    *exec.Cmd
	url    string
	stderr bytes.Buffer
}

func start(t *testing.T, data string) *running {
	t.Helper()
	r := &running{cmd: command(t, "-addr", "127.0.0.1:0", "-data", data, "-no-sample")}
	r.cmd.Stderr = &r.stderr
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.cmd.Process.Signal(syscall.SIGTERM); _ = r.cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if _, scanErr := fmt.Sscanf(line, "listening on %s\n", &r.url); scanErr != nil {
		t.Fatalf("it said %q, %v: %s", line, err, r.stderr.String())
	}
	return r
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
	if took := time.Since(begin); took > 9*time.Second {
		t.Errorf("it took %v to stop", took)
	}
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
