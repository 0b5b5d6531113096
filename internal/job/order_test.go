package job_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/job"
)

// plan, two lessons that are written and then examined, and the review of all:
// six steps, as a small course has them.
func smallCourse() []job.NewStep {
	return []job.NewStep{
		step("plan"),
		step("write/1", "plan"), step("write/2", "plan"),
		step("examine/1", "write/1"), step("examine/2", "write/2"),
		step("review", "examine/1", "examine/2"),
	}
}

// F06: whatever the order in which the tasks of six steps come, with each one that
// is early coming again, the final state is the same.
func TestEveryOrderOfSixTasks(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	orders := permutations(6)
	if testing.Short() {
		orders = orders[:60]
	}
	next := make(chan []int)
	go func() {
		defer close(next)
		for _, o := range orders {
			next <- o
		}
	}()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for order := range next {
				if got := h.deliver(t, smallCourse(), order); got != finalState(smallCourse()) {
					t.Errorf("order %v ends in\n%s", order, got)
				}
			}
		})
	}
	all.Wait()
}

// Larger jobs, in random shapes and orders, with tasks that come more than once.
func TestRandomOrders(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	rapid.Check(t, func(rt *rapid.T) {
		var steps []job.NewStep
		for i := range rapid.IntRange(1, 9).Draw(rt, "steps") {
			s := step(fmt.Sprintf("s%d", i))
			for _, earlier := range steps {
				if rapid.IntRange(0, 2).Draw(rt, "needs") == 0 {
					s.Needs = append(s.Needs, earlier.Name)
				}
			}
			steps = append(steps, s)
		}
		order := rapid.SliceOfN(rapid.IntRange(0, len(steps)-1), 0, 2*len(steps)).Draw(rt, "duplicates")
		for i := range steps {
			order = append(order, i)
		}
		order = rapid.Permutation(order).Draw(rt, "order")
		if got := h.deliver(t, steps, order); got != finalState(steps) {
			rt.Fatalf("ends in\n%s", got)
		}
	})
}

// deliver makes a job of steps and delivers its tasks in that order, those that
// are refused again after the others, and gives the final state.
func (h *house) deliver(t *testing.T, steps []job.NewStep, order []int) string {
	serial.Lock()
	serial.n++
	subject := fmt.Sprintf("subject_%d", serial.n)
	serial.Unlock()
	j, _ := h.open(t, newJob(job.Generate, subject, "", steps...))
	for waiting := slices.Clone(order); len(waiting) > 0; {
		i := waiting[0]
		waiting = waiting[1:]
		err := h.Execute(t.Context(), body(j, steps[i].Name), func(ctx context.Context, run *job.Run) (job.Result, error) {
			return job.Result{Output: steps[i].Needs, Apply: func(ctx context.Context, tx pgx.Tx) error {
				return effect(ctx, tx, subject+" "+run.Step.Name)
			}}, nil
		})
		switch {
		case unavailable(err):
			waiting = append(waiting, i)
		case err != nil:
			t.Error(err)
		}
	}
	var state string
	err := h.pool.QueryRow(t.Context(), `
		SELECT j.state || ' ' || j.done || '/' || j.total || E'\n' || (
			SELECT string_agg(concat_ws(' ', name, s.state, attempt, failures, output, (
				SELECT count(*) FROM courses WHERE title = $2 || ' ' || name)), E'\n' ORDER BY name)
			FROM job_steps s WHERE s.job_id = j.job_id)
		FROM jobs j WHERE job_id = $1`, j.ID, subject).Scan(&state)
	if err != nil {
		t.Error(err)
	}
	return state
}

// finalState is what deliver gives when every step has run once.
func finalState(steps []job.NewStep) string {
	var lines []string
	for _, s := range steps {
		needs := "null"
		if len(s.Needs) > 0 {
			needs = `["` + strings.Join(s.Needs, `", "`) + `"]`
		}
		lines = append(lines, fmt.Sprintf("%s succeeded 1 0 %s 1", s.Name, needs))
	}
	slices.Sort(lines)
	return fmt.Sprintf("succeeded %d/%d\n%s", len(steps), len(steps), strings.Join(lines, "\n"))
}

func permutations(n int) (all [][]int) {
	if n == 0 {
		return [][]int{nil}
	}
	for _, p := range permutations(n - 1) {
		for i := range n {
			all = append(all, slices.Insert(slices.Clone(p), i, n-1))
		}
	}
	return all
}
