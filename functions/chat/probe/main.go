// Command probe checks a running chat from outside, as a client sees it: whether its
// streams, resumption, stop and OpenAI-compatible endpoint do what they promise, and
// how fast it answers.
//
//	PROBE_KEY=… go run ./functions/chat/probe -url https://chat.example.org
//
// It works with any Lectern: a deployed one, or that of `make run`. The key is an API
// credential with the scope chat, <auth_id>.<secret>, or the token of a sign-in. It
// says first how many answers it will ask for, and asks for no more; the sessions that
// it made are deleted in the end. The exit code is 0 when everything held, 1 when
// something did not, 2 when it was called wrongly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// The exit codes.
const (
	exitHeld   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are what the command line and the environment say.
type options struct {
	url      string
	key      string
	otherKey string

	course string
	model  string // who is to answer; "": whoever does

	answers     int // asked for to measure the speed
	concurrency int
	maxAnswers  int // in all
	maxTokens   int // of an answer
	timeout     time.Duration

	json bool
	svg  string
}

const usage = `Usage: go run ./functions/chat/probe -url URL [flags]

Checks a running chat from outside, and measures how fast it answers.
The key is best given in the environment, where no list of processes shows it:
PROBE_KEY, and PROBE_OTHER_KEY for that of somebody else.

`

// parse reads the command line. What it says to people goes to out.
func parse(args []string, env func(string) string, out io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("probe", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprint(out, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&o.url, "url", "", "where the chat is, such as https://chat.example.org or http://127.0.0.1:8080")
	flags.StringVar(&o.key, "key", "", "API credential <auth_id>.<secret> with the scope chat, or the token of a sign-in (default: PROBE_KEY)")
	flags.StringVar(&o.otherKey, "other-key", "", "key of somebody else, who must not see the sessions (default: PROBE_OTHER_KEY)")
	flags.StringVar(&o.course, "course", "", "id of a course whose material answers are to rest on")
	flags.StringVar(&o.model, "expect-model", "", "the model that must answer: that of the backup, where the first is made to fail")
	flags.IntVar(&o.answers, "n", 30, "answers to ask for to measure the speed; 0: only the checks")
	flags.IntVar(&o.concurrency, "c", 3, "of them, how many at once")
	flags.IntVar(&o.maxAnswers, "max-calls", 100, "the most answers to ask for in all: nothing is asked when there would be more")
	flags.IntVar(&o.maxTokens, "max-tokens", 200, "the most tokens of each answer")
	flags.DurationVar(&o.timeout, "timeout", 2*time.Minute, "how long one answer may take")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON; progress goes to the standard error output")
	flags.StringVar(&o.svg, "svg", "", "file for a picture of how long answers took")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.key == "" {
		o.key = env("PROBE_KEY")
	}
	if o.otherKey == "" {
		o.otherKey = env("PROBE_OTHER_KEY")
	}
	o.url = strings.TrimRight(o.url, "/")
	if err := o.check(flags.Args()); err != nil {
		fmt.Fprintf(out, "%v\n\n", err)
		flags.Usage()
		return o, err
	}
	return o, nil
}

func (o options) check(rest []string) error {
	at, err := url.Parse(o.url)
	calls := checkAnswers + o.answers
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%q is no flag", rest[0])
	case err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "":
		return errors.New("-url must say where the chat is, with http:// or https://")
	case o.key == "":
		return errors.New("a key is needed: PROBE_KEY or -key")
	case o.answers < 0 || o.concurrency < 1 || o.maxTokens < 1 || o.timeout <= 0:
		return errors.New("-n must not be negative; -c, -max-tokens and -timeout must be more than 0")
	case calls > o.maxAnswers:
		return fmt.Errorf("%d answers would be asked for, more than -max-calls %d: lower -n, or raise it", calls, o.maxAnswers)
	}
	return nil
}

// run is the command, and gives its exit code.
func run(ctx context.Context, args []string, env func(string) string, out, errs io.Writer) int {
	o, err := parse(args, env, errs)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitHeld
	case err != nil:
		return exitUsage
	}
	told := out
	if o.json {
		told = errs
	}
	p := newProbe(o, told)
	fmt.Fprintf(told, "%s: %d checks with at most %d answers, then %d answers, %d at a time; none of more than %d tokens.\n\n",
		o.url, len(checks), checkAnswers, o.answers, min(o.concurrency, max(1, o.answers)), o.maxTokens)
	result := p.probe(ctx)
	p.tidy(ctx, &result)
	if err := result.write(o, out); err != nil {
		fmt.Fprintln(errs, err)
		return exitFailed
	}
	if !result.Held {
		return exitFailed
	}
	return exitHeld
}
