package job_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// stranger's organization has a course and a job with a step of every sort.
const stranger = "org_other"

func (h *house) addStranger(t *testing.T) job.Job {
	t.Helper()
	h.exec(t, `INSERT INTO organizations (organization_id, name) VALUES ($1, 'Other')`, stranger)
	h.exec(t, `INSERT INTO courses (course_id, organization_id, title, created_by) VALUES ('crs_other', $1, 'Theirs', 'user')`, stranger)
	n := newJob(job.Generate, "crs_other", "", step("plan"), step("write", "plan"))
	n.Organization, n.CourseID = stranger, "crs_other"
	j, _ := h.open(t, n)
	return j
}

// theirs is every row of every organization but ours, as one text.
func (h *house) theirs(t *testing.T) string {
	t.Helper()
	var text string
	err := h.pool.QueryRow(t.Context(), `
		SELECT concat_ws(' | ',
			(SELECT string_agg(j::text, ' ' ORDER BY job_id) FROM jobs j WHERE organization_id <> $1),
			(SELECT string_agg(s::text, ' ' ORDER BY job_id, name) FROM job_steps s WHERE organization_id <> $1),
			(SELECT string_agg(c::text, ' ' ORDER BY course_id) FROM courses c WHERE organization_id <> $1))`, organization).Scan(&text)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The work of a step sees and writes its own organization alone, even with
// statements that name none: in the work itself, in Commit, in Apply and in what
// is written when it failed for good.
func TestWorkIsHeldInItsOrganization(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	theirs := h.addStranger(t)
	before := h.theirs(t)
	var tried []string
	attack := func(ctx context.Context, where string, q postgres.Querier) {
		t.Helper()
		var who string
		var seen int
		err := q.QueryRow(ctx, `
			SELECT current_user, (SELECT count(*) FROM jobs WHERE organization_id <> $1) + (SELECT count(*) FROM job_steps WHERE organization_id <> $1)
				+ (SELECT count(*) FROM courses WHERE organization_id <> $1) + (SELECT count(*) FROM organizations WHERE organization_id <> $1)`,
			organization).Scan(&who, &seen)
		if err != nil || who != "lectern_tenant" || seen != 0 {
			t.Errorf("%s: %s sees %d rows of others (%v)", where, who, seen, err)
		}
		for _, sql := range []string{
			`UPDATE jobs SET state = 'canceled', finished_at = now() WHERE job_id = $1`,
			`UPDATE job_steps SET state = 'canceled' WHERE job_id = $1`,
			`DELETE FROM job_steps WHERE job_id = $1`,
			`DELETE FROM courses WHERE course_id = (SELECT course_id FROM jobs WHERE job_id = $1)`,
		} {
			if tag, err := q.Exec(ctx, sql, theirs.ID); err != nil || tag.RowsAffected() != 0 {
				t.Errorf("%s: %s changed %d rows (%v)", where, sql, tag.RowsAffected(), err)
			}
		}
		tried = append(tried, where)
	}
	h.IfFailed = func(ctx context.Context, tx pgx.Tx, _ job.Step, _ error) error {
		attack(ctx, "IfFailed", tx)
		return nil
	}
	mine := h.start(t, "crs_1", step("good"), step("bad"))
	err := h.Execute(t.Context(), body(mine, "good"), func(ctx context.Context, run *job.Run) (job.Result, error) {
		attack(ctx, "work", h.DB)
		err := run.Commit(ctx, func(tx pgx.Tx) error { attack(ctx, "Commit", tx); return nil })
		return job.Result{Apply: func(ctx context.Context, tx pgx.Tx) error { attack(ctx, "Apply", tx); return nil }}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = h.Execute(t.Context(), body(mine, "bad"), func(context.Context, *job.Run) (job.Result, error) {
		return job.Result{}, fault.New(fault.Invalid, "No.")
	})
	if err != nil {
		t.Fatal(err)
	}
	// A step whose workers died is given up at its claim.
	dead := h.start(t, "crs_2", step("dead"))
	h.exec(t, `UPDATE job_steps SET failures = 5 WHERE job_id = $1`, dead.ID)
	if err := h.Execute(t.Context(), body(dead, "dead"), write); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(tried, " "); got != "work Commit Apply IfFailed IfFailed" {
		t.Errorf("tried %q", got)
	}
	if got := h.theirs(t); got != before {
		t.Errorf("what others have was changed:\n%s\n%s", before, got)
	}
}

// A task that names the job of one organization and the step of another, or makes
// up either, runs nothing.
func TestTasksWithForeignNames(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	theirs := h.addStranger(t)
	mine := h.start(t, "crs_1", job.NewStep{Name: "only/mine", Kind: "write"})
	before := h.theirs(t)
	for _, ref := range []job.Ref{
		{Job: theirs.ID, Step: "only/mine"},
		{Job: mine.ID, Step: "plan"},
		{Job: mine.ID, Step: theirs.ID + "/plan"},
		{Job: mine.ID + "' OR true --", Step: "only/mine"},
		{Job: "%", Step: "%"},
		{Job: "job_\x00", Step: "plan"},
		{Job: "../" + theirs.ID, Step: "../plan"},
	} {
		raw, err := json.Marshal(ref)
		if err != nil {
			t.Fatal(err)
		}
		ran := false
		_ = h.Execute(t.Context(), raw, func(context.Context, *job.Run) (job.Result, error) {
			ran = true
			return job.Result{}, nil
		})
		if ran {
			t.Errorf("%+v was run", ref)
		}
	}
	// More fields than a step's name change nothing: the organization is the row's.
	raw := fmt.Appendf(nil, `{"job":%q,"step":"only/mine","organization":%q,"organization_id":%q,"subject":"crs_other"}`, mine.ID, stranger, stranger)
	err := h.Execute(t.Context(), raw, func(ctx context.Context, run *job.Run) (job.Result, error) {
		if run.Step.Organization != organization || run.Step.Subject != "" {
			t.Errorf("the step is %+v", run.Step)
		}
		return job.Result{}, nil
	})
	if err != nil {
		t.Error(err)
	}
	if got := h.theirs(t); got != before {
		t.Errorf("what others have was changed:\n%s\n%s", before, got)
	}
}

// On a pool of tenants a worker under one organization can claim no step of another.
func TestTenantsClaimTheirOwn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	theirs := h.addStranger(t)
	mine := h.start(t, "crs_1", step("plan"))
	h.Runner.DB = pgtest.As(t, h.pool, postgres.Tenant)
	if err := h.Execute(t.Context(), body(mine, "plan"), write); err != nil {
		t.Errorf("without an organization: %v", err)
	}
	ctx := postgres.WithOrganization(t.Context(), organization)
	if err := h.Execute(ctx, body(theirs, "plan"), write); err != nil {
		t.Errorf("the step of another: %v", err)
	}
	if got := h.stepState(t, mine, "plan"); got != "queued/0/0" {
		t.Errorf("the step was run by nobody: %s", got)
	}
	if err := h.Execute(ctx, body(mine, "plan"), write); err != nil {
		t.Error(err)
	}
	if got := h.stepState(t, mine, "plan"); got != "succeeded/1/0" {
		t.Errorf("the step is %s", got)
	}
	if got := fmt.Sprint(h.effects(t)); got != "map[Theirs:1 plan:1]" {
		t.Error(got)
	}
}

// The sweep goes through all organizations, and hands each step on in its own.
func TestSweepNarrows(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	theirs := h.addStranger(t)
	deliver := func(context.Context, *job.Run) (job.Result, error) { return job.Result{Delivered: true}, nil }
	mine := h.start(t, "crs_1", step("plan"))
	for _, j := range []job.Job{mine, theirs} {
		if err := h.Execute(t.Context(), body(j, "plan"), deliver); err != nil {
			t.Fatal(err)
		}
	}
	h.exec(t, `UPDATE job_steps SET lease_until = $1 WHERE state = 'delivered'`, time.Now().Add(-time.Minute))
	seen := map[string]string{}
	swept, err := h.Sweep(t.Context(), func(ctx context.Context, s job.Step) (bool, error) {
		var organizations string
		err := h.DB.QueryRow(ctx, `SELECT current_user || ' ' || string_agg(DISTINCT organization_id, ' ') FROM job_steps`).Scan(&organizations)
		seen[s.Organization] = organizations
		return false, err
	})
	if err != nil || swept.Unheard != 2 {
		t.Fatalf("%+v, %v", swept, err)
	}
	for _, organization := range []string{organization, stranger} {
		if seen[organization] != "lectern_tenant "+organization {
			t.Errorf("for a step of %s was seen: %q", organization, seen[organization])
		}
	}
	if got := h.stepState(t, mine, "plan"); got != "queued/1/1" {
		t.Errorf("the step is %s", got)
	}
}
