package finalize_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/film"
	"lectern.dev/lectern/internal/job"
)

const stranger = "org_other"

// stranger makes another organization with a lesson whose film is awaited.
func (h *house) stranger(t *testing.T) (lesson string, step job.Step) {
	t.Helper()
	h.do(t, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO organizations (organization_id, name) VALUES ($1, 'Other')`, stranger); err != nil {
			return err
		}
		c, err := course.Create(ctx, tx, stranger, "user_other", course.Fields{Title: "Theirs"})
		if err != nil {
			return err
		}
		m, err := course.CreateModule(ctx, tx, stranger, c.ID, course.ModuleFields{Title: "First"})
		if err != nil {
			return err
		}
		l, err := course.CreateLesson(ctx, tx, stranger, m.ID, course.LessonFields{Title: "Theirs"})
		if err != nil {
			return err
		}
		lesson = l.ID
		j, _, err := job.Start(ctx, tx, job.NewJob{
			Organization: stranger, User: "user_other", Kind: job.Render, Subject: lesson, CourseID: c.ID, Content: "c1",
			Steps: []job.NewStep{{Name: "render", Kind: "render", Subject: lesson, Content: "c1"}},
		})
		step = job.Step{Job: j.ID, Name: "render", Organization: stranger, Subject: lesson, Attempt: 1}
		return err
	})
	return lesson, step
}

// everything is all rows that events can change, as one text.
func (h *house) everything(t *testing.T) (text string) {
	t.Helper()
	err := h.db.QueryRow(t.Context(), `
		SELECT concat_ws(' | ',
			(SELECT string_agg(v::text, ' ' ORDER BY lesson_id, content) FROM videos v),
			(SELECT string_agg(s::text, ' ' ORDER BY source_id) FROM sources s),
			(SELECT string_agg(j::text, ' ' ORDER BY job_id) FROM jobs j),
			(SELECT string_agg(s::text, ' ' ORDER BY job_id, name) FROM job_steps s))`).Scan(&text)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// F81: an object whose key and labels do not belong to one organization, or to one
// step, publishes nothing and ends nobody's step.
func TestObjectsThatNameAnotherOrganization(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	mine := h.render(t, "c1")
	theirLesson, theirs := h.stranger(t)
	before := h.everything(t)
	tags := func(organization string, s job.Step) map[string]string {
		return map[string]string{"organization": organization, "job": s.Job, "step": s.Name, "attempt": strconv.FormatInt(s.Attempt, 10)}
	}
	folder := film.Folder(mine, "c1")
	for name, c := range map[string]struct {
		key  string
		tags map[string]string
	}{
		"our film, labelled as theirs":               {folder, tags(stranger, mine)},
		"our film, with the labels of their step":    {folder, tags(stranger, theirs)},
		"our film, their step, our organization":     {folder, tags(organization, theirs)},
		"our lesson, in a folder of their step":      {film.Folder(job.Step{Subject: h.lesson, Job: theirs.Job, Attempt: 1}, "c1"), tags(stranger, theirs)},
		"their lesson, in a folder of our step":      {film.Folder(job.Step{Subject: theirLesson, Job: mine.Job, Attempt: 1}, "c1"), tags(organization, mine)},
		"our lesson, in a folder that nobody gave":   {film.Folder(job.Step{Subject: h.lesson, Job: mine.Job, Attempt: 2}, "c1"), tags(organization, mine)},
		"our film, without an organization":          {folder, tags("", mine)},
		"our film, for every organization":           {folder, tags("*", mine)},
		"our film, with an organization that is SQL": {folder, tags("' OR true --", mine)},
	} {
		if code := h.tell(t, h.put(t, c.key+course.VideoFile, c.tags)); code != http.StatusOK {
			t.Errorf("%s: status %d", name, code)
		}
		if got := h.everything(t); got != before {
			t.Errorf("%s: changed\n%s\n%s", name, before, got)
			before = got
		}
	}
	if code := h.tell(t, h.deliver(t, mine, "c1")); code != http.StatusOK {
		t.Errorf("the film itself: status %d", code)
	}
	if state, _ := h.video(t, "c1"); state != "ready" {
		t.Errorf("the film itself is %s", state)
	}
}

// Whose an upload is, its row alone says: labels are not read.
func TestUploadsBelongToTheirRow(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.stranger(t)
	source, object := h.upload(t)
	object = h.put(t, object.Key, map[string]string{"organization": stranger})
	if code := h.tell(t, object); code != http.StatusOK {
		t.Errorf("status %d", code)
	}
	var owner string
	err := h.db.QueryRow(t.Context(), `SELECT organization_id FROM jobs WHERE subject = $1`, source).Scan(&owner)
	if err != nil || owner != organization {
		t.Errorf("the job is of %q, %v", owner, err)
	}
}
