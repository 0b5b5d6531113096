package extract

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"lectern.dev/lectern/internal/fault"
)

// The environment tells a process that it is a child, and its limits.
const (
	roleVariable   = "LECTERN_EXTRACT"
	cpuVariable    = "LECTERN_EXTRACT_SECONDS"
	memoryVariable = "LECTERN_EXTRACT_BYTES"
	roleParse      = "parse"
	roleTool       = "tool"
)

// ChildMain must be the first call of main (and of TestMain) in every program that
// calls Extract: Extract starts the program itself again, as the process that
// parses. In such a process ChildMain does the work and does not return.
func ChildMain() {
	switch os.Getenv(roleVariable) {
	case roleParse:
		os.Exit(parse())
	case roleTool:
		os.Exit(execTool())
	}
}

// parse reads the document named by the arguments and writes it to standard output.
func parse() int {
	limitSelf()
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	tell := func(m message) {
		err := encoder.Encode(m)
		if m.Block == nil {
			err = errors.Join(err, out.Flush())
		}
		if err != nil {
			os.Exit(1) // nobody listens
		}
	}
	b := &builder{progress: func(page, pages int) { tell(message{Page: page, Pages: pages}) }}
	doc, err := read(context.Background(), os.Args[2], Format(os.Args[1]), b)
	if err != nil {
		failure := message{Failure: errBroken.Message, Kind: fault.Invalid, Cause: err.Error()}
		if known, ok := errors.AsType[*fault.Error](err); ok {
			failure = message{Failure: known.Message, Kind: known.Kind}
			if err != error(known) {
				failure.Cause = err.Error()
			}
		}
		tell(failure)
		return 0
	}
	for i := range doc.Blocks {
		tell(message{Block: &doc.Blocks[i]})
	}
	tell(message{Document: doc})
	return 0
}

// limitSelf bounds this process and those it starts. The parent watches memory:
// an address space limit does not suit Go programs.
func limitSelf() {
	seconds, _ := strconv.ParseUint(os.Getenv(cpuVariable), 10, 64)
	_ = unix.Setrlimit(unix.RLIMIT_CPU, &unix.Rlimit{Cur: seconds, Max: seconds})
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{})
}

// read parses a file and finishes what the parser found.
func read(ctx context.Context, path string, format Format, b *builder) (*Document, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > MaxBytes {
		return nil, errTooLarge
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(file, data); err != nil {
		return nil, err
	}
	if err := format.check(data); err != nil {
		return nil, err
	}
	if err := readAs(ctx, format, path, data, b); err != nil {
		return nil, err
	}
	return b.document()
}

func readAs(ctx context.Context, format Format, path string, data []byte, b *builder) error {
	switch format {
	case PDF:
		return readPDF(ctx, path, b)
	case DOCX, PPTX:
		a, err := openArchive(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return err
		}
		if format == DOCX {
			return readDOCX(a, b)
		}
		return readPPTX(a, b)
	}
	if len(data) > 2*maxText {
		return errTooMuchText
	}
	if format == HTML {
		return readHTML(bytes.NewReader(data), b)
	}
	text, err := decodeText(data)
	if err != nil {
		return err
	}
	if format == Markdown {
		return readMarkdown(text, b)
	}
	return readText(text, b)
}

// tool is a program of Poppler's while it runs.
type tool struct {
	cmd    *exec.Cmd
	stdout io.Reader
	stderr *head
}

// start runs a tool under a limit of its address space. The limit is set by this
// program started once more, which then becomes the tool: a process can only limit
// itself before it is another.
func start(ctx context.Context, name string, args ...string) (*tool, error) {
	binary, err := exec.LookPath(name)
	if err != nil {
		return nil, errNoPoppler
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	t := &tool{cmd: exec.CommandContext(ctx, self, append([]string{binary}, args...)...), stderr: &head{limit: 4 << 10}}
	t.cmd.Env = append(os.Environ(), roleVariable+"="+roleTool)
	t.cmd.Stderr = t.stderr
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if t.stdout, err = t.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := t.cmd.Start(); err != nil {
		return nil, err
	}
	return t, nil
}

// wait gives the tool's end; everything must have been read.
func (t *tool) wait() error { return t.cmd.Wait() }

// stop ends a tool whose output is not wanted any more.
func (t *tool) stop() {
	_ = t.cmd.Process.Kill()
	_ = t.cmd.Wait()
}

// execTool becomes the tool that the arguments name.
func execTool() int {
	memory, _ := strconv.ParseUint(os.Getenv(memoryVariable), 10, 64)
	memory += 256 << 20
	args := os.Args[1:]
	env := []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
	// From here on Go cannot allocate more; exec replaces it.
	if err := unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: memory, Max: memory}); err != nil {
		return 126
	}
	_ = syscall.Exec(args[0], args, env)
	return 127
}
