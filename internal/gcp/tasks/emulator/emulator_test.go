package emulator_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cloudtasks "cloud.google.com/go/cloudtasks/apiv2"
	"cloud.google.com/go/cloudtasks/apiv2/cloudtaskspb"
	"google.golang.org/api/idtoken"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"lectern.dev/lectern/internal/gcp/dispatch"
	"lectern.dev/lectern/internal/gcp/issuer"
	"lectern.dev/lectern/internal/gcp/tasks"
	"lectern.dev/lectern/internal/gcp/tasks/emulator"
	"lectern.dev/lectern/internal/queue"
)

// attempt is what a worker saw.
type attempt struct {
	task, retry, executions, previous string
	at                                time.Time
	token                             string
}

// rig is one queue whose worker answers by script.
type rig struct {
	emulator *emulator.Emulator
	queue    *tasks.Queue
	attempts chan attempt
}

func start(t *testing.T, opts emulator.Options, limits emulator.QueueOptions, answer func(n int, w http.ResponseWriter, r *http.Request)) *rig {
	t.Helper()
	attempts := make(chan attempt, 1000)
	var count atomic.Int32
	opts.Queues = map[string]emulator.QueueOptions{"render": limits}
	opts.Client = dispatch.Client(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		attempts <- attempt{
			task: r.Header.Get("X-CloudTasks-TaskName"), retry: r.Header.Get("X-CloudTasks-TaskRetryCount"),
			executions: r.Header.Get("X-CloudTasks-TaskExecutionCount"), previous: r.Header.Get("X-CloudTasks-TaskPreviousResponse"),
			at: time.Now(), token: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "),
		}
		answer(int(count.Add(1)), w, r)
	}))
	e, err := emulator.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	q, err := e.Open(t.Context(), tasks.Config{
		Functions: map[queue.Target]tasks.Function{queue.Render: {URL: "http://render.test/"}}, ServiceAccount: "tasks@lectern.test",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return &rig{e, q, attempts}
}

func (r *rig) enqueue(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := r.queue.Enqueue(t.Context(), queue.Task{Target: queue.Render, Name: name}); err != nil {
			t.Fatal(err)
		}
	}
}

func (r *rig) next(t *testing.T) attempt {
	t.Helper()
	select {
	case a := <-r.attempts:
		return a
	case <-time.After(20 * time.Second):
		t.Fatal("no attempt came")
		return attempt{}
	}
}

// settled waits until no task is left and gives the attempts that were made.
func (r *rig) settled(t *testing.T) []attempt {
	t.Helper()
	client := admin(t, r.emulator)
	for deadline := time.Now().Add(20 * time.Second); ; {
		_, err := client.ListTasks(t.Context(), &cloudtaskspb.ListTasksRequest{Parent: parent}).Next()
		if err != nil {
			break // the end of an empty list
		}
		if time.Now().After(deadline) {
			t.Fatal("tasks are left")
		}
		time.Sleep(2 * time.Millisecond)
	}
	var all []attempt
	for len(r.attempts) > 0 {
		all = append(all, <-r.attempts)
	}
	return all
}

const parent = "projects/" + emulator.Project + "/locations/" + emulator.Location + "/queues/render"

