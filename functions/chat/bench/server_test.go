package bench

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/postgres"
)

// The processors: what is measured has the first for itself, as far as others let it.
const measured, others = "0", "1"

// process is a running program.
type process struct {
	*exec.Cmd
	url string
}

// run starts a program on a processor, with an environment and nothing else.
func run(b *testing.B, processor string, env []string, name string, args ...string) *process {
	b.Helper()
	if _, err := exec.LookPath("taskset"); err != nil || runtime.NumCPU() < 2 {
		b.Skip("a server is measured alone on a processor: that needs taskset, and two of them")
	}
	p := &process{Cmd: exec.Command("taskset", append([]string{"-c", processor, name}, args...)...)}
	p.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	if os.Getenv("LECTERN_BENCH_VERBOSE") != "" {
		p.Stdout, p.Stderr = os.Stderr, os.Stderr
	}
	b.Cleanup(func() {
		if p.Process != nil {
			_ = p.Process.Kill()
			_ = p.Wait()
		}
	})
	return p
}

// serve starts a server that is told its port, and waits until it answers.
func serve(b *testing.B, env []string, name string, args ...string) *process {
	b.Helper()
	port := freePort(b)
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "PORT", port)
	}
	p := run(b, measured, append(env, "PORT="+port), name, args...)
	p.url = "http://127.0.0.1:" + port
	if err := p.Start(); err != nil {
		b.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get(p.url + "/healthz")
		if err == nil {
			resp.Body.Close()
			return p
		}
		if time.Since(began) > 20*time.Second {
			b.Fatalf("%s does not answer: %v", name, err)
		}
	}
}

func freePort(b *testing.B) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

// cpu is the time that a process has had of a processor, from the scheduler's own
// account: the one in stat is drawn by ticks, which misses what is short.
func (p *process) cpu(b *testing.B) (sum time.Duration) {
	b.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.Process.Pid))
	if err != nil || len(threads) == 0 {
		b.Fatal("the kernel does not tell the time of the threads", err)
	}
	for _, thread := range threads {
		text, _ := os.ReadFile(thread) // it may have ended
		var ran int64
		_, _ = fmt.Sscan(string(text), &ran)
		sum += time.Duration(ran)
	}
	return sum
}

// profile begins and ends the profile of a server that makes one.
func (p *process) profile() {
	if os.Getenv("LECTERN_BENCH_PROFILE") != "" {
		_ = p.Process.Signal(syscall.SIGUSR1) // what has no role of ours ends by it
		time.Sleep(2 * time.Second)           // to write it
	}
}

// resident gives what a process holds of the memory now, and the most that it held, in MiB.
func (p *process) resident(b *testing.B) (now, most float64) {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		_, _ = fmt.Sscanf(line, "VmRSS: %f kB", &now)
		_, _ = fmt.Sscanf(line, "VmHWM: %f kB", &most)
	}
	return now / 1024, most / 1024
}

// model is the server of the model, on the processor of the others.
type model struct{ plain, safe, certificate string }

