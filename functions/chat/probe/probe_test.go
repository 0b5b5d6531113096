package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// probing runs the command against a server, and gives its exit code, what it prints
// as JSON, and what it told while it ran.
func probing(t *testing.T, url string, more ...string) (code int, r result, told string) {
	t.Helper()
	var out, errs bytes.Buffer
	env := map[string]string{"PROBE_KEY": "key", "PROBE_OTHER_KEY": "other"}
	code = run(t.Context(), append([]string{"-url", url, "-json", "-n", "0", "-timeout", "20s"}, more...), func(k string) string { return env[k] }, &out, &errs)
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v: %s%s", err, out.String(), errs.String())
	}
	return code, r, errs.String()
}

// of gives the checks that came out in a way.
func (r result) of(status string) (names []string) {
	for _, c := range r.Checks {
		if c.Status == status {
			names = append(names, c.Name)
		}
	}
	return names
}

func (r result) note(name string) string {
	for _, c := range r.Checks {
		if c.Name == name {
			return c.Note
		}
	}
	return ""
}

func TestASoundChat(t *testing.T) {
	t.Parallel()
	f, url := newFake(t, "")
	picture := filepath.Join(t.TempDir(), "picture.svg")
	code, r, told := probing(t, url, "-n", "7", "-c", "3", "-expect-model", "fake-1", "-svg", picture)
	if code != exitHeld || !r.Held || len(r.of(passed)) != len(checks)+1 {
		t.Errorf("exit %d: failed %q, skipped %q\n%s", code, r.of(failed), r.of(skip), told)
	}
	if r.Speed == nil || r.Speed.Answers != 7 || r.Speed.Failed != 0 || r.Speed.FirstText.P50 <= 0 || r.Speed.Last.Max < r.Speed.FirstText.P50 || r.Speed.PerSecond <= 0 || r.Speed.Tokens != 49 {
		t.Errorf("%+v", r.Speed)
	}
	if r.Answers > checkAnswers+7 || f.answers > r.Answers || len(f.sessions) != 0 {
		t.Errorf("%d answers were said to be asked for, and %d were; %d sessions are left", r.Answers, f.answers, len(f.sessions))
	}
	svg, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	for decoder := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := decoder.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("the picture is no XML: %v", err)
		}
	}
}

// What a chat can do wrong, and the check that sees it.
func TestFaultsAreSeen(t *testing.T) {
	t.Parallel()
	for fault, seenBy := range map[string]string{
		"open to all":                      "alive",
		"a task is missing":                "tasks",
		"bytes are lost":                   "stream",
		"bytes are lost later":             "resume",
		"an event comes twice":             "resume",
		"an event is lost":                 "resume",
		"every resumption begins anew":     "resume",
		"ids are forgotten":                "stream",
		"ids are not in order":             "stream",
		"cut, and said to be whole":        "stream",
		"complete with other words":        "stream",
		"the connection breaks":            "stream",
		"not JSON":                         "stream",
		"not an event stream":              "stream",
		"streams may be cached":            "stream",
		"answers are not stored":           "stored",
		"no checkpoints":                   "stored",
		"the same id is another message":   "same id",
		"an answer ends with its reader":   "disconnect",
		"two answers at once":              "conflict",
		"the running answer is not named":  "conflict",
		"nothing is stopped":               "stop",
		"what was stopped is lost":         "stop",
		"a replay is the old answer":       "replay",
		"a fork is empty":                  "fork",
		"others may look":                  "not found",
		"no finish reason":                 "completion",
		"chunks without an end":            "chunks",
		"chunks without usage":             "chunks",
		"chunks without [DONE]":            "chunks",
		"the session is not looked at":     "bound",
		"no models":                        "models",
		"errors of another shape":          "refusals",
		"any model is known":               "refusals",
		"nothing is deleted":               "tidy",
		"a limit that does not":            "stream",
		"the budget is spent":              "stream",
		"the first model answers, not its": "backup",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			_, url := newFake(t, fault)
			model := "fake-1"
			if seenBy == "backup" {
				model = "fake-2"
			}
			timeout := "20s"
			if fault == "nothing is stopped" || fault == "the same id is another message" {
				timeout = "4s" // nothing else ends an answer there
			}
			code, r, told := probing(t, url, "-expect-model", model, "-timeout", timeout)
			if code != exitFailed || r.Held || !slices.Contains(r.of(failed), seenBy) {
				t.Errorf("exit %d: failed %q, skipped %q\n%s", code, r.of(failed), r.of(skip), told)
			}
		})
	}
}

