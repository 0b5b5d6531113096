// Command migrate brings the database up to date and exits. Two that run at once
// wait for each other; one that was interrupted is started again.
//
//	migrate              the schema, and who may work with it
//	migrate -bootstrap   that, and the organisations that a Lectern begins with
//	migrate -verify      nothing of that: whether a database that was restored is sound
//	migrate -calibrate   nothing of that: what hashing a password costs on this machine
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/api/option"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/gcp/secretmanager"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/migrations"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	flags := flag.NewFlagSet("migrate", flag.ExitOnError)
	bootstrap := flags.Bool("bootstrap", false, "make the operator's and the client's organisation from ROOT_EMAIL, ROOT_PASSWORD, DREAMBRIDGE_EMAIL and DREAMBRIDGE_SECRET")
	calibrate := flags.Bool("calibrate", false, "only measure what hashing a password costs on this machine")
	verify := flags.Bool("verify", false, "only look whether the database, such as one that was restored, is sound")
	_ = flags.Parse(os.Args[1:]) // exits by itself
	if flags.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "migrate: %q is not understood\n", flags.Arg(0))
		os.Exit(2)
	}
	run := func() error { return migrate(ctx, os.Stdout, *bootstrap) }
	if *verify {
		run = func() error { return look(ctx, os.Stdout) }
	}
	if *calibrate {
		run = func() error { return measure(ctx, os.Stdout) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "migrate:", err)
		os.Exit(1)
	}
}

// migrate reads all settings before it changes anything. What it tells holds no
// secret.
func migrate(ctx context.Context, out io.Writer, bootstrap bool, secrets ...option.ClientOption) error {
	s, err := load(ctx, bootstrap)
	if err != nil {
		return err
	}
	if err := secretmanager.Resolve(ctx, []*string{&s.RootPassword, &s.DreambridgeSecret}, secrets...); err != nil {
		return err
	}
	options := postgres.Options{StatementTimeout: time.Hour, Role: postgres.Owner} // an index on a large table takes its time
	pool, err := s.Database.Open(ctx, options)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := migrations.Up(ctx, pool); err != nil {
		return err
	}
	if err := migrations.Admit(ctx, pool, s.TenantUsers, s.SystemUsers); err != nil {
		return err
	}
	if !bootstrap {
		return nil
	}
	return found(ctx, out, pool, s.Founding)
}

func load(ctx context.Context, bootstrap bool) (s settings, err error) {
	if bootstrap {
		return s, edge.Load(ctx, &s)
	}
	return s, edge.Load(ctx, &s.Config)
}

func found(ctx context.Context, out io.Writer, db postgres.Beginner, f Founding) error {
	hasher, err := account.NewHasher(account.HashOptions{})
	if err != nil {
		return err
	}
	done, err := account.Bootstrap(ctx, db, hasher, account.Founders{
		RootEmail: f.RootEmail, RootPassword: f.RootPassword, ClientEmail: f.DreambridgeEmail, ClientSecret: f.DreambridgeSecret,
	})
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	for _, sentence := range done {
		fmt.Fprintln(out, sentence)
	}
	if len(done) == 0 {
		fmt.Fprintln(out, "Nothing was to do: all that -bootstrap makes is there.")
	}
	return nil
}

// look tells what a database holds; what is wrong with it is the error.
func look(ctx context.Context, out io.Writer) error {
	var c Config
	if err := edge.Load(ctx, &c); err != nil {
		return err
	}
	pool, err := c.Database.Open(ctx, postgres.Options{StatementTimeout: time.Hour, Role: postgres.Owner})
	if err != nil {
		return err
	}
	defer pool.Close()
	found, err := migrations.Verify(ctx, pool)
	if found.Counts != "" {
		fmt.Fprintf(out, "The schema is at %04d. There are %s; the newest of it is of %s. %d jobs are open.\n", found.Version, found.Counts, found.Newest, found.OpenJobs)
	}
	if err == nil {
		fmt.Fprintln(out, "The database is sound.")
	}
	return err
}

// measure shows which cost account.Today could have on a machine like this one.
func measure(ctx context.Context, out io.Writer) error {
	all, best, ok, err := account.Calibrate(ctx)
	if err != nil {
		return err
	}
	for _, m := range all {
		verdict := "fits into 30 to 100 ms"
		if !m.Fits() {
			verdict = "does not fit into 30 to 100 ms"
		}
		fmt.Fprintf(out, "%3d MiB, %d passes: %3d ms, %s\n", m.Cost.MemoryKiB>>10, m.Cost.Iterations, m.Took.Milliseconds(), verdict)
	}
	switch {
	case !ok:
		fmt.Fprintln(out, "This machine is too slow for OWASP's minimum in 100 ms: give it a whole core.")
	case best == account.Today:
		fmt.Fprintln(out, "account.Today is right for this machine.")
	default:
		fmt.Fprintf(out, "account.Today could be %d MiB and %d passes on this machine.\n", best.MemoryKiB>>10, best.Iterations)
	}
	return nil
}
