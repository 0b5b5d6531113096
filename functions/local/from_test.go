package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"lectern.dev/lectern/functions/local/commission"
	"lectern.dev/lectern/internal/source/sample"
)

// A document becomes a course with films, in a folder that was not there before.
func TestFrom(t *testing.T) {
	t.Parallel()
	needPostgres(t)
	need(t, "ffmpeg", "espeak-ng")
	folder := t.TempDir()
	document := filepath.Join(folder, "networks.md")
	// Two of its sections: enough to write and film, and quick.
	text := firstSections(string(sample.Document), 2)
	heading, _, _ := strings.Cut(text, "\n")
	title := strings.TrimPrefix(heading, "# ")
	if err := os.WriteFile(document, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "-data", dataFolder(t), "-from", document, "-out", filepath.Join(folder, "out"), "-lessons", "1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, stdout.String(), stderr.String())
	}
	if !strings.Contains(stdout.String(), "Filming: 100 %") || strings.Contains(stdout.String(), "\r") {
		t.Errorf("it said:\n%s", stdout.String())
	}

	out := filepath.Join(folder, "out")
	var whole commission.Exported
	encoded, err := os.ReadFile(filepath.Join(out, "course.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encoded, &whole); err != nil {
		t.Fatal(err)
	}
	if whole.Title != title || len(whole.Modules) == 0 || len(whole.Modules[0].Lessons) != 1 || len(whole.Sources) != 1 {
		t.Fatalf("course.json: %.500s", encoded)
	}
	lesson := whole.Modules[0].Lessons[0]
	if len(lesson.Slides) == 0 || len(lesson.Questions) == 0 || lesson.Video == nil || lesson.Number != 1 {
		t.Errorf("the lesson: %+v", lesson)
	}
	stem := strings.TrimSuffix(lesson.Video.URL, ".mp4")
	if !regexp.MustCompile(`^01-[a-z0-9-]+$`).MatchString(stem) {
		t.Errorf("the video is called %s", lesson.Video.URL)
	}
	for name, begins := range map[string]string{
		"course.md": "# " + title + "\n", stem + ".vtt": "WEBVTT", stem + ".jpg": "\xff\xd8\xff", stem + ".md": "#", stem + ".mp4": "",
	} {
		content, err := os.ReadFile(filepath.Join(out, name))
		if err != nil || !strings.HasPrefix(string(content), begins) || len(content) < 100 {
			t.Errorf("%s: %d bytes, %v", name, len(content), err)
		}
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 2 {
		t.Errorf("beside the folder lies something else: %v", entries)
	}
}

// What cannot be read is told in one sentence, and nothing is written.
func TestFromFails(t *testing.T) {
	t.Parallel()
	needPostgres(t)
	folder := t.TempDir()
	document := filepath.Join(folder, "broken.pdf")
	if err := os.WriteFile(document, []byte("%PDF-1.7 and nothing else"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "-data", dataFolder(t), "-from", document, "-out", filepath.Join(folder, "out"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	if cmd.ProcessState.ExitCode() != 1 || !strings.HasPrefix(stderr.String(), "broken.pdf: ") || strings.Count(stderr.String(), "\n") != 1 {
		t.Errorf("%v: %s", err, stderr.String())
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 1 {
		t.Errorf("it left something: %v", entries)
	}
}

// Told to stop, it leaves no job behind that the next start would go on with.
func TestFromStops(t *testing.T) {
	t.Parallel()
	needPostgres(t)
	for _, stage := range []string{"Reading", "Filming"} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			stopAt(t, stage)
		})
	}
}

func stopAt(t *testing.T, stage string) {
	t.Helper()
	folder, data := t.TempDir(), dataFolder(t)
	document := filepath.Join(folder, "networks.md")
	if err := os.WriteFile(document, sample.Document, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "-data", data, "-from", document, "-out", filepath.Join(folder, "out"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	buffer := make([]byte, 256)
	for !strings.Contains(said.String(), stage) {
		n, err := stdout.Read(buffer)
		if err != nil {
			t.Fatalf("%v: %s%s", err, said.String(), stderr.String())
		}
		said.Write(buffer[:n])
	}
	begin := time.Now()
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait()
	if cmd.ProcessState.ExitCode() != 1 || tooLong(time.Since(begin), stderr.String()) || !strings.Contains(stderr.String(), "stopped before the course was done") {
		t.Errorf("code %d after %v: %s", cmd.ProcessState.ExitCode(), time.Since(begin), stderr.String())
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 1 {
		t.Errorf("it left something: %v", entries)
	}
}

func firstSections(text string, count int) string {
	parts := strings.SplitAfterN(text, "\n## ", count+2)
	return strings.TrimSuffix(strings.Join(parts[:count+1], ""), "## ")
}

func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
}
