package house_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lectern.dev/lectern/functions/local/house"
	"lectern.dev/lectern/internal/openai/openaitest"
)

// The probe finds nothing wrong with this house, whose first model is down: the backup
// answers, piece by piece.
func TestProbe(t *testing.T) {
	words := make([]string, 40)
	for i := range words {
		words[i] = "word "
	}
	first := openaitest.New(t, openaitest.Error(http.StatusServiceUnavailable, "", "down"))
	second := openaitest.NewFunc(t, func(q openaitest.Request) openaitest.Reply {
		if strings.Contains(fmt.Sprint(q.Body["messages"]), "from one to two hundred") { // is to be there still when it is met, and stopped
			return openaitest.Reply{Repeat: 100, Text: "word ", Every: 100 * time.Millisecond}
		}
		return openaitest.Reply{Pieces: words, Every: 10 * time.Millisecond}
	})
	for name, value := range map[string]string{
		"OPENAI_BASE_URL": first.URL + "/v1", "OPENAI_MODEL": "the-first",
		"BACKUP_BASE_URL": second.URL + "/v1", "BACKUP_MODEL": "the-backup",
	} {
		t.Setenv(name, value)
	}
	h := open(t, house.Options{})
	program := filepath.Join(t.TempDir(), "probe")
	build := exec.Command("go", "build", "-o", program, "../../chat/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as lint has compiled it
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), program, "-url", h.URL(), "-n", "8", "-c", "2", "-json", "-expect-model", "the-backup")
	cmd.Env = append(os.Environ(), "PROBE_KEY="+token(t, h))
	var out, told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &told
	err := cmd.Run()
	var r struct {
		Held   bool
		Checks []struct{ Name, Status, Note string }
		Speed  struct{ Answers, Failed int }
	}
	if json.Unmarshal(out.Bytes(), &r) != nil || err != nil || !r.Held || r.Speed.Answers != 8 || r.Speed.Failed != 0 {
		t.Errorf("%v: %s", err, told.String())
	}
	if i := slices.IndexFunc(r.Checks, func(c struct{ Name, Status, Note string }) bool { return c.Status != "pass" }); i >= 0 {
		t.Errorf("%+v", r.Checks[i])
	}
	if n := strings.Count(told.String(), "\n"); n < len(r.Checks) {
		t.Errorf("%d lines tell of %d checks", n, len(r.Checks))
	}
}