func startModel(b *testing.B) model {
	b.Helper()
	// What is not measured leaves the first processor alone.
	if out, err := exec.Command("taskset", "-a", "-p", "-c", others, strconv.Itoa(os.Getpid())).CombinedOutput(); err != nil {
		b.Skipf("taskset: %s", out)
	}
	p := run(b, others, []string{role + "=model"}, self(b))
	p.Stdout = nil
	out, err := p.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := p.Start(); err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	next := func() string { lines.Scan(); return lines.Text() }
	m := model{plain: next(), safe: next(), certificate: filepath.Join(b.TempDir(), "model.pem")}
	var certificate strings.Builder
	for line := next(); line != ""; line = next() {
		certificate.WriteString(line + "\n")
	}
	if err := os.WriteFile(m.certificate, []byte(certificate.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	return m
}

func self(b *testing.B) string {
	b.Helper()
	path, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	return path
}

// target is a server that can be asked.
type target struct {
	name string
	*process
	ask func(i int, question string) (method, path, header, body string) // of the i-th question
}

// completions asks as OpenAI's clients do.
func completions(_ int, question string) (method, path, header, body string) {
	return "POST", "/v1/chat/completions", "", fmt.Sprintf(`{"model":"bench","stream":true,"messages":[{"role":"user","content":%q}]}`, question)
}

func startRelay(b *testing.B, m model) target {
	b.Helper()
	return target{"relay-go", serve(b, []string{role + "=relay", "UPSTREAM=" + m.plain}, self(b)), completions}
}

// startFastAPI gives false where it is not installed; see scripts/setup.sh.
func startFastAPI(b *testing.B, m model) (target, bool) {
	b.Helper()
	uvicorn, err := filepath.Abs("../../../.tools/fastapi/bin/uvicorn")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := os.Stat(uvicorn); err != nil {
		b.Log("FastAPI is not there to be compared with: scripts/setup.sh bench installs it")
		return target{}, false
	}
	p := serve(b, []string{"UPSTREAM=" + m.plain}, uvicorn, "--app-dir", "testdata", "--port", "PORT", "--log-level", "warning", "relay:app")
	return target{"relay-fastapi", p, completions}, true
}

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "lectern-bench")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "chat")
	cmd := exec.Command("go", "build", "-tags=container,grpcnotrace", "-o", binary, "./functions/chat/cmd")
	cmd.Dir = "../../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return binary, nil
})

// startLectern starts the chat as it is deployed, with sessions to ask in, and without
// limits to what one may ask.
func startLectern(b *testing.B, db *pgxpool.Pool, upstream string, m model, sessions int, env ...string) target {
	b.Helper()
	binary, err := build()
	if err != nil {
		b.Fatal(err)
	}
	if profile := os.Getenv("LECTERN_BENCH_PROFILE"); profile != "" {
		binary, env = self(b), append(env, role+"=chat", "LECTERN_BENCH_PROFILE="+profile, "GOGC="+os.Getenv("GOGC"))
	}
	hasher, err := account.NewHasher(account.HashOptions{})
	if err != nil {
		b.Fatal(err)
	}
	credential := account.NewCredential{AuthID: "cred_bench", Label: "bench", Scopes: []string{account.Chat}}
	secret, err := credential.SetSecret(b.Context(), hasher, "")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := credential.Insert(postgres.AnyOrganization(b.Context()), db, "org_local", "user_local"); err != nil {
		b.Fatal(err)
	}
	if _, err := db.Exec(b.Context(), `
		INSERT INTO sessions (session_id, organization_id, user_id, task)
		SELECT 'sess_' || n, 'org_local', 'cred_bench', 'tutor' FROM generate_series(0, $1 - 1) n`, sessions); err != nil {
		b.Fatal(err)
	}
	p := serve(b, append([]string{
		"DATABASE_URL=" + db.Config().ConnString(), "COOKIE_KEYS=0123456789abcdef0123456789abcdef",
		"OPENAI_BASE_URL=" + upstream + "/v1", "OPENAI_API_KEY=none", "OPENAI_MODEL=bench", "SSL_CERT_FILE=" + m.certificate,
		`PRICES={"bench":{"kind":"tokens","input":0.001,"output":0.001}}`, "BUDGET_SOFT_MICROS=100000000000", "BUDGET_HARD_MICROS=100000000000",
		"CHAT_ANSWERS_PER_USER=0", "CHAT_ANSWERS_PER_ORGANIZATION=0", "CHAT_REQUESTS_PER_MINUTE_PER_USER=0", "CHAT_REQUESTS_PER_MINUTE_PER_ORGANIZATION=0",
		"CHAT_TOKENS_PER_DAY_PER_USER=0", "CHAT_TOKENS_PER_DAY_PER_ORGANIZATION=0", "CHAT_STREAMS_PER_USER=0", "CHAT_STREAMS_PER_ORGANIZATION=0",
	}, env...), binary)
	return target{"lectern", p, func(i int, question string) (method, path, header, body string) {
		return "POST", "/v1/chat/sessions/sess_" + strconv.Itoa(i) + "/messages", "Authorization: Bearer cred_bench." + string(secret) + "\r\n",
			fmt.Sprintf(`{"content":%q}`, question)
	}}
}
