package emulator

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"sync"
	"time"

	"cloud.google.com/go/cloudtasks/apiv2/cloudtaskspb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const defaultDeadline = 10 * time.Minute

// answer is how an attempt ended.
type answer struct {
	status     int           // 0 when none was heard
	failure    codes.Code    // why none was heard
	retryAfter time.Duration // what the worker asked for
}

func (a answer) ok() bool { return a.status >= 200 && a.status <= 299 }

func (a answer) String() string {
	if a.status != 0 {
		return strconv.Itoa(a.status)
	}
	return a.failure.String()
}

// execute makes one attempt at a task and draws the conclusion.
func (e *Emulator) execute(ctx context.Context, q *queue, t *task) {
	e.mu.Lock()
	deliver := e.begin(t)
	e.mu.Unlock()
	var fault Fault
	if e.opts.Faults != nil {
		fault = e.opts.Faults(deliver.delivery)
	}
	if fault.Lose {
		e.conclude(q, t, answer{status: http.StatusOK})
		return
	}
	var copies sync.WaitGroup
	for range fault.Copies {
		if fault.AtOnce {
			copies.Go(func() { e.post(ctx, deliver) })
		} else {
			e.post(ctx, deliver)
		}
	}
	heard := e.post(ctx, deliver)
	copies.Wait()
	if fault.DropResponse {
		heard = answer{failure: codes.Unavailable}
	}
	if ctx.Err() == nil {
		e.conclude(q, t, heard)
	}
}

// request is what one attempt sends.
type request struct {
	delivery Delivery
	call     *cloudtaskspb.HttpRequest
	deadline time.Duration
	headers  map[string]string
}

// begin notes the attempt in the task and says what to send. Emulator.mu is held.
func (e *Emulator) begin(t *task) request {
	now := time.Now()
	p := t.proto
	if t.first.IsZero() {
		t.first = now
		p.FirstAttempt = &cloudtaskspb.Attempt{ScheduleTime: p.ScheduleTime, DispatchTime: timestamppb.New(now)}
	}
	p.LastAttempt = &cloudtaskspb.Attempt{ScheduleTime: p.ScheduleTime, DispatchTime: timestamppb.New(now)}
	p.DispatchCount++
	deadline := cmp.Or(e.opts.Deadline, p.DispatchDeadline.AsDuration(), defaultDeadline)
	eta := p.ScheduleTime.AsTime()
	headers := map[string]string{
		"User-Agent":                      "Google-Cloud-Tasks",
		"X-CloudTasks-QueueName":          path.Base(path.Dir(path.Dir(p.Name))),
		"X-CloudTasks-TaskName":           path.Base(p.Name),
		"X-CloudTasks-TaskRetryCount":     strconv.Itoa(int(p.DispatchCount) - 1),
		"X-CloudTasks-TaskExecutionCount": strconv.Itoa(int(p.ResponseCount)),
		"X-CloudTasks-TaskETA":            fmt.Sprintf("%d.%06d", eta.Unix(), eta.Nanosecond()/1000),
	}
	if t.outcome != "" {
		headers["X-CloudTasks-TaskRetryReason"] = "the last attempt ended with " + t.outcome
	}
	if t.status != 0 {
		headers["X-CloudTasks-TaskPreviousResponse"] = strconv.Itoa(t.status)
	}
	return request{
		delivery: Delivery{Queue: headers["X-CloudTasks-QueueName"], Task: headers["X-CloudTasks-TaskName"], Retry: int(p.DispatchCount) - 1},
		call:     p.GetHttpRequest(), deadline: deadline, headers: headers,
	}
}

// post calls the worker and waits until it answers or the deadline passes.
func (e *Emulator) post(ctx context.Context, r request) answer {
	authorization := ""
	if oidc := r.call.GetOidcToken(); oidc != nil {
		token, err := e.opts.Issuer.Token(oidc.ServiceAccountEmail, oidc.Audience)
		if err != nil {
			return answer{failure: codes.Internal}
		}
		authorization = "Bearer " + token
	}
	ctx, cancel := context.WithTimeout(ctx, r.deadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.call.HttpMethod.String(), r.call.Url, bytes.NewReader(r.call.Body))
	if err != nil {
		return answer{failure: codes.InvalidArgument}
	}
	for _, headers := range []map[string]string{r.call.Headers, r.headers} {
		for name, value := range headers {
			req.Header.Set(name, value)
		}
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := e.opts.Client.Do(req)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return answer{failure: codes.DeadlineExceeded}
	case err != nil:
		return answer{failure: codes.Unavailable}
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
	return answer{status: res.StatusCode, retryAfter: time.Duration(seconds) * time.Second}
}

// conclude ends the task or schedules its next attempt.
func (e *Emulator) conclude(q *queue, t *task, heard answer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	defer q.wake()
	q.running--
	t.running = false
	p := t.proto
	if heard.status != 0 {
		p.ResponseCount++
		p.LastAttempt.ResponseTime = timestamppb.Now()
	}
	p.LastAttempt.ResponseStatus = status.New(heard.failure, heard.String()).Proto()
	t.status, t.outcome = heard.status, heard.String()
	if heard.ok() || e.exhausted(q, t) {
		delete(q.tasks, p.Name)
		return
	}
	t.backoff++
	wait := max(pause(q.config.RetryConfig, t.backoff), heard.retryAfter)
	p.ScheduleTime = timestamppb.New(time.Now().Add(wait))
}

// exhausted tells whether both limits are passed, those that are set.
func (e *Emulator) exhausted(q *queue, t *task) bool {
	retry := q.config.RetryConfig
	if retry.MaxAttempts < 0 || t.proto.DispatchCount < retry.MaxAttempts {
		return false
	}
	limit := retry.MaxRetryDuration.AsDuration()
	return limit == 0 || time.Since(t.first) >= limit
}
