package ffmpeg

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"lectern.dev/lectern/internal/fault"
)

// A child counts as hung when it neither takes input, nor writes, nor uses the
// processor for stallLimit, or only uses the processor for busyLimit. On a machine
// with too much to do it is slow, but not hung.
const (
	stallLimit = 8 * time.Second
	busyLimit  = 2 * time.Minute
)

var errStalled = errors.New("no sign of life")

// child is one run of ffmpeg or ffprobe with limits: it lives in a process group
// of its own, which is killed whole when ctx ends or the child stalls.
type child struct {
	program string
	args    []string
	feed    func(w io.Writer) error // writes the child's standard input; nil for none
	stall   time.Duration
}

// run gives what the child wrote to standard output. The child's own complaints become part of the error.
func (c child) run(ctx context.Context) ([]byte, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var alive pulse
	var stdout bytes.Buffer
	stderr := tail{limit: 4 << 10}

	cmd := exec.CommandContext(ctx, c.program, c.args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	cmd.Stdout = alive.writer(&stdout)
	cmd.Stderr = alive.writer(&stderr)
	var stdin io.WriteCloser
	if c.feed != nil {
		var err error
		if stdin, err = cmd.StdinPipe(); err != nil {
			return nil, err
		}
	}
	alive.beat()
	if err := cmd.Start(); err != nil {
		if errors.Is(err, exec.ErrNotFound) { // trying again does not install it
			return nil, fault.Wrap(fault.Invalid, err, "The program %s is not installed here. Install it (Debian: apt-get install ffmpeg) and try again.", filepath.Base(cmd.Path))
		}
		return nil, fault.Wrap(fault.Unavailable, err, "The video encoder could not be started.")
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		alive.watch(ctx, cmd.Process.Pid, c.stall, func() { stop(errStalled) })
	}()

	var fed error
	if c.feed != nil {
		alive.ours.Store(true)
		fed = c.feed(alive.input(stdin))
		alive.ours.Store(false)
		if fed != nil && !errors.Is(fed, syscall.EPIPE) {
			stop(fed) // our own failure: the child waits for input that never comes
		}
		_ = stdin.Close()
	}
	err := cmd.Wait()
	cause := context.Cause(ctx)
	stop(nil)
	<-watched
	return stdout.Bytes(), c.verdict(err, fed, cause, stderr.String())
}

// verdict finds the failure that came first: what stopped the child, what broke the input, or the child itself.
func (c child) verdict(err, fed, cause error, complaint string) error {
	switch {
	case err == nil && fed == nil && !strings.Contains(complaint, "Error writing trailer"): // which ffmpeg takes for a success
		return nil
	case errors.Is(cause, errStalled):
		return fault.Wrap(fault.Unavailable, errStalled, "The video encoder hung and was stopped.")
	case cause != nil:
		return cause
	case strings.Contains(complaint, "No space left on device") || errors.Is(err, syscall.ENOSPC) || errors.Is(fed, syscall.ENOSPC):
		return fault.Wrap(fault.Unavailable, errors.New(complaint), "There is not enough space to make the video.")
	case err == nil:
		err = fed
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == -1 {
		return fault.Wrap(fault.Unavailable, errors.Join(err, errors.New(complaint)), "The video encoder was killed.")
	}
	return fault.Wrap(fault.Internal, errors.Join(err, errors.New(complaint)), "The video encoder failed.")
}

// pulse is when something last moved.
type pulse struct {
	last atomic.Int64 // Unix time in ns
	ours atomic.Bool  // the child waits for input that we are making
}

func (p *pulse) beat() { p.last.Store(time.Now().UnixNano()) }

// writer takes the child's output; all of it is a sign of life.
func (p *pulse) writer(w io.Writer) io.Writer {
	return writerFunc(func(b []byte) (int, error) {
		p.beat()
		return w.Write(b)
	})
}

// input passes on to the child: as long as that takes, it is the child's turn.
func (p *pulse) input(w io.Writer) io.Writer {
	return writerFunc(func(b []byte) (int, error) {
		p.beat()
		p.ours.Store(false)
		defer p.ours.Store(true)
		return w.Write(b)
	})
}

func (p *pulse) watch(ctx context.Context, pid int, limit time.Duration, stalled func()) {
	tick := time.NewTicker(limit / 8)
	defer tick.Stop()
	worked := p.last.Load()
	used := processorTime(pid)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now().UnixNano()
		if p.ours.Load() {
			p.beat()
		}
		if u := processorTime(pid); u != used {
			used, worked = u, now
		}
		idle := now - max(p.last.Load(), worked)
		if idle > int64(limit) || now-p.last.Load() > int64(busyLimit) {
			stalled()
			return
		}
	}
}

// processorTime gives the two counters of a process's processor time (proc(5):
// fields 14 and 15, counted after the name in parentheses), to be compared; empty
// where there is no /proc.
func processorTime(pid int) string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return ""
	}
	return fields[11] + " " + fields[12]
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// tail keeps the last bytes written to it.
type tail struct {
	mu    sync.Mutex
	limit int
	b     []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	if extra := len(t.b) - t.limit; extra > 0 {
		t.b = t.b[extra:]
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.b))
}
