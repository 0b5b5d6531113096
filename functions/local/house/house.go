// Package house is all of Lectern in one process, on parts that need no account:
// Postgres as a child process, Cloud Storage, Cloud Tasks and live documents in
// memory or in the data folder. The functions are the ones that are deployed;
// only what they stand on differs.
//
// Two servers listen. The public one is the web function, and beside it the
// bucket, so that pages and films share one origin. The inner one, on a free port
// of 127.0.0.1, is everything that on Google Cloud is not public: the API behind
// the gateway, the tasks' workers, the events and the sweep.
package house

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"lectern.dev/lectern/internal/access"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/gcp/gcs"
	gcsemulator "lectern.dev/lectern/internal/gcp/gcs/emulator"
	"lectern.dev/lectern/internal/gcp/issuer"
	"lectern.dev/lectern/internal/gcp/tasks"
	tasksemulator "lectern.dev/lectern/internal/gcp/tasks/emulator"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/cluster"
	"lectern.dev/lectern/migrations"
)

// Options say where the house stands.
type Options struct {
	Addr string // to listen on; port 0 picks a free one
	Data string // folder of the database and the bucket; made when it is not there
	// Sweep is the time between sweeps; 0: 30 s.
	Sweep time.Duration
	// Letters gets the letters to people as plain text; nil: they are in the log.
	Letters io.Writer
	// Throwaway gives up the database's durability, and what makes passwords hard to
	// guess, for speed: for tests only.
	Throwaway bool
	// Tracing, unless it is the zero value, gets the spans in place of the collector that
	// the environment names.
	Tracing edge.Tracing
	// Events and Tasks let tests disturb deliveries; their zero values disturb nothing.
	Events gcsemulator.Events
	Tasks  tasksemulator.Options
}

// House is everything that was started.
type House struct {
	opts    Options
	models  Models
	public  net.Listener
	inner   net.Listener
	pool    *pgxpool.Pool // of what works for all organisations
	tenants *pgxpool.Pool // of what people call: it sees an organisation at a time
	log     *pgxpool.Pool // of the answers' log alone, so that nothing else holds them up
	tokens  access.Tokens
	issuer  *issuer.Issuer // signs for the queue, the events and the scheduler
	bucket  *gcs.Bucket
	storage *gcsemulator.Emulator
	queue   *tasks.Queue
	board   live.Board
	tracing edge.Tracing
	closers []func() error // in the order in which they were opened
}

// bucketName is the one bucket's; it is the first part of the paths of its objects.
const bucketName = "lectern-local"

// Open starts every part, but nothing is served before Serve.
func Open(ctx context.Context, opts Options) (h *House, err error) {
	h = &House{opts: opts}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	if err := edge.Load(ctx, &h.models); err != nil {
		return h, err
	}
	for _, open := range []func(context.Context) error{
		h.openTracing, h.lockData, h.loadKeys, h.listen, h.openIssuer, h.openDatabase, h.openBucket, h.openQueue, h.openBoard,
	} {
		if err := open(ctx); err != nil {
			return h, err
		}
	}
	return h, nil
}

// Close ends what Open started, last first.
func (h *House) Close() error {
	var errs []error
	for i := len(h.closers) - 1; i >= 0; i-- {
		errs = append(errs, h.closers[i]())
	}
	h.closers = nil
	return errors.Join(errs...)
}

// URL is where people find the house.
func (h *House) URL() string { return "http://" + h.host() }

// host is where the public server is reached. One that listens everywhere names this
// machine: browsers open no [::].
func (h *House) host() string {
	addr := h.public.Addr().(*net.TCPAddr)
	if addr.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(addr.Port))
	}
	return addr.String()
}

// Pool is the database, with all of its organisations.
func (h *House) Pool() *pgxpool.Pool { return h.pool }

// Bucket is the bucket, through the real client.
func (h *House) Bucket() *gcs.Bucket { return h.bucket }

