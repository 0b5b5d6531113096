// Package tasks enqueues by Cloud Tasks.
//
// Every task is named, and a name stays taken for hours after its task was
// executed: so a create whose answer was lost can be repeated, and "already
// exists" is success. The client itself never repeats a create. A task carries the trail
// of who sent it, which its worker goes on with.
package tasks

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"time"

	cloudtasks "cloud.google.com/go/cloudtasks/apiv2"
	"cloud.google.com/go/cloudtasks/apiv2/cloudtaskspb"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/queue"
	"lectern.dev/lectern/internal/trail"
)

const (
	enqueueTime = 10 * time.Second // all tries together
	tryTime     = 3 * time.Second
	firstPause  = 100 * time.Millisecond // between tries; doubles
	maxSize     = 100 << 10              // bytes of a task that the service takes
)

// Config says where tasks go.
type Config struct {
	Project        string `env:"GOOGLE_CLOUD_PROJECT, required"` // id of the project
	Location       string `env:"LOCATION, required"`             // region of the queues, such as europe-west1
	Prefix         string `env:"QUEUE_PREFIX"`                   // what the queues' names begin with, such as lectern-; their targets' names follow
	ServiceAccount string `env:"TASKS_SERVICE_ACCOUNT"`          // e-mail of who signs the queue's requests, by which a worker knows it; empty: unsigned
	// Functions gives each target's worker.
	Functions map[queue.Target]Function
}

// Longest is the most that Cloud Tasks waits for an answer.
const Longest = 30 * time.Minute

// Function executes the tasks of a target.
type Function struct {
	URL string // gets the task's body as a POST
	// Deadline is how long an attempt may take before it counts as failed and is
	// repeated: 15 s to Longest; 0: 10 min.
	Deadline time.Duration
}

// Queue is a queue.Queue on Cloud Tasks. It is safe for concurrent use.
type Queue struct {
	client *cloudtasks.Client
	cfg    Config
}

var _ queue.Queue = (*Queue)(nil)

// Open makes the client with the ambient credentials. It connects at first use.
func Open(ctx context.Context, cfg Config, opts ...option.ClientOption) (*Queue, error) {
	if cfg.Project == "" || cfg.Location == "" || len(cfg.Functions) == 0 {
		return nil, fault.New(fault.Invalid, "The queues need a project, a location and at least one function.")
	}
	for _, target := range slices.Sorted(maps.Keys(cfg.Functions)) {
		if u, err := url.Parse(cfg.Functions[target].URL); err != nil || u.Host == "" {
			return nil, fault.New(fault.Invalid, "The URL of the function %q is missing or wrong.", target)
		}
	}
	client, err := cloudtasks.NewClient(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("make the client of Cloud Tasks: %w", err)
	}
	return &Queue{client: client, cfg: cfg}, nil
}

// Close lets go of the connections.
func (q *Queue) Close() error { return q.client.Close() }

// Enqueue implements queue.Queue.
func (q *Queue) Enqueue(ctx context.Context, t queue.Task) error {
	req, err := q.request(ctx, t)
	if err != nil {
		return err
	}
	trying, cancel := context.WithTimeout(ctx, enqueueTime)
	defer cancel()
	for pause := firstPause; ; pause *= 2 {
		err := q.create(trying, req)
		if err == nil {
			return nil
		}
		if transient(err) && sleep(trying, pause/2+rand.N(pause)) {
			continue
		}
		if ctx.Err() != nil {
			return fmt.Errorf("enqueue %s: %w", t.Name, ctx.Err())
		}
		return fault.Wrap(fault.Unavailable, err, "The task could not be handed over now; it is sent again later.")
	}
}

func (q *Queue) create(ctx context.Context, req *cloudtaskspb.CreateTaskRequest) error {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	_, err := q.client.CreateTask(ctx, req)
	if status.Code(err) == codes.AlreadyExists {
		return nil
	}
	return err
}

func (q *Queue) request(ctx context.Context, t queue.Task) (*cloudtaskspb.CreateTaskRequest, error) {
	worker, ok := q.cfg.Functions[t.Target]
	if !ok {
		return nil, fault.New(fault.Internal, "No function executes %q.", t.Target)
	}
	if len(t.Body) > maxSize {
		return nil, fault.New(fault.Internal, "A task of %d bytes is too large: it carries ids, not content.", len(t.Body))
	}
	call := &cloudtaskspb.HttpRequest{
		Url:        worker.URL,
		HttpMethod: cloudtaskspb.HttpMethod_POST,
		Headers:    trail.From(ctx).Headers(),
		Body:       t.Body,
	}
	call.Headers["Content-Type"] = "application/json"
	if q.cfg.ServiceAccount != "" {
		call.AuthorizationHeader = &cloudtaskspb.HttpRequest_OidcToken{OidcToken: &cloudtaskspb.OidcToken{
			ServiceAccountEmail: q.cfg.ServiceAccount,
			Audience:            origin(worker.URL),
		}}
	}
	parent := fmt.Sprintf("projects/%s/locations/%s/queues/%s%s", q.cfg.Project, q.cfg.Location, q.cfg.Prefix, t.Target)
	task := &cloudtaskspb.Task{
		Name:        parent + "/tasks/" + t.Name,
		MessageType: &cloudtaskspb.Task_HttpRequest{HttpRequest: call},
	}
	if worker.Deadline > 0 {
		task.DispatchDeadline = durationpb.New(worker.Deadline)
	}
	if t.Delay > 0 {
		task.ScheduleTime = timestamppb.New(time.Now().Add(t.Delay))
	}
	return &cloudtaskspb.CreateTaskRequest{Parent: parent, Task: task}, nil
}

// origin is the URL without its path: the audience that Cloud Run expects.
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Scheme + "://" + u.Host
}

func transient(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Internal, codes.Aborted, codes.ResourceExhausted, codes.Unknown:
		return true
	}
	return false
}

// sleep tells whether ctx let it sleep to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
