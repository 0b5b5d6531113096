package emulator

import (
	"cmp"
	"context"
	"maps"
	"path"
	"slices"
	"time"

	"cloud.google.com/go/cloudtasks/apiv2/cloudtaskspb"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// queue hands out its tasks from one goroutine. All fields but the limiter are
// guarded by Emulator.mu.
type queue struct {
	config  *cloudtaskspb.Queue
	tasks   map[string]*task // those that are not done, by full name
	taken   map[string]bool  // every name ever used
	running int
	limiter *rate.Limiter
	changed chan struct{} // has room for one: look again
	stop    context.CancelFunc
}

type task struct {
	proto   *cloudtaskspb.Task
	running bool
	backoff int       // failures so far, for the pause
	first   time.Time // of the first attempt
	status  int       // that the last attempt got; 0 when none
	outcome string    // of the last attempt, in words
}

// queue gives the limits the service's form.
func (o QueueOptions) queue(name string) *cloudtaskspb.Queue {
	return &cloudtaskspb.Queue{
		Name: name,
		RateLimits: &cloudtaskspb.RateLimits{
			MaxConcurrentDispatches: int32(o.MaxConcurrent), MaxDispatchesPerSecond: o.MaxPerSecond,
		},
		RetryConfig: &cloudtaskspb.RetryConfig{
			MaxAttempts: int32(o.MaxAttempts), MaxDoublings: int32(o.MaxDoublings),
			MaxRetryDuration: length(o.MaxRetryTime), MinBackoff: length(o.MinBackoff), MaxBackoff: length(o.MaxBackoff),
		},
	}
}

func length(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

// withDefaults fills in what the service would.
func withDefaults(q *cloudtaskspb.Queue) *cloudtaskspb.Queue {
	q = proto.Clone(q).(*cloudtaskspb.Queue)
	if q.RateLimits == nil {
		q.RateLimits = new(cloudtaskspb.RateLimits)
	}
	if q.RetryConfig == nil {
		q.RetryConfig = new(cloudtaskspb.RetryConfig)
	}
	limits, retry := q.RateLimits, q.RetryConfig
	limits.MaxConcurrentDispatches = cmp.Or(limits.MaxConcurrentDispatches, 1000)
	limits.MaxDispatchesPerSecond = cmp.Or(limits.MaxDispatchesPerSecond, 500)
	limits.MaxBurstSize = max(1, int32(limits.MaxDispatchesPerSecond/5))
	retry.MaxAttempts = cmp.Or(retry.MaxAttempts, 100)
	retry.MaxDoublings = cmp.Or(retry.MaxDoublings, 16)
	retry.MinBackoff = cmp.Or(retry.MinBackoff, durationpb.New(100*time.Millisecond))
	retry.MaxBackoff = cmp.Or(retry.MaxBackoff, durationpb.New(time.Hour))
	if q.State == cloudtaskspb.Queue_STATE_UNSPECIFIED {
		q.State = cloudtaskspb.Queue_RUNNING
	}
	return q
}

// addQueue begins to serve a queue.
func (e *Emulator) addQueue(config *cloudtaskspb.Queue) *queue {
	config = withDefaults(config)
	limits := config.RateLimits
	ctx, stop := context.WithCancel(e.ctx)
	q := &queue{
		config: config, tasks: make(map[string]*task), taken: make(map[string]bool), stop: stop,
		limiter: rate.NewLimiter(rate.Limit(limits.MaxDispatchesPerSecond), int(limits.MaxBurstSize)),
		changed: make(chan struct{}, 1),
	}
	e.queues[config.Name] = q
	e.working.Go(func() { e.serve(ctx, q) })
	return q
}

// serve hands out tasks until ctx ends.
func (e *Emulator) serve(ctx context.Context, q *queue) {
	for {
		t, wait := e.next(q)
		if t != nil {
			e.working.Go(func() { e.execute(ctx, q, t) })
			if q.limiter.Wait(ctx) != nil {
				return
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-q.changed:
		case <-time.After(wait):
		}
	}
}

// next takes a task that is due, or tells how long to wait when nothing changes.
func (e *Emulator) next(q *queue) (*task, time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	wait := time.Hour
	full := q.running >= int(q.config.RateLimits.MaxConcurrentDispatches)
	if full || q.config.State != cloudtaskspb.Queue_RUNNING {
		return nil, wait
	}
	var due []*task
	for _, t := range q.tasks {
		if t.running {
			continue
		}
		if until := time.Until(t.proto.ScheduleTime.AsTime()); until > 0 {
			wait = min(wait, until)
		} else {
			due = append(due, t)
		}
	}
	if len(due) == 0 {
		return nil, wait
	}
	slices.SortFunc(due, func(a, b *task) int {
		return cmp.Or(a.proto.ScheduleTime.AsTime().Compare(b.proto.ScheduleTime.AsTime()), cmp.Compare(a.proto.Name, b.proto.Name))
	})
	t := due[0]
	if e.opts.Pick != nil {
		names := make([]string, len(due))
		for i, d := range due {
			names[i] = path.Base(d.proto.Name)
		}
		t = due[e.opts.Pick(names)]
	}
	t.running = true
	q.running++
	return t, 0
}

// wake makes serve look again.
func (q *queue) wake() {
	select {
	case q.changed <- struct{}{}:
	default: // it will
	}
}

func (q *queue) sorted() []*task {
	return slices.SortedFunc(maps.Values(q.tasks), func(a, b *task) int { return cmp.Compare(a.proto.Name, b.proto.Name) })
}

// pause is how long a task waits after its n-th failure: it doubles MaxDoublings
// times, then grows evenly, and is never longer than MaxBackoff.
func pause(retry *cloudtaskspb.RetryConfig, n int) time.Duration {
	doublings := min(n-1, int(retry.MaxDoublings))
	d := float64(retry.MinBackoff.AsDuration())
	for range doublings {
		d *= 2
	}
	if extra := n - 1 - doublings; extra > 0 {
		d += d * float64(extra)
	}
	return time.Duration(min(d, float64(retry.MaxBackoff.AsDuration())))
}