func admin(t *testing.T, e *emulator.Emulator) *cloudtasks.Client {
	t.Helper()
	client, err := cloudtasks.NewClient(t.Context(), e.ClientOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func fine(int, http.ResponseWriter, *http.Request) {}

func TestRetriesBackOffAndDouble(t *testing.T) {
	t.Parallel()
	r := start(t, emulator.Options{}, emulator.QueueOptions{MinBackoff: 20 * time.Millisecond, MaxBackoff: 60 * time.Millisecond},
		func(n int, w http.ResponseWriter, _ *http.Request) {
			if n < 5 {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
	r.enqueue(t, "a")
	var last time.Time
	for i, least := range []time.Duration{0, 20, 40, 60, 60} {
		a := r.next(t)
		if a.retry != fmt.Sprint(i) || a.executions != fmt.Sprint(i) || (a.previous == "500") != (i > 0) {
			t.Errorf("attempt %d: %+v", i, a)
		}
		if gap := a.at.Sub(last); i > 0 && gap < least*time.Millisecond {
			t.Errorf("attempt %d came after %v, want at least %d ms", i, gap, least)
		}
		last = a.at
	}
	if rest := r.settled(t); len(rest) != 0 {
		t.Errorf("more attempts: %+v", rest)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	r := start(t, emulator.Options{}, emulator.QueueOptions{MinBackoff: time.Millisecond}, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	r.enqueue(t, "a")
	first, second := r.next(t), r.next(t)
	if gap := second.at.Sub(first.at); gap < time.Second {
		t.Errorf("it came again after %v", gap)
	}
}

func TestAttemptsEnd(t *testing.T) {
	t.Parallel()
	r := start(t, emulator.Options{}, emulator.QueueOptions{MinBackoff: time.Millisecond, MaxAttempts: 3},
		func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) })
	r.enqueue(t, "a")
	if all := r.settled(t); len(all) != 3 {
		t.Errorf("%d attempts, want 3", len(all))
	}
	r.enqueue(t, "a") // the name stays taken
	if all := r.settled(t); len(all) != 0 {
		t.Errorf("a taken name was executed again: %+v", all)
	}
}

func TestDeadlineRedispatches(t *testing.T) {
	t.Parallel()
	zombie := make(chan struct{})
	r := start(t, emulator.Options{Deadline: 30 * time.Millisecond}, emulator.QueueOptions{MinBackoff: time.Millisecond},
		func(n int, _ http.ResponseWriter, _ *http.Request) {
			if n == 1 {
				<-zombie // and does not look at its context
			}
		})
	begin := time.Now()
	r.enqueue(t, "a")
	first, second := r.next(t), r.next(t)
	if first.retry != "0" || second.retry != "1" || second.executions != "0" || second.at.Sub(begin) < 30*time.Millisecond {
		t.Errorf("first %+v, second %+v", first, second)
	}
	r.settled(t)
	close(zombie)
}

func TestConcurrencyIsLimited(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int32
	together := make(chan struct{}) // three have met
	meet := sync.OnceFunc(func() { close(together) })
	r := start(t, emulator.Options{}, emulator.QueueOptions{MaxConcurrent: 3}, func(int, http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n == 3 {
			meet()
		}
		<-together // however slowly they come
		time.Sleep(3 * time.Millisecond)
		now.Add(-1)
	})
	for i := range 20 {
		r.enqueue(t, fmt.Sprint("t", i))
	}
	if all := r.settled(t); len(all) != 20 || most.Load() != 3 {
		t.Errorf("%d attempts, %d at once", len(all), most.Load())
	}
}

func TestRateIsLimited(t *testing.T) {
	t.Parallel()
	r := start(t, emulator.Options{}, emulator.QueueOptions{MaxPerSecond: 50}, fine)
	begin := time.Now()
	for i := range 20 {
		r.enqueue(t, fmt.Sprint("t", i))
	}
	r.settled(t)
	if took := time.Since(begin); took < 150*time.Millisecond { // 20 at 50 a second, a burst of 10 less
		t.Errorf("20 deliveries in %v", took)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	faults := map[string]emulator.Fault{
		"lost": {Lose: true}, "twice": {Copies: 1}, "five": {Copies: 4, AtOnce: true}, "unheard": {DropResponse: true},
	}
	var together sync.WaitGroup
	together.Add(5)
	r := start(t, emulator.Options{Faults: func(d emulator.Delivery) emulator.Fault {
		if d.Retry > 0 {
			return emulator.Fault{}
		}
		return faults[d.Task]
	}}, emulator.QueueOptions{MinBackoff: time.Millisecond}, func(_ int, _ http.ResponseWriter, req *http.Request) {
		if req.Header.Get("X-CloudTasks-TaskName") == "five" {
			together.Done()
			together.Wait()
		}
	})
	r.enqueue(t, "lost", "twice", "five", "unheard")
	seen := make(map[string]int)
	for _, a := range r.settled(t) {
		seen[a.task]++
	}
	if fmt.Sprint(seen) != "map[five:5 twice:2 unheard:2]" {
		t.Errorf("seen %v", seen)
	}
}

func TestOrderByPick(t *testing.T) {
	t.Parallel()
	r := start(t, emulator.Options{Pick: func(due []string) int { return len(due) - 1 }}, emulator.QueueOptions{MaxConcurrent: 1}, fine)
	client := admin(t, r.emulator)
	if _, err := client.PauseQueue(t.Context(), &cloudtaskspb.PauseQueueRequest{Name: parent}); err != nil {
		t.Fatal(err)
	}
	r.enqueue(t, "a", "b", "c")
	if _, err := client.ResumeQueue(t.Context(), &cloudtaskspb.ResumeQueueRequest{Name: parent}); err != nil {
		t.Fatal(err)
	}
	if got := r.next(t).task + r.next(t).task + r.next(t).task; got != "cba" {
		t.Errorf("order %s", got)
	}
}

func TestTokensAreValid(t *testing.T) {
	t.Parallel()
	local := &issuer.Issuer{URL: "http://127.0.0.1:8080"}
	r := start(t, emulator.Options{Issuer: local}, emulator.QueueOptions{}, fine)
	r.enqueue(t, "a")
	token := r.next(t).token
	// Google's own validator, which asks for keys through this client.
	validator, err := idtoken.NewValidator(t.Context(), option.WithHTTPClient(dispatch.Client(local.JWKS())))
	if err != nil {
		t.Fatal(err)
	}
	claims, err := validator.Validate(t.Context(), token, "http://render.test")
	if err != nil {
		t.Fatal(err)
	}
	if claims.Issuer != "http://127.0.0.1:8080" || claims.Claims["email"] != "tasks@lectern.test" {
		t.Errorf("claims %+v", claims)
	}
	if _, err := validator.Validate(t.Context(), token, "http://other.test"); err == nil {
		t.Error("another audience was accepted")
	}
	if _, err := validator.Validate(t.Context(), token[:len(token)-8]+"AAAAAAAA", "http://render.test"); err == nil {
		t.Error("a broken signature was accepted")
	}
}

func TestService(t *testing.T) {
	t.Parallel()
	r := start(t, emulator.Options{}, emulator.QueueOptions{}, fine)
	client, ctx := admin(t, r.emulator), t.Context()
	if _, err := client.PauseQueue(ctx, &cloudtaskspb.PauseQueueRequest{Name: parent}); err != nil {
		t.Fatal(err)
	}
	r.enqueue(t, "a", "b")
	got, err := client.GetTask(ctx, &cloudtaskspb.GetTaskRequest{Name: parent + "/tasks/a"})
	if err != nil || got.GetHttpRequest().Url != "http://render.test/" {
		t.Errorf("got %v, %v", got, err)
	}
	if err := client.DeleteTask(ctx, &cloudtaskspb.DeleteTaskRequest{Name: parent + "/tasks/a"}); err != nil {
		t.Error(err)
	}
	if _, err := client.GetTask(ctx, &cloudtaskspb.GetTaskRequest{Name: parent + "/tasks/a"}); status.Code(err) != codes.NotFound {
		t.Errorf("a deleted task: %v", err)
	}
	if _, err := client.CreateTask(ctx, create("a", "http://render.test/")); status.Code(err) != codes.AlreadyExists {
		t.Errorf("a deleted task's name: %v", err)
	}
	if _, err := client.ResumeQueue(ctx, &cloudtaskspb.ResumeQueueRequest{Name: parent}); err != nil {
		t.Fatal(err)
	}
	if all := r.settled(t); len(all) != 1 || all[0].task != "b" {
		t.Errorf("executed %+v", all)
	}
}

func TestServiceRefuses(t *testing.T) {
	t.Parallel()
	r := start(t, emulator.Options{}, emulator.QueueOptions{}, fine)
	client := admin(t, r.emulator)
	for name, c := range map[string]struct {
		change func(*cloudtaskspb.CreateTaskRequest)
		want   codes.Code
	}{
		"a wrong name":       {func(q *cloudtaskspb.CreateTaskRequest) { q.Task.Name += "/x y" }, codes.InvalidArgument},
		"no URL":             {func(q *cloudtaskspb.CreateTaskRequest) { q.Task.GetHttpRequest().Url = "render" }, codes.InvalidArgument},
		"a huge body":        {func(q *cloudtaskspb.CreateTaskRequest) { q.Task.GetHttpRequest().Body = make([]byte, 101<<10) }, codes.InvalidArgument},
		"a short deadline":   {func(q *cloudtaskspb.CreateTaskRequest) { q.Task.DispatchDeadline = durationpb.New(time.Second) }, codes.InvalidArgument},
		"an unknown queue":   {func(q *cloudtaskspb.CreateTaskRequest) { q.Parent += "x"; q.Task.Name = "" }, codes.NotFound},
		"no target":          {func(q *cloudtaskspb.CreateTaskRequest) { q.Task.MessageType = nil }, codes.InvalidArgument},
		"without a name, ok": {func(q *cloudtaskspb.CreateTaskRequest) { q.Task.Name = "" }, codes.OK},
	} {
		req := create("n", "http://render.test/")
		c.change(req)
		if _, err := client.CreateTask(t.Context(), req); status.Code(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func create(name, url string) *cloudtaskspb.CreateTaskRequest {
	return &cloudtaskspb.CreateTaskRequest{Parent: parent, Task: &cloudtaskspb.Task{
		Name:        parent + "/tasks/" + name,
		MessageType: &cloudtaskspb.Task_HttpRequest{HttpRequest: &cloudtaskspb.HttpRequest{Url: url}},
	}}
}
