package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a running postmaster.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has exited
	log  *tail
}

// Postmaster's signals: https://www.postgresql.org/docs/15/server-shutdown.html
const (
	fastShutdown      = syscall.SIGINT
	immediateShutdown = syscall.SIGQUIT
)

func startProcess(path string, args []string, dir string, user *identity, log io.Writer) (*process, error) {
	p := &process{done: make(chan struct{}), log: &tail{}}
	var file *os.File
	if log == nil {
		var err error
		if file, err = os.OpenFile(dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			return nil, err
		}
		log = file
	}
	p.cmd = exec.Command(path, args...)
	p.cmd.Dir = "/" // the capability that lets it enter dir comes with exec; it goes there by itself
	p.cmd.Stderr = io.MultiWriter(p.log, log)
	p.cmd.SysProcAttr = user.attributes()
	p.cmd.SysProcAttr.Setpgid = true // Ctrl-C is for us; we stop the server in our own order
	p.cmd.SysProcAttr.Pdeathsig = immediateShutdown
	started := make(chan error)
	go func() {
		// The kernel sends Pdeathsig when the thread that started the child ends, so this one must stay.
		runtime.LockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
		}
		if file != nil {
			_ = file.Close()
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) stop() error {
	_ = p.cmd.Process.Signal(fastShutdown)
	select {
	case <-p.done:
		return nil
	case <-time.After(15 * time.Second):
		p.kill()
		return errors.New("the database did not stop in time and was killed; it will recover at the next start")
	}
}

func (p *process) kill() {
	// The whole group: children of a killed postmaster linger until they notice.
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

func (p *process) lastWords() string { return p.log.String() }

// stopLeftover ends a server that runs on dir because our parent was killed. The
// caller holds the lock on the folder, so it is nobody else's.
func stopLeftover(ctx context.Context, dir string) error {
	content, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		return nil // a clean stop removes it
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 1 || !runsOn(pid, dir) {
		return nil // Postgres itself clears a stale file
	}
	_ = syscall.Kill(pid, fastShutdown)
	for range 500 {
		if !runsOn(pid, dir) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("another database server (process %d) still runs on %s; stop it and try again", pid, dir)
}

// runsOn tells whether process pid is a postmaster whose folder is dir: after a
// reboot the number may belong to a stranger.
func runsOn(pid int, dir string) bool {
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	return err == nil && cwd == dir
}

// tail keeps the end of a log, for error messages.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - 2048; over > 0 {
		t.text = t.text[over:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}
