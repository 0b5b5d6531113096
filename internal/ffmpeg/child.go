package ffmpeg

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"lectern.dev/lectern/internal/fault"
)

// stallLimit is how long a child may do nothing that we can see before it counts as hung.
const stallLimit = 8 * time.Second

var errStalled = errors.New("no sign of life for " + stallLimit.String())

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
		return nil, fault.Wrap(fault.Unavailable, err, "The video encoder could not be started.")
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		alive.watch(ctx, c.stall, func() { stop(errStalled) })
	}()

	var fed error
	if c.feed != nil {
		fed = c.feed(alive.writer(stdin))
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
	case err == nil && fed == nil:
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
type pulse struct{ last atomic.Int64 }

func (p *pulse) beat() { p.last.Store(time.Now().UnixNano()) }

// writer passes on to w; each write and each accepted byte is a sign of life.
func (p *pulse) writer(w io.Writer) io.Writer {
	return writerFunc(func(b []byte) (int, error) {
		p.beat()
		n, err := w.Write(b)
		p.beat()
		return n, err
	})
}

func (p *pulse) watch(ctx context.Context, limit time.Duration, stalled func()) {
	tick := time.NewTicker(limit / 8)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if now.UnixNano()-p.last.Load() > int64(limit) {
				stalled()
				return
			}
		}
	}
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
