package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"

	"lectern.dev/lectern/functions/local/commission"
)

// options are what the command line and PORT say.
type options struct {
	addr     string
	data     string
	from     []commission.Document
	out      string
	brief    commission.Brief
	noSample bool
}

// errUsage marks what the caller got wrong: exit code 2.
var errUsage = errors.New("usage")

func usage(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errUsage, fmt.Sprintf(format, args...))
}

const manual = `Lectern in one process, with a database and a bucket of its own.

  go run ./functions/local                        serve on http://127.0.0.1:8080
  go run ./functions/local -from FILE -out DIR    make a course from a document and exit

`

func parse(args []string, out io.Writer) (o options, err error) {
	var files paths
	set := flag.NewFlagSet("local", flag.ContinueOnError)
	set.SetOutput(io.Discard) // errors are one sentence of ours
	set.StringVar(&o.addr, "addr", "", "listen on `HOST:PORT`; :0 picks a free port (default 127.0.0.1:8080, or 127.0.0.1:$PORT)")
	set.StringVar(&o.data, "data", ".lectern", "`FOLDER` of the database and the bucket")
	set.Var(&files, "from", "make a course from `FILE` (.md .txt .html .pdf .docx .pptx) and exit; may be repeated")
	set.StringVar(&o.out, "out", "out", "`FOLDER` that -from writes the course to")
	set.StringVar(&o.brief.Title, "title", "", "`TITLE` of the course (default: from the document)")
	set.StringVar(&o.brief.Audience, "audience", "", "`WHOM` the course is for")
	set.StringVar(&o.brief.Language, "language", "", "language `TAG` of the course, such as en or pt-BR (default: the document's)")
	set.IntVar(&o.brief.Lessons, "lessons", 0, "how many lessons, where the document has enough for them; 0 lets it decide")
	set.BoolVar(&o.noSample, "no-sample", false, "do not write the sample course at the first start")
	if err := set.Parse(args); errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(out, manual)
		set.SetOutput(out)
		set.PrintDefaults()
		return o, err
	} else if err != nil {
		return o, usage("%s", err)
	}
	if set.NArg() > 0 {
		return o, usage("%q is not a flag; documents are given with -from", set.Arg(0))
	}
	return o, o.complete(files)
}

// complete checks what was said and fills in what was not.
func (o *options) complete(files []string) error {
	if o.brief.Lessons < 0 || o.brief.Lessons > 30 {
		return usage("-lessons is between 1 and 30, not %d", o.brief.Lessons)
	}
	if o.addr == "" {
		port := cmp.Or(os.Getenv("PORT"), "8080")
		if len(files) > 0 && os.Getenv("PORT") == "" {
			port = "0" // nobody needs to find it
		}
		o.addr = net.JoinHostPort("127.0.0.1", port)
	}
	if _, _, err := net.SplitHostPort(o.addr); err != nil {
		return usage("-addr %q is not HOST:PORT", o.addr)
	}
	if len(files) == 0 {
		return nil
	}
	if err := commission.CheckOut(o.out); err != nil {
		return usage("%s", err)
	}
	if err := commission.Writable(o.out); err != nil {
		return usage("%s", err)
	}
	for _, path := range files {
		document, err := commission.File(path)
		if err != nil {
			return usage("%s", err)
		}
		o.from = append(o.from, document)
	}
	return nil
}

// paths is a flag that may be repeated.
type paths []string

func (p *paths) String() string { return fmt.Sprint(*p) }

func (p *paths) Set(path string) error {
	*p = append(*p, path)
	return nil
}
