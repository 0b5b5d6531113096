package emulator

import (
	"context"
	"crypto/rand"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/cloudtasks/apiv2/cloudtaskspb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	maxTaskSize = 100 << 10 // bytes
	maxDelay    = 30 * 24 * time.Hour
	minDeadline = 15 * time.Second
	maxDeadline = 30 * time.Minute
)

var taskID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,500}$`)

// CreateTask implements the service.
func (e *Emulator) CreateTask(_ context.Context, req *cloudtaskspb.CreateTaskRequest) (*cloudtaskspb.Task, error) {
	if err := check(req); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	q, ok := e.queues[req.Parent]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "Queue does not exist. If you just created the queue, wait at least a minute for the queue to initialize.")
	}
	p := proto.Clone(req.Task).(*cloudtaskspb.Task)
	if p.Name == "" {
		p.Name = req.Parent + "/tasks/" + rand.Text()
	}
	if q.taken[p.Name] {
		return nil, status.Errorf(codes.AlreadyExists, "Requested entity already exists")
	}
	now := timestamppb.Now()
	p.CreateTime = now
	if p.ScheduleTime == nil || p.ScheduleTime.AsTime().Before(now.AsTime()) {
		p.ScheduleTime = now
	}
	if call := p.GetHttpRequest(); call.HttpMethod == cloudtaskspb.HttpMethod_HTTP_METHOD_UNSPECIFIED {
		call.HttpMethod = cloudtaskspb.HttpMethod_POST
	}
	if oidc := p.GetHttpRequest().GetOidcToken(); oidc != nil && oidc.Audience == "" {
		oidc.Audience = p.GetHttpRequest().Url
	}
	q.taken[p.Name] = true
	q.tasks[p.Name] = &task{proto: p}
	q.wake()
	return view(p, req.ResponseView), nil
}

// check refuses what the service refuses.
func check(req *cloudtaskspb.CreateTaskRequest) error {
	t := req.GetTask()
	call := t.GetHttpRequest()
	if call == nil {
		return status.Error(codes.InvalidArgument, "only HTTP targets are supported")
	}
	if u, err := url.Parse(call.Url); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return status.Errorf(codes.InvalidArgument, "HttpRequest.url is invalid: %q", call.Url)
	}
	if t.Name != "" && (path.Dir(path.Dir(t.Name)) != req.Parent || !taskID.MatchString(path.Base(t.Name))) {
		return status.Errorf(codes.InvalidArgument, "Task.name is invalid: %q", t.Name)
	}
	if proto.Size(t) > maxTaskSize {
		return status.Errorf(codes.InvalidArgument, "Task size too large: %d bytes", proto.Size(t))
	}
	if t.ScheduleTime != nil && time.Until(t.ScheduleTime.AsTime()) > maxDelay {
		return status.Error(codes.InvalidArgument, "schedule_time is too far in the future")
	}
	if d := t.DispatchDeadline; d != nil && (d.AsDuration() < minDeadline || d.AsDuration() > maxDeadline) {
		return status.Error(codes.InvalidArgument, "Task.dispatchDeadline must be between [15s, 30m]")
	}
	return nil
}

// GetTask implements the service.
func (e *Emulator) GetTask(_ context.Context, req *cloudtaskspb.GetTaskRequest) (*cloudtaskspb.Task, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, t, err := e.task(req.Name)
	if err != nil {
		return nil, err
	}
	return view(t.proto, req.ResponseView), nil
}

// ListTasks implements the service, on one page.
func (e *Emulator) ListTasks(_ context.Context, req *cloudtaskspb.ListTasksRequest) (*cloudtaskspb.ListTasksResponse, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q, err := e.queue(req.Parent)
	if err != nil {
		return nil, err
	}
	var res cloudtaskspb.ListTasksResponse
	for _, t := range q.sorted() {
		res.Tasks = append(res.Tasks, view(t.proto, req.ResponseView))
	}
	return &res, nil
}

// DeleteTask implements the service; an attempt under way goes on unheard.
func (e *Emulator) DeleteTask(_ context.Context, req *cloudtaskspb.DeleteTaskRequest) (*emptypb.Empty, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q, t, err := e.task(req.Name)
	if err != nil {
		return nil, err
	}
	delete(q.tasks, t.proto.Name)
	return new(emptypb.Empty), nil
}

// RunTask implements the service: the task is due now.
func (e *Emulator) RunTask(_ context.Context, req *cloudtaskspb.RunTaskRequest) (*cloudtaskspb.Task, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q, t, err := e.task(req.Name)
	if err != nil {
		return nil, err
	}
	t.proto.ScheduleTime = timestamppb.Now()
	q.wake()
	return view(t.proto, req.ResponseView), nil
}

// CreateQueue implements the service.
func (e *Emulator) CreateQueue(_ context.Context, req *cloudtaskspb.CreateQueueRequest) (*cloudtaskspb.Queue, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	name := req.GetQueue().GetName()
	if path.Dir(path.Dir(name)) != req.Parent || !taskID.MatchString(path.Base(name)) {
		return nil, status.Errorf(codes.InvalidArgument, "Queue.name is invalid: %q", name)
	}
	if e.queues[name] != nil {
		return nil, status.Error(codes.AlreadyExists, "Queue already exists")
	}
	return snapshot(e.addQueue(req.Queue)), nil
}

// GetQueue implements the service.
func (e *Emulator) GetQueue(_ context.Context, req *cloudtaskspb.GetQueueRequest) (*cloudtaskspb.Queue, error) {
	return e.change(req.Name, func(*queue) {})
}

// ListQueues implements the service, on one page.
func (e *Emulator) ListQueues(_ context.Context, req *cloudtaskspb.ListQueuesRequest) (*cloudtaskspb.ListQueuesResponse, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var res cloudtaskspb.ListQueuesResponse
	for _, name := range slices.Sorted(maps.Keys(e.queues)) {
		if strings.HasPrefix(name, req.Parent+"/queues/") {
			res.Queues = append(res.Queues, snapshot(e.queues[name]))
		}
	}
	return &res, nil
}

// DeleteQueue implements the service.
func (e *Emulator) DeleteQueue(_ context.Context, req *cloudtaskspb.DeleteQueueRequest) (*emptypb.Empty, error) {
	_, err := e.change(req.Name, func(q *queue) {
		q.stop()
		delete(e.queues, req.Name)
	})
	return new(emptypb.Empty), err
}

// PurgeQueue implements the service.
func (e *Emulator) PurgeQueue(_ context.Context, req *cloudtaskspb.PurgeQueueRequest) (*cloudtaskspb.Queue, error) {
	return e.change(req.Name, func(q *queue) { clear(q.tasks) })
}

// PauseQueue implements the service: nothing more is handed out.
func (e *Emulator) PauseQueue(_ context.Context, req *cloudtaskspb.PauseQueueRequest) (*cloudtaskspb.Queue, error) {
	return e.change(req.Name, func(q *queue) { q.config.State = cloudtaskspb.Queue_PAUSED })
}

// ResumeQueue implements the service.
func (e *Emulator) ResumeQueue(_ context.Context, req *cloudtaskspb.ResumeQueueRequest) (*cloudtaskspb.Queue, error) {
	return e.change(req.Name, func(q *queue) { q.config.State = cloudtaskspb.Queue_RUNNING })
}

func (e *Emulator) change(name string, do func(*queue)) (*cloudtaskspb.Queue, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q, err := e.queue(name)
	if err != nil {
		return nil, err
	}
	do(q)
	q.wake()
	return snapshot(q), nil
}

func (e *Emulator) queue(name string) (*queue, error) {
	if q, ok := e.queues[name]; ok {
		return q, nil
	}
	return nil, status.Error(codes.NotFound, "Queue does not exist.")
}

func (e *Emulator) task(name string) (*queue, *task, error) {
	q, err := e.queue(path.Dir(path.Dir(name)))
	if err != nil {
		return nil, nil, err
	}
	t, ok := q.tasks[name]
	if !ok {
		return nil, nil, status.Error(codes.NotFound, "The task no longer exists, though a task with this name existed recently.")
	}
	return q, t, nil
}

func snapshot(q *queue) *cloudtaskspb.Queue { return proto.Clone(q.config).(*cloudtaskspb.Queue) }

// view is a copy; the body comes with the full view only.
func view(t *cloudtaskspb.Task, v cloudtaskspb.Task_View) *cloudtaskspb.Task {
	t = proto.Clone(t).(*cloudtaskspb.Task)
	t.View = v
	if v != cloudtaskspb.Task_FULL {
		t.View = cloudtaskspb.Task_BASIC
		t.GetHttpRequest().Body = nil
	}
	return t
}
