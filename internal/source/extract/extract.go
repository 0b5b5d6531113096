package extract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"lectern.dev/lectern/internal/fault"
)

// Limits bound what one document may cost.
type Limits struct {
	Wall    time.Duration // of the whole reading
	Silence time.Duration // without a page or a block read
	Memory  int64         // bytes resident in the parsing process; Poppler gets as much address space again, and 256 MiB
}

// DefaultLimits are generous for 2,000 pages and small for a server.
var DefaultLimits = Limits{Wall: time.Minute, Silence: 10 * time.Second, Memory: 384 << 20}

// Extract reads the file at path, which the caller has made, in a child process.
// Progress, which may be nil, hears of
// every page and of how many there are, 0 when that is not known. Errors are fault.Invalid with the
// reason why this document cannot be read, Unavailable when the machine lacks
// something; whatever happens to the child, the caller goes on.
func Extract(ctx context.Context, path string, format Format, limits Limits, progress func(page, pages int)) (*Document, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the program itself: %w", err)
	}
	if path, err = filepath.Abs(path); err != nil { // the child works in the file's folder
		return nil, fmt.Errorf("find the document: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	deadline := time.AfterFunc(limits.Wall, func() { cancel(errTime) })
	defer deadline.Stop()

	cmd := exec.CommandContext(ctx, self, string(format), path)
	cmd.Dir = filepath.Dir(path)
	cmd.Env = []string{
		roleVariable + "=" + roleParse,
		cpuVariable + "=" + strconv.Itoa(int(limits.Wall.Seconds())+1),
		memoryVariable + "=" + strconv.FormatInt(limits.Memory, 10),
		"GOMEMLIMIT=" + strconv.FormatInt(limits.Memory*3/4, 10),
		"GOTRACEBACK=none",
		"PATH=" + os.Getenv("PATH"),
		"LANG=C.UTF-8",
		"TMPDIR=" + cmd.Dir,
	}
	// A group of its own, so that Poppler is killed together with the child that runs it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	stderr := &head{limit: 4 << 10}
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe for the parser: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "Documents cannot be read at the moment. Try again later.")
	}
	go watchMemory(ctx, cmd.Process.Pid, limits.Memory, func() { cancel(errMemory) })

	doc, failure := receive(stdout, limits.Silence, progress, cancel)
	if failure != nil {
		cancel(failure)
	}
	waited := cmd.Wait()
	switch cause := context.Cause(ctx); {
	case cause != nil:
		return nil, cause
	case waited != nil || doc == nil:
		return nil, childFault(cmd.ProcessState, stderr.String(), waited)
	}
	doc.assemble()
	return doc, nil
}

// message is a line from the child: a page was reached, a block was read, or how
// it ended.
type message struct {
	Page     int        `json:"page,omitempty"`
	Pages    int        `json:"pages,omitempty"` // in all; 0 when not known yet
	Block    *Block     `json:"block,omitempty"`
	Document *Document  `json:"document,omitempty"` // the last line of a document that was read
	Failure  string     `json:"failure,omitempty"`  // the last line of one that was not
	Kind     fault.Kind `json:"kind,omitempty"`
	Cause    string     `json:"cause,omitempty"`
}

// receive takes what the child tells, until it ends.
func receive(r io.Reader, silence time.Duration, progress func(page, pages int), cancel context.CancelCauseFunc) (*Document, error) {
	quiet := time.AfterFunc(silence, func() { cancel(errTime) })
	defer quiet.Stop()
	var blocks []Block
	size := 0
	lines := json.NewDecoder(io.LimitReader(r, 8*maxText))
	for {
		var m message
		if err := lines.Decode(&m); err != nil {
			return nil, nil // the child ended without a last line: its exit says why
		}
		quiet.Reset(silence)
		switch {
		case m.Failure != "":
			if m.Cause == "" {
				return nil, fault.New(m.Kind, "%s", m.Failure)
			}
			return nil, fault.Wrap(m.Kind, errors.New(m.Cause), "%s", m.Failure)
		case m.Document != nil:
			m.Document.Blocks = blocks
			return m.Document, nil
		case m.Block != nil:
			if size += len(m.Block.Text); size > maxText {
				return nil, errTooMuchText
			}
			blocks = append(blocks, *m.Block)
		case m.Page > 0 && progress != nil:
			progress(m.Page, m.Pages)
		}
	}
}

// childFault says why a child ended that told nothing itself.
func childFault(state *os.ProcessState, stderr string, err error) error {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGXCPU {
		return errTime
	}
	return fault.Wrap(fault.Invalid, fmt.Errorf("parser: %v: %s", err, stderr), "%s", errBroken.Message)
}

// watchMemory calls exceeded when a process holds more than limit bytes.
func watchMemory(ctx context.Context, pid int, limit int64, exceeded func()) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var total, resident int64
		statm, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
		if err != nil {
			return // the process has ended
		}
		if _, err := fmt.Sscan(string(statm), &total, &resident); err == nil && resident*int64(os.Getpagesize()) > limit {
			exceeded()
			return
		}
	}
}

// head keeps the first bytes of what is written to it.
type head struct {
	limit int
	bytes []byte
}

func (h *head) Write(p []byte) (int, error) {
	h.bytes = append(h.bytes, p[:min(len(p), h.limit-len(h.bytes))]...)
	return len(p), nil
}

func (h *head) String() string { return string(h.bytes) }