// A limit is waited for, and said.
func TestALimitIsWaitedFor(t *testing.T) {
	t.Parallel()
	_, url := newFake(t, "a limit that passes")
	code, _, told := probing(t, url)
	if code != exitHeld || !strings.Contains(told, "asked to wait 1s: 429: You have asked too often.") {
		t.Errorf("exit %d\n%s", code, told)
	}
}

// When the budget is spent, that is said, and nothing more is asked.
func TestASpentBudget(t *testing.T) {
	t.Parallel()
	f, url := newFake(t, "the budget is spent")
	code, r, _ := probing(t, url, "-n", "20")
	if code != exitFailed || !strings.Contains(r.Stopped, "402") || r.Speed != nil || f.answers != 1 || !strings.Contains(r.note("disconnect"), "budget is spent") {
		t.Errorf("exit %d, %q, %d answers were asked for", code, r.Stopped, f.answers)
	}
}

// What cannot be tried is skipped, and says why.
func TestWhatCannotBeTried(t *testing.T) {
	t.Parallel()
	_, url := newFake(t, "stopped is said to be complete")
	code, r, _ := probing(t, url)
	if got := r.of(skip); code != exitHeld || !slices.Equal(got, []string{"stop", "backup"}) {
		t.Errorf("exit %d, skipped %q, failed %q", code, got, r.of(failed))
	}
	p := newProbe(options{}, io.Discard)
	p.silence = 20 * time.Second
	if _, err := heartbeats(t.Context(), p); err == nil {
		t.Error("a silent stream is let pass")
	}
}

// Interrupted, it says so, fails, and deletes what it has made.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	f, url := newFake(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	told := writer(func(line string) {
		if strings.Contains(line, "stored") {
			cancel()
		}
	})
	code := run(ctx, []string{"-url", url, "-key", "key", "-json"}, func(string) string { return "" }, &out, told)
	if code != exitFailed || !strings.Contains(out.String(), "interrupted") || len(f.sessions) != 0 {
		t.Errorf("exit %d, %d sessions are left: %s", code, len(f.sessions), out.String())
	}
}

type writer func(string)

func (w writer) Write(b []byte) (int, error) {
	w(string(b))
	return len(b), nil
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for line, said := range map[string]string{
		"":                                    "-url must say",
		"-url ftp://x":                        "-url must say",
		"-url http://x -nonsense":             "-nonsense",
		"-url http://x extra":                 `"extra" is no flag`,
		"-url http://x -n 200":                "209 answers would be asked for, more than -max-calls 100",
		"-url http://x -n -1":                 "-n must not be negative",
		"-url http://x -c 0":                  "must be more than 0",
		"-url http://x -n 10 -max-calls 17":   "19 answers",
		"-url http://x -n 10 -timeout -1s":    "must be more than 0",
		"-url http://x -n 10 -max-tokens 0":   "must be more than 0",
		"-url http://x -n 10 -max-calls five": "invalid value",
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), strings.Fields(line), func(string) string { return "key" }, &out, &errs); code != exitUsage || !strings.Contains(errs.String(), said) || out.Len() > 0 {
			t.Errorf("%s: exit %d: %s", line, code, errs.String())
		}
	}
	var errs bytes.Buffer
	if code := run(t.Context(), []string{"-url", "http://x"}, func(string) string { return "" }, io.Discard, &errs); code != exitUsage || !strings.Contains(errs.String(), "PROBE_KEY") {
		t.Errorf("without a key: exit %d", code)
	}
	if code := run(t.Context(), []string{"-h"}, func(string) string { return "" }, io.Discard, &errs); code != exitHeld {
		t.Errorf("-h: exit %d", code)
	}
}

// For people: a line for each check, the figures and the plot.
func TestText(t *testing.T) {
	t.Parallel()
	_, url := newFake(t, "no models")
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"-url", url, "-n", "5"}, func(k string) string { return map[string]string{"PROBE_KEY": "key"}[k] }, &out, &errs)
	if code != exitFailed || errs.Len() > 0 {
		t.Errorf("exit %d: %s", code, errs.String())
	}
	for _, want := range []string{"at most 9 answers, then 5 answers, 3 at a time", "PASS   resume", "FAIL   models", "SKIP   backup", "first text", "p99", "█", "Not everything held."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	var times []time.Duration
	for n := 200; n > 0; n-- {
		times = append(times, time.Duration(n)*time.Millisecond)
	}
	if got := spreadOf(times); got != (spread{100, 180, 198, 200}) {
		t.Errorf("%+v", got)
	}
	if got := histogram(times); strings.Count(got, "\n") != 10 {
		t.Error(got)
	}
	if got := histogram([]time.Duration{time.Second, time.Second}); !strings.Contains(got, "1000.00 ms") {
		t.Error(got)
	}
}
