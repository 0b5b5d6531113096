// Command local is all of Lectern in one process. It serves people, or makes one
// course from documents and exits (-from).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"lectern.dev/lectern/functions/local/commission"
	"lectern.dev/lectern/functions/local/house"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/source/extract"
)

func main() {
	extract.ChildMain() // documents are parsed in a child process, which is this program
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(exit(run(ctx, os.Args[1:])))
}

// exit says what went wrong, in one sentence, and gives the exit code.
func exit(err error) int {
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, strings.TrimPrefix(err.Error(), errUsage.Error()+": "))
		return 2
	}
	if known, ok := errors.AsType[*fault.Error](err); ok {
		err = errors.New(known.Message)
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func run(ctx context.Context, args []string) (err error) {
	o, err := parse(args, os.Stdout)
	if err != nil {
		return err
	}
	if err := logTo(ctx, o); err != nil {
		return err
	}
	h, err := house.Open(ctx, house.Options{Addr: o.addr, Data: o.data, Letters: os.Stdout})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if len(o.from) > 0 {
		return order(ctx, h, o)
	}
	return serve(ctx, h, o)
}

type logging struct {
	Level slog.Level `env:"LOG_LEVEL, default=WARN"` // the least that is logged: DEBUG, INFO, WARN or ERROR
}

// logTo sends the log to standard error, where only what needs a person is shown
// unless LOG_LEVEL says otherwise. With -from that is for the one sentence of a
// failure, and the log is a file in the data folder.
func logTo(ctx context.Context, o options) error {
	var c logging
	if err := edge.Load(ctx, &c); err != nil {
		return usage("%s", err)
	}
	out := os.Stderr
	if len(o.from) > 0 {
		err := os.MkdirAll(o.data, 0o755)
		if err == nil {
			out, err = os.OpenFile(filepath.Join(o.data, "lectern.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		}
		if err != nil {
			return fmt.Errorf("the data folder cannot be used: %w", err)
		}
	}
	slog.SetDefault(edge.Logger(out, c.Level, ""))
	return nil
}

// serve answers people until it is told to stop. At the first start it writes the
// sample course.
func serve(ctx context.Context, h *house.House, o options) error {
	var writing sync.WaitGroup
	defer writing.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	return h.Serve(ctx, func() {
		fmt.Println("listening on", h.URL())
		letIn(ctx, h)
		if !o.noSample {
			writing.Go(func() { writeSample(ctx, h, o.data) })
		}
	})
}

// order makes one course, writes it out, and stops.
func order(ctx context.Context, h *house.House, o options) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx)) // what is under way is canceled by its API
	defer stop()
	ready, served := make(chan struct{}), make(chan error, 1)
	go func() { served <- h.Serve(serving, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-served:
		return err
	}
	progress := commission.NewProgress(os.Stdout)
	token, err := h.Token(ctx, account.Local.User)
	if err == nil {
		err = deliver(ctx, h, &commission.Maker{URL: h.URL(), Token: token, Show: progress.Show}, o)
		err = errors.Join(err, h.EndToken(context.WithoutCancel(ctx), token))
	}
	if err != nil && ctx.Err() != nil {
		err = errors.New("stopped before the course was done") // whatever it was that noticed
	}
	progress.End()
	stop()
	return errors.Join(err, <-served)
}

func deliver(ctx context.Context, h *house.House, maker *commission.Maker, o options) error {
	id, err := maker.Begin(ctx, o.from, o.brief)
	if err != nil {
		return err
	}
	if err := maker.Finish(ctx, id, o.brief); err != nil {
		return err
	}
	exporter := commission.Exporter{Maker: maker, DB: h.Pool(), Bucket: h.Bucket()}
	if err := exporter.Export(ctx, id, o.out); err != nil {
		return err
	}
	maker.Show("Done", "The course is in "+o.out, 1, 1, nil)
	return nil
}
