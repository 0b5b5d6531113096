// Package weight measures what a deployable costs before it has done anything:
// the time from exec to the first answer, the memory it then holds, and its size.
package weight

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lectern.dev/lectern/internal/release/recipe"
)

// settings let every function start without an account: what it needs of Google
// Cloud it reaches at first use only. Functions ignore what they do not know.
var settings = []string{
	"DATABASE_URL=postgres:///lectern?host=/nonexistent",
	"GOOGLE_CLOUD_PROJECT=demo-lectern",
	"LOCATION=europe-west1",
	"BUCKET=lectern-media",
	"STORAGE_EMULATOR_HOST=127.0.0.1:9",
	"FIRESTORE_EMULATOR_HOST=127.0.0.1:9",
	"CLOUD_TASKS_EMULATOR_HOST=127.0.0.1:9",
	"GENERATE_URL=http://127.0.0.1:9", "INGEST_URL=http://127.0.0.1:9", "RENDER_URL=http://127.0.0.1:9",
	"COURSES_URL=http://127.0.0.1:9", "AUTH_URL=http://127.0.0.1:9", "CHAT_URL=http://127.0.0.1:9",
	"COOKIE_KEYS=0123456789abcdef0123456789abcdef", "PUBLIC_URL=http://127.0.0.1:9", "VERIFY_EMAIL=false",
	"OIDC_AUDIENCE=http://127.0.0.1:9", "OIDC_CALLERS=nobody@example.com",
}

// most is what a deployable may weigh: a measured figure and what it may grow by, about a
// seventh. All of it is paid for at each cold start. Time is not among it: machines are
// shared.
type most struct {
	resident int // MiB that an idle one holds
	packages int // that it links
	binary   int // MiB
}

// functions are the deployables.
var functions = map[string]most{
	"auth":     {resident: 30, packages: 690, binary: 27},  // 23 MiB, 604, 23.4: no SDK but Cloud SQL's
	"chat":     {resident: 40, packages: 790, binary: 59},  // 34 MiB, 694, 51.5: OpenAI's SDK, spans, the tokenizer's vocabulary
	"courses":  {resident: 45, packages: 970, binary: 36},  // 32 MiB, 852, 31.6: Cloud Storage, Firestore, Cloud Tasks
	"finalize": {resident: 45, packages: 1000, binary: 54}, // 38 MiB, 877, 46.8
	"generate": {resident: 38, packages: 800, binary: 48},  // 32 MiB, 696, 41.7: OpenAI's SDK alone takes 9 MiB of memory
	"ingest":   {resident: 45, packages: 920, binary: 35},  // 30 MiB, 803, 29.8
	"render":   {resident: 45, packages: 980, binary: 58},  // 39 MiB, 861, 50
	"sweep":    {resident: 45, packages: 980, binary: 34},  // 30 MiB, 858, 29.8
	"web":      {resident: 25, packages: 390, binary: 16},  // 20 MiB, 340, 13.5: no SDK at all
}

// BenchmarkColdStart reports the median time from exec to the first 200 of
// /healthz, the idle resident memory, and the size of the stripped binary and of the image.
func BenchmarkColdStart(b *testing.B) {
	for name := range functions {
		b.Run(name, func(b *testing.B) {
			binary := build(b, name)
			var starts []time.Duration
			var resident float64
			for b.Loop() {
				took, rss := start(b, binary)
				starts = append(starts, took)
				resident = max(resident, rss)
			}
			slices.Sort(starts)
			b.ReportMetric(float64(starts[len(starts)/2].Microseconds())/1000, "ms-to-200")
			b.ReportMetric(resident, "MiB-resident")
			b.ReportMetric(mebibytes(b, binary), "MiB-binary")
			if mib, err := imageMiB(b, name, binary); err == nil {
				b.ReportMetric(mib, "MiB-image")
			} else {
				b.Logf("the image's size is not known: %v", err)
			}
		})
	}
}

// TestIdleMemory holds the functions to their memory. Time is not asserted: this machine is shared.
func TestIdleMemory(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds every function")
	}
	for name, most := range functions {
		limit := most.resident
		t.Run(name, func(t *testing.T) {
			binary := build(t, name)
			_, rss := start(t, binary)
			for range 4 { // a busy machine has the collector come late: the least is what it needs
				if rss > float64(limit) {
					_, again := start(t, binary)
					rss = min(rss, again)
				}
			}
			t.Logf("%s: %.1f MiB resident", name, rss)
			if rss > float64(limit) {
				t.Errorf("%s holds %.1f MiB when idle; at most %d are allowed", name, rss, limit)
			}
		})
	}
}

// programs is where the functions' programs are, each made once for all tests.
var programs struct {
	folder string
	once   sync.Map // func() error by name
}

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "lectern-weight-")
	if err != nil {
		panic(err)
	}
	programs.folder = folder
	code := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

// build makes a function as its image holds it: by the Dockerfile's own line.
func build(tb testing.TB, name string) string {
	tb.Helper()
	binary := filepath.Join(programs.folder, name)
	once, _ := programs.once.LoadOrStore(name, sync.OnceValue(func() error {
		return recipe.Build(context.Background(), "../..", name, binary)
	}))
	if err := once.(func() error)(); err != nil {
		tb.Fatal(err)
	}
	return binary
}

// start executes a function and waits for its first 200.
func start(tb testing.TB, binary string) (took time.Duration, residentMiB float64) {
	tb.Helper()
	port := freePort(tb)
	cmd := exec.Command(binary)
	cmd.Env = append(slices.Clone(settings), fmt.Sprintf("PORT=%d", port), "PATH="+os.Getenv("PATH"),
		"GOOGLE_APPLICATION_CREDENTIALS="+credentials(tb))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	url := fmt.Sprintf("http://127.0.0.1:%d/healthz", port)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	for time.Since(begin) < time.Minute {
		resp, err := client.Get(url)
		if err != nil {
			time.Sleep(200 * time.Microsecond)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return time.Since(begin), resident(tb, cmd.Process.Pid)
		}
	}
	tb.Fatalf("%s does not answer: %s", filepath.Base(binary), stderr.String())
	return 0, 0
}

// credentials are of nobody: the clients want a file when they are made, and ask
// Google only at their first call, which never comes.
func credentials(tb testing.TB) string {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "nobody.json")
	const nobody = `{"type": "authorized_user", "client_id": "nobody", "client_secret": "none", "refresh_token": "none"}`
	if err := os.WriteFile(file, []byte(nobody), 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}

func resident(tb testing.TB, pid int) float64 {
	tb.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kib); n == 1 {
			return kib / 1024
		}
	}
	tb.Fatal("the kernel does not tell the resident memory")
	return 0
}

// lastPort is where freePort looked last.
var lastPort = rand.Int32N(10_000)

// freePort is one that nothing is given by chance while a function starts, such as the
// other end of who asks whether it has: those that the system gives lie above.
func freePort(tb testing.TB) int {
	tb.Helper()
	for range 10_000 {
		port := 20_000 + int(atomic.AddInt32(&lastPort, 1)%10_000)
		listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port)) // on every address, as functions do
		if err == nil {
			_ = listener.Close()
			return port
		}
	}
	tb.Fatal("no port is free")
	return 0
}
