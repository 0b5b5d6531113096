package tasks_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/cloudtasks/apiv2/cloudtaskspb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/gcp/dispatch"
	"lectern.dev/lectern/internal/gcp/tasks"
	"lectern.dev/lectern/internal/gcp/tasks/emulator"
	"lectern.dev/lectern/internal/queue"
	"lectern.dev/lectern/internal/queue/queuetest"
	"lectern.dev/lectern/internal/trail"
)

var functions = map[queue.Target]tasks.Function{
	queue.Generate: {URL: "http://generate.test/"},
	queue.Ingest:   {URL: "http://ingest.test/"},
	queue.Render:   {URL: "http://render.test/", Deadline: 30 * time.Minute},
}

func TestConformance(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T, deliver queuetest.Deliver) queue.Queue {
		worker := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			task := queue.Task{
				Target: queue.Target(r.Header.Get("X-CloudTasks-QueueName")),
				Name:   r.Header.Get("X-CloudTasks-TaskName"), Body: body,
			}
			if deliver(r.Context(), task) != nil {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		fast := emulator.QueueOptions{MinBackoff: time.Millisecond}
		e := start(t, emulator.Options{
			Queues: map[string]emulator.QueueOptions{"generate": fast, "ingest": fast, "render": fast},
			Client: dispatch.Client(worker),
		})
		return open(t, e, tasks.Config{Functions: functions})
	})
}

// A real server between, and everything that a worker may rely on.
func TestDelivery(t *testing.T) {
	t.Parallel()
	got := make(chan *http.Request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Clone(context.Background()) }))
	t.Cleanup(server.Close)
	e := start(t, emulator.Options{Queues: map[string]emulator.QueueOptions{"render": {}}})
	q := open(t, e, tasks.Config{
		Functions:      map[queue.Target]tasks.Function{queue.Render: {URL: server.URL + "/render"}},
		ServiceAccount: "tasks@lectern.test",
	})
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ctx, _ := trail.Follow(t.Context(), trail.Parse("request-0001 "+parent), "click")
	if err := q.Enqueue(ctx, queue.Task{Target: queue.Render, Name: "a-1", Body: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	r := <-got
	for name, want := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "Google-Cloud-Tasks",
		"X-Cloudtasks-Queuename": "render", "X-Cloudtasks-Taskname": "a-1",
		"X-Cloudtasks-Taskretrycount": "0", "X-Cloudtasks-Taskexecutioncount": "0",
		"Traceparent": parent, "X-Request-Id": "request-0001",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if r.Method != http.MethodPost || r.URL.Path != "/render" || len(r.Header.Get("Authorization")) < 100 {
		t.Errorf("%s %s, authorization %q", r.Method, r.URL.Path, r.Header.Get("Authorization"))
	}
}

// service is a Cloud Tasks that fails as it is told.
type service struct {
	cloudtaskspb.UnimplementedCloudTasksServer
	calls  atomic.Int32
	answer func(call int32) error
}

func (s *service) CreateTask(_ context.Context, req *cloudtaskspb.CreateTaskRequest) (*cloudtaskspb.Task, error) {
	if err := s.answer(s.calls.Add(1)); err != nil {
		return nil, err
	}
	return req.Task, nil
}

func TestCreateIsRepeated(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(call int32) error
		calls  int32
		ok     bool
	}{
		"unavailable, then fine":           {failFirst(2, codes.Unavailable, nil), 3, true},
		"an answer was lost":               {failFirst(1, codes.Unavailable, status.Error(codes.AlreadyExists, "")), 2, true},
		"taken":                            {failFirst(0, 0, status.Error(codes.AlreadyExists, "")), 1, true},
		"denied is not repeated":           {failFirst(99, codes.PermissionDenied, nil), 1, false},
		"a missing queue is not repeated":  {failFirst(99, codes.NotFound, nil), 1, false},
		"too many requests, and then fine": {failFirst(1, codes.ResourceExhausted, nil), 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &service{answer: c.answer}
			err := serve(t, s).Enqueue(t.Context(), queue.Task{Target: queue.Render, Name: "a"})
			if c.ok && err != nil || !c.ok && !fault.Is(err, fault.Unavailable) || s.calls.Load() != c.calls {
				t.Errorf("%v after %d calls", err, s.calls.Load())
			}
		})
	}
}

func TestEnqueueEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := &service{answer: failFirst(99, codes.Unavailable, nil)}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := serve(t, s).Enqueue(ctx, queue.Task{Target: queue.Render, Name: "a"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]tasks.Config{
		"no project":  {Location: "l", Functions: functions},
		"no function": {Project: "p", Location: "l"},
		"no host":     {Project: "p", Location: "l", Functions: map[queue.Target]tasks.Function{queue.Render: {URL: "/render"}}},
	} {
		if _, err := tasks.Open(t.Context(), cfg, option.WithoutAuthentication()); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func failFirst(n int32, code codes.Code, then error) func(int32) error {
	return func(call int32) error {
		if call <= n {
			return status.Error(code, "for the test")
		}
		return then
	}
}

func serve(t *testing.T, s *service) *tasks.Queue {
	t.Helper()
	server := grpc.NewServer()
	cloudtaskspb.RegisterCloudTasksServer(server, s)
	listener := listen(t)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	q, err := tasks.Open(t.Context(), tasks.Config{Project: "p", Location: "l", Functions: functions}, plain(listener.Addr().String())...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func start(t *testing.T, opts emulator.Options) *emulator.Emulator {
	t.Helper()
	e, err := emulator.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func open(t *testing.T, e *emulator.Emulator, cfg tasks.Config) *tasks.Queue {
	t.Helper()
	q, err := e.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func plain(addr string) []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(addr), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}
}
