package job_test

import (
	"fmt"
	"sync"
	"testing"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
)

func render(lesson, content string) job.NewStep {
	return job.NewStep{Name: "render/" + lesson, Kind: "render", Subject: lesson, Content: content}
}

// A double click, however many times at once, gets the same job.
func TestDoubleClickGetsTheSameJob(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, n := range []job.NewJob{
		newJob(job.Ingest, "src_1", "c", step("ingest")),
		newJob(job.Render, "les_1", "c", render("les_1", "c")),
		newJob(job.Generate, "crs_1", "c", step("plan")),
	} {
		var mu sync.Mutex
		ids, made := map[string]bool{}, 0
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				j, created, err := h.tryOpen(t.Context(), n)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				ids[j.ID] = true
				if created {
					made++
				}
			})
		}
		all.Wait()
		if len(ids) != 1 || made != 1 {
			t.Errorf("%s: %d jobs, %d made", n.Kind, len(ids), made)
		}
	}
	if _, created := h.open(t, newJob(job.Render, "les_1", "changed", render("les_1", "changed"))); !created {
		t.Error("a lesson that has changed gets no job of its own")
	}
}

func TestAJobThatEndedMakesRoom(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := newJob(job.Ingest, "src_1", "1", step("ingest"))
	first, _ := h.open(t, n)
	if err := h.Execute(t.Context(), body(first, "ingest"), write); err != nil {
		t.Fatal(err)
	}
	second, created := h.open(t, n)
	if !created || second.ID == first.ID {
		t.Error("a job that ended came back")
	}
}

func TestOneGenerationPerCourse(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.open(t, newJob(job.Generate, "crs_1", "brief", step("plan")))
	_, _, err := h.tryOpen(t.Context(), newJob(job.Generate, "crs_1", "another brief", step("plan")))
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("two generations of a course at once: %v", err)
	}
	if _, created := h.open(t, newJob(job.Generate, "crs_2", "brief", step("plan"))); !created {
		t.Error("another course had to wait")
	}
}

// Lessons that another job renders are left out; when none is left, that other job
// is the answer.
func TestRendersOfACourseAndItsLessonsOverlap(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	lesson, _ := h.open(t, newJob(job.Render, "les_1", "c1", render("les_1", "c1")))
	whole, created := h.open(t, newJob(job.Render, "crs_1", "all", render("les_1", "c1"), render("les_2", "c2")))
	if !created || whole.Total != 1 {
		t.Errorf("the course's job has %d steps, made: %v", whole.Total, created)
	}
	for name, n := range map[string]job.NewJob{
		"a lesson of the course's job": newJob(job.Render, "les_2", "c2", render("les_2", "c2")),
		"the same lesson":              newJob(job.Render, "les_1", "c1", render("les_1", "c1")),
	} {
		j, created := h.open(t, n)
		if created || (j.ID != whole.ID && j.ID != lesson.ID) {
			t.Errorf("%s: got %s, made: %v", name, j.ID, created)
		}
	}
	var jobs int
	if err := h.pool.QueryRow(t.Context(), `SELECT count(*) FROM jobs`).Scan(&jobs); err != nil || jobs != 2 {
		t.Errorf("%d jobs, %v", jobs, err)
	}
}

// Course and lesson renders at once: each lesson is rendered by exactly one job.
func TestOverlappingRendersAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var all []job.NewStep
	for i := range 5 {
		all = append(all, render(fmt.Sprintf("les_%d", i), "c"))
	}
	var clicks sync.WaitGroup
	for round := range 4 {
		clicks.Go(func() {
			if _, _, err := h.tryOpen(t.Context(), newJob(job.Render, "crs_1", "all", all...)); err != nil {
				t.Error(err)
			}
		})
		for i := range all {
			s := all[(i+round)%len(all)]
			clicks.Go(func() {
				if _, _, err := h.tryOpen(t.Context(), newJob(job.Render, s.Subject, "c", s)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	clicks.Wait()
	var steps, subjects, empty int
	err := h.pool.QueryRow(t.Context(), `
		SELECT count(*), count(DISTINCT subject),
			(SELECT count(*) FROM jobs j WHERE NOT EXISTS (SELECT FROM job_steps s WHERE s.job_id = j.job_id))
		FROM job_steps`).Scan(&steps, &subjects, &empty)
	if err != nil || steps != 5 || subjects != 5 || empty != 0 {
		t.Errorf("%d steps for %d lessons, %d jobs without steps, %v", steps, subjects, empty, err)
	}
}

func TestReading(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first, _ := h.open(t, newJob(job.Ingest, "src_1", "1", step("ingest")))
	second, _ := h.open(t, newJob(job.Ingest, "src_2", "1", step("ingest")))
	if _, err := job.Get(t.Context(), h.pool, "org_other", first.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("another organization reads it: %v", err)
	}
	list, err := job.ForCourse(t.Context(), h.pool, organization, "crs_1", 10)
	if err != nil || len(list) != 2 || list[0].ID != second.ID || list[1].ID != first.ID {
		t.Errorf("%v, %v", list, err)
	}
	if list, err := job.ForCourse(t.Context(), h.pool, "org_other", "crs_1", 10); err != nil || len(list) != 0 {
		t.Errorf("another organization lists %v, %v", list, err)
	}
	var output string
	err = job.Output(t.Context(), h.pool, organization, job.Ref{Job: first.ID, Step: "ingest"}, &output)
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("the output of a step that has not run: %v", err)
	}
}
