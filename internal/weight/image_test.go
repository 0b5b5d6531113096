package weight

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPlainImage runs each program of the plain target as its container does: alone in a
// root that it cannot write to, as nobody, with a /tmp.
func TestPlainImage(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds every function")
	}
	bubblewrap, err := exec.LookPath("bwrap")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("bubblewrap is missing: scripts/setup.sh test installs it")
		}
		t.Skip("bubblewrap is missing")
	}
	for name := range functions {
		if name == "render" || name == "ingest" {
			continue // their image has more beside them
		}
		t.Run(name, func(t *testing.T) {
			binary := build(t, name)
			port := freePort(t)
			env := append(slices.Clone(settings), fmt.Sprintf("PORT=%d", port), "GOOGLE_APPLICATION_CREDENTIALS=/etc/nobody.json")
			cmd := contained(t, bubblewrap, binary, env)
			var said strings.Builder
			cmd.Stdout, cmd.Stderr = &said, &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			defer func() { _ = cmd.Process.Kill(); <-ended }()
			url := fmt.Sprintf("http://127.0.0.1:%d/healthz", port)
			client := &http.Client{Timeout: 10 * time.Second}
			for {
				resp, err := client.Get(url)
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if resp.StatusCode != http.StatusOK {
						t.Errorf("it answers %d", resp.StatusCode)
					}
					return
				}
				select {
				case err := <-ended:
					ended <- err
					t.Fatalf("it ends: %v\n%s", err, said.String())
				case <-t.Context().Done():
					t.Fatal("it does not answer")
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
	t.Run("migrate", func(t *testing.T) {
		said, err := contained(t, bubblewrap, build(t, "migrate"), nil).CombinedOutput()
		if err == nil || !strings.Contains(string(said), "DATABASE_URL") {
			t.Errorf("without settings it says %q, %v", said, err)
		}
	})
}

// contained starts a program with what distroless has, and nothing else.
func contained(t *testing.T, bubblewrap, binary string, env []string) *exec.Cmd {
	t.Helper()
	nobody := filepath.Join(t.TempDir(), "nobody.json")
	if err := os.Link(credentials(t), nobody); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(nobody, 0o444); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bubblewrap,
		"--unshare-user", "--uid", "65532", "--gid", "65532", "--unshare-pid", "--unshare-ipc", "--die-with-parent", "--cap-drop", "ALL", "--new-session",
		"--ro-bind", binary, "/lectern", "--ro-bind", nobody, "/etc/nobody.json",
		"--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--remount-ro", "/", "/lectern")
	cmd.Env = env
	return cmd
}