// Serve answers until ctx ends, then drains. It calls ready once everything answers.
func (h *House) Serve(ctx context.Context, ready func()) error {
	handlers, err := h.functions()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return edge.Serve(ctx, h.public, edge.Traced(h.tracing, atHome(h.public, h.outside(handlers.web))))
	})
	group.Go(func() error {
		return edge.Serve(ctx, h.inner, edge.Traced(h.tracing, finishing{atHome(h.inner, h.indoors(handlers)), handlers.chat}))
	})
	group.Go(func() error { return h.keepSweeping(ctx) })
	group.Go(func() error {
		if err := h.awaitAnswers(ctx); err != nil {
			return err
		}
		ready()
		return nil
	})
	return group.Wait()
}

func (h *House) closing(closer func() error) { h.closers = append(h.closers, closer) }

func (h *House) listen(context.Context) (err error) {
	if h.public, err = net.Listen("tcp", h.opts.Addr); err != nil {
		return fmt.Errorf("the address %s cannot be used: %w", h.opts.Addr, err)
	}
	h.closing(func() error { _ = h.public.Close(); return nil }) // closed already when it was served
	if h.inner, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	h.closing(func() error { _ = h.inner.Close(); return nil })
	return nil
}

func (h *House) openDatabase(ctx context.Context) error {
	server, err := cluster.Start(ctx, filepath.Join(h.opts.Data, "postgres"), cluster.Options{Throwaway: h.opts.Throwaway})
	if err != nil {
		return err
	}
	h.closing(server.Stop)
	if err := server.EnsureDatabase(ctx, "lectern"); err != nil {
		return err
	}
	if err := h.migrate(ctx, server.URL("lectern")); err != nil {
		return err
	}
	// The functions share these pools; one of its own would have four connections.
	for pool, options := range map[**pgxpool.Pool]postgres.Options{
		&h.pool:    {MaxConns: 32, Role: postgres.System},
		&h.tenants: {MaxConns: 32, Role: postgres.Tenant},
		&h.log:     {MaxConns: 2, Role: postgres.System},
	} {
		if *pool, err = postgres.Open(ctx, server.URL("lectern"), options); err != nil {
			return err
		}
		h.closing(func() error { (*pool).Close(); return nil })
	}
	return h.ensureOwner(ctx)
}

func (h *House) migrate(ctx context.Context, url string) error {
	pool, err := postgres.Open(ctx, url, postgres.Options{Role: postgres.Owner})
	if err != nil {
		return err
	}
	defer pool.Close()
	return migrations.Up(ctx, pool)
}

func (h *House) openBucket(ctx context.Context) (err error) {
	events := h.opts.Events
	events.URL = h.inside("/finalize/").String()
	events.Client = h.issuer.Client(events.Client, eventsAccount, h.audience())
	h.storage, err = gcsemulator.Start(gcsemulator.Options{
		Bucket: bucketName, Folder: filepath.Join(h.opts.Data, "bucket"), PublicURL: h.URL(), Events: events,
	})
	if err != nil {
		return err
	}
	h.closing(func() error { h.storage.Close(); return nil })
	if h.bucket, err = h.storage.Open(ctx); err != nil {
		return err
	}
	h.closing(h.bucket.Close)
	return nil
}

// inside is an address of the inner server.
func (h *House) inside(path string) *url.URL {
	return &url.URL{Scheme: "http", Host: h.inner.Addr().String(), Path: path}
}

// awaitAnswers returns when both servers answer.
func (h *House) awaitAnswers(ctx context.Context) error {
	for _, base := range []string{h.URL(), h.inside("/courses").String(), h.inside("/auth").String(), h.inside("/chat").String()} {
		for {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/healthz", nil)
			if err != nil {
				return err
			}
			res, err := http.DefaultClient.Do(req)
			if err == nil {
				_ = res.Body.Close()
				if res.StatusCode == http.StatusOK {
					break
				}
			}
			select {
			case <-ctx.Done():
				return nil // told to stop before it was ready
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	return nil
}
