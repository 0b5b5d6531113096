// Package emulator is a Cloud Tasks for one machine: the service's gRPC API in
// this process, to which the real client talks, with dispatch by HTTP.
//
// As in the service (https://cloud.google.com/tasks/docs): names stay taken after
// a task was executed or deleted; only a 2xx ends a task; retries back off and
// double; an attempt ends at its dispatch deadline though the worker may go on;
// Retry-After is honoured; queues have rates and limits on concurrency; the
// X-CloudTasks-* headers and an OIDC token come with each delivery.
//
// What is not as in the service: everything is in memory and gone at exit; names
// are freed only then (the service: up to 24 hours); a queue that meets 429 and
// 503 is not slowed as a whole; App Engine targets, OAuth tokens, queue-level HTTP
// targets, batches, IAM and CMEK are missing; pages of lists have no end; the issuer of
// tokens is a local one.
package emulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"cloud.google.com/go/cloudtasks/apiv2/cloudtaskspb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"lectern.dev/lectern/internal/gcp/issuer"
	"lectern.dev/lectern/internal/gcp/tasks"
)

// The project and location of the queues that Options name.
const (
	Project  = "lectern-local"
	Location = "local"
)

// Options say which queues there are and how they are served.
type Options struct {
	// Queues are made at the start, by name.
	Queues map[string]QueueOptions
	// Client makes the requests to the workers; nil: http.DefaultClient. See
	// dispatch.Client for a handler in this process.
	Client *http.Client
	// Issuer signs the tokens of tasks that ask for one; nil: one without a name.
	Issuer *issuer.Issuer
	// Deadline, for tests, takes the place of every task's dispatch deadline, which
	// is never below 15 s.
	Deadline time.Duration
	// Faults decides, for tests, what goes wrong with a delivery; nil: nothing.
	Faults func(Delivery) Fault
	// Pick chooses, for tests, which of the tasks that are due goes next, by its
	// index; nil: the one that is due longest. With MaxConcurrent 1 it sets the order.
	Pick func(due []string) int
}

// QueueOptions are the limits of a queue; a zero field means the service's default.
type QueueOptions struct {
	MaxConcurrent int           // deliveries at once; 1000
	MaxPerSecond  float64       // deliveries a second; 500
	MaxAttempts   int           // 100; -1: no limit
	MaxRetryTime  time.Duration // since the first attempt; 0: no limit. Retries stop when both limits are passed
	MinBackoff    time.Duration // pause after the first failure; 100 ms
	MaxBackoff    time.Duration // longest pause; an hour
	MaxDoublings  int           // how often the pause doubles before it grows evenly; 16
}

// Delivery is one attempt to execute a task.
type Delivery struct {
	Queue, Task string // short names
	Retry       int    // 0 for the first attempt
}

// Fault is what goes wrong with a delivery.
type Fault struct {
	Lose         bool // the task vanishes without an attempt
	Copies       int  // further deliveries of the same attempt, whose answers are not heard
	AtOnce       bool // the copies run beside it; else one after the other, before it
	DropResponse bool // the answer is not heard, so the task comes again
}

// Emulator is a running service.
type Emulator struct {
	cloudtaskspb.UnimplementedCloudTasksServer
	opts   Options
	server *grpc.Server
	addr   string

	ctx     context.Context // of all deliveries; ends with Close
	cancel  context.CancelFunc
	working sync.WaitGroup
	mu      sync.Mutex // guards queues and all that is in them
	queues  map[string]*queue
}

// Start begins to listen on a free port of 127.0.0.1.
func Start(opts Options) (*Emulator, error) {
	if opts.Client == nil {
		opts.Client = http.DefaultClient
	}
	if opts.Issuer == nil {
		opts.Issuer = new(issuer.Issuer)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the tasks emulator: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	e := &Emulator{
		opts: opts, server: grpc.NewServer(), addr: listener.Addr().String(),
		ctx: ctx, cancel: cancel, queues: make(map[string]*queue),
	}
	for name, limits := range opts.Queues {
		e.addQueue(limits.queue(fmt.Sprintf("projects/%s/locations/%s/queues/%s", Project, Location, name)))
	}
	cloudtaskspb.RegisterCloudTasksServer(e.server, e)
	go func() {
		if err := e.server.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			slog.Error("the tasks emulator stopped", "error", err)
		}
	}()
	return e, nil
}

// Close stops it and waits for the deliveries under way, whose contexts end.
func (e *Emulator) Close() {
	e.server.Stop()
	e.cancel()
	e.working.Wait()
}

// Open gives a queue through the real client; cfg needs its Functions only.
func (e *Emulator) Open(ctx context.Context, cfg tasks.Config) (*tasks.Queue, error) {
	cfg.Project, cfg.Location = Project, Location
	return tasks.Open(ctx, cfg, e.ClientOptions()...)
}

// ClientOptions let the real client reach the emulator.
func (e *Emulator) ClientOptions() []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(e.addr),
		option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}
}
