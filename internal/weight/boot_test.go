package weight

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// F34: whoever gives a function its identity, the metadata server or a token service, is
// silent, broken or away when it starts. It starts all the same and says that it is well:
// it asks for a token when it first needs one, and its platform does not restart it in a
// loop.
func TestBootWithoutAnIdentity(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds every function")
	}
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Metadata-Flavor", "Google")
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(broken.Close)
	away, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	away.Close()
	host := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }
	identities := map[string]string{
		"metadata silent": "GCE_METADATA_HOST=" + host(silent),
		"metadata broken": "GCE_METADATA_HOST=" + host(broken),
		"metadata away":   "GCE_METADATA_HOST=" + away.Addr().String(),
		"STS silent":      "GOOGLE_APPLICATION_CREDENTIALS=" + federated(t, silent.URL),
	}
	for name := range functions {
		t.Run(name, func(t *testing.T) {
			binary := build(t, name)
			for identity, setting := range identities {
				t.Run(identity, func(t *testing.T) {
					t.Parallel() // one that waits leaves the processor to the others
					if said, err := boots(t, binary, setting); err != nil {
						t.Errorf("%v\n%s", err, said)
					}
				})
			}
		})
	}
}

// federated are the credentials of an account of somewhere else, which a token service
// is asked about.
func federated(t *testing.T, url string) string {
	t.Helper()
	dir := t.TempDir()
	token, file := filepath.Join(dir, "token"), filepath.Join(dir, "federated.json")
	text := fmt.Sprintf(`{"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
		"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": %q, "credential_source": {"file": %q}}`, url+"/v1/token", token)
	for name, text := range map[string]string{token: "nothing", file: text} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

// boots starts a function as it is deployed, without any emulator, until it says that it
// is well.
func boots(t *testing.T, binary, identity string) (said string, err error) {
	t.Helper()
	port := freePort(t)
	cmd := exec.Command(binary)
	for _, setting := range settings {
		if !strings.Contains(setting, "_EMULATOR_HOST=") {
			cmd.Env = append(cmd.Env, setting)
		}
	}
	cmd.Env = append(cmd.Env, fmt.Sprintf("PORT=%d", port), "PATH="+os.Getenv("PATH"), "HOME="+t.TempDir(), identity,
		"CLOUDSQL_INSTANCE=demo-lectern:europe-west1:lectern", "TELEMETRY_PROJECT=demo-lectern")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() {
		_ = cmd.Process.Kill()
		<-ended
		said = out.String()
	}()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			return "", fmt.Errorf("it ended: %w", err)
		default:
		}
		resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/healthz", port))
		if err != nil {
			continue
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return "", nil
		}
	}
	return "", fmt.Errorf("it does not say that it is well")
}
