package cloudsql_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/cloudsqlconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/oauth2"

	"lectern.dev/lectern/internal/gcp/cloudsql"
)

// No Cloud SQL can be had here; what is shown is that the pool dials by the
// connector, which asks the Admin API for the instance, and that nothing is
// dialed before the first query.
func TestPoolDialsByTheConnector(t *testing.T) {
	t.Parallel()
	var asked atomic.Value
	admin := &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		asked.Store(req.URL.Path)
		return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	})}
	token := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "t", Expiry: time.Now().Add(time.Hour)})
	configure, closer, err := cloudsql.Configure(t.Context(), "project:europe-west1:main",
		cloudsqlconn.WithIAMAuthNTokenSources(token, token), cloudsqlconn.WithHTTPClient(admin))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closer() })
	config, err := pgxpool.ParseConfig("user=render@lectern.iam host=instance dbname=lectern sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	configure(config)
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if asked.Load() != nil {
		t.Error("it dialed before it was asked")
	}
	if err := pool.Ping(t.Context()); err == nil {
		t.Fatal("a refused instance was reached")
	}
	if path, _ := asked.Load().(string); !strings.Contains(path, "/projects/project/instances/main") {
		t.Errorf("asked for %q", path)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
