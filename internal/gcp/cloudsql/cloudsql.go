// Package cloudsql reaches a Cloud SQL instance by its private address as the
// service account that runs the function: TLS and identity are the connector's
// (https://github.com/GoogleCloudPlatform/cloud-sql-go-connector), no password exists.
package cloudsql

import (
	"cmp"
	"context"
	"fmt"
	"net"

	"cloud.google.com/go/cloudsqlconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// Settings say where the database is.
type Settings struct {
	URL      string `env:"DATABASE_URL, required"` // postgres://user@host/database; with CLOUDSQL_INSTANCE the host is not used
	Instance string `env:"CLOUDSQL_INSTANCE"`      // project:region:name; empty: DATABASE_URL is dialled

	// Terraform proves with it that all instances together find room in the database.
	Connections int32 `env:"DATABASE_CONNECTIONS, default=4"` // the most connections that an instance of the function has open for what it is asked
}

// Open makes a pool on the instance, or, when there is none, on the host that the URL
// names. The connector lives as long as the process.
// o's MaxConns, where it is given, counts in place of the setting.
func (s Settings) Open(ctx context.Context, o postgres.Options) (*pgxpool.Pool, error) {
	if s.Connections < 1 {
		return nil, fault.New(fault.Invalid, "DATABASE_CONNECTIONS is %d; a function needs at least one.", s.Connections)
	}
	o.MaxConns = cmp.Or(o.MaxConns, s.Connections)
	if s.Instance != "" {
		configure, _, err := Configure(ctx, s.Instance)
		if err != nil {
			return nil, err
		}
		o.Configure = configure
	}
	return postgres.Open(ctx, s.URL, o)
}

// Configure gives what makes a pool dial the instance "project:region:name", and
// what to call when the pool is closed. The pool's URL names the user (the service
// account's e-mail without ".gserviceaccount.com") and the database, with
// sslmode=disable, since the connector encrypts by itself; its host is not used.
//
// Certificates are renewed when a connection wants one, not in the background,
// where a function between requests has no CPU.
func Configure(ctx context.Context, instance string, opts ...cloudsqlconn.Option) (configure func(*pgxpool.Config), closer func() error, err error) {
	dialer, err := cloudsqlconn.NewDialer(ctx, append([]cloudsqlconn.Option{
		cloudsqlconn.WithIAMAuthN(),
		cloudsqlconn.WithLazyRefresh(),
		cloudsqlconn.WithBuiltInMetrics(false), // they need a role of their own
		cloudsqlconn.WithDefaultDialOptions(cloudsqlconn.WithPrivateIP()),
	}, opts...)...)
	if err != nil {
		return nil, nil, fmt.Errorf("make the connector of Cloud SQL: %w", err)
	}
	return func(config *pgxpool.Config) {
		config.ConnConfig.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.Dial(ctx, instance)
		}
		// The connector resolves the instance; the URL's host is only a name.
		config.ConnConfig.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	}, dialer.Close, nil
}
