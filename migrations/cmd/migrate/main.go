// Command migrate brings the database up to date and exits. Two that run at once
// wait for each other; one that was interrupted is started again.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/gcp/cloudsql"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/migrations"
)

// Config is what migrate reads from its environment.
type Config struct {
	DatabaseURL      string `env:"DATABASE_URL, required"` // of a user that may change the schema; with CLOUDSQL_INSTANCE the host is not used
	CloudSQLInstance string `env:"CLOUDSQL_INSTANCE"`      // project:region:name; empty: DATABASE_URL is dialled
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "migrate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var c Config
	if err := edge.Load(ctx, &c); err != nil {
		return err
	}
	options := postgres.Options{StatementTimeout: time.Hour, Role: postgres.Owner} // an index on a large table takes its time
	pool, err := cloudsql.Open(ctx, c.DatabaseURL, c.CloudSQLInstance, options)
	if err != nil {
		return err
	}
	defer pool.Close()
	return migrations.Up(ctx, pool)
}
