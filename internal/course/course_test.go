package course

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

const org, user = "org_local", "user_local"

// inTx runs fn in a transaction and fails the test on an error.
func inTx(t testing.TB, db *pgxpool.Pool, fn func(tx pgx.Tx) error) {
	t.Helper()
	if err := postgres.InTx(t.Context(), db, fn); err != nil {
		t.Fatal(err)
	}
}

func newCourse(t testing.TB, db *pgxpool.Pool, modules, lessons int) Course {
	t.Helper()
	var c Course
	inTx(t, db, func(tx pgx.Tx) (err error) {
		c, err = Create(t.Context(), tx, org, user, Fields{Title: "Birds"})
		for i := range modules {
			m, err := CreateModule(t.Context(), tx, org, c.ID, ModuleFields{Title: fmt.Sprintf("Module %d", i)})
			if err != nil {
				return err
			}
			for j := range lessons {
				if _, err := CreateLesson(t.Context(), tx, org, m.ID, LessonFields{Title: fmt.Sprintf("Lesson %d.%d", i, j)}); err != nil {
					return err
				}
			}
		}
		if err == nil {
			c, err = Get(t.Context(), tx, org, c.ID)
		}
		return err
	})
	return c
}

// gapless fails when the positions of a course are not 0, 1, 2 …
func gapless(t testing.TB, modules []Module) {
	t.Helper()
	for i, m := range modules {
		if m.Position != i {
			t.Fatalf("module %d is at %d", i, m.Position)
		}
		for j, l := range m.Lessons {
			if l.Position != j {
				t.Fatalf("lesson %d of module %d is at %d", j, i, l.Position)
			}
		}
	}
}

func orderOf(modules []Module) Order {
	var o Order
	for _, m := range modules {
		mo := ModuleOrder{ID: m.ID, Lessons: []string{}}
		for _, l := range m.Lessons {
			mo.Lessons = append(mo.Lessons, l.ID)
		}
		o.Modules = append(o.Modules, mo)
	}
	return o
}

// Any order of what there is can be set and is read back as it was set.
func TestReorderSetsAnyOrder(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	c := newCourse(t, db, 3, 4)
	var lessons []string
	var modules []string
	for _, m := range c.Modules {
		modules = append(modules, m.ID)
		for _, l := range m.Lessons {
			lessons = append(lessons, l.ID)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		var want Order
		for _, m := range rapid.Permutation(modules).Draw(rt, "modules") {
			want.Modules = append(want.Modules, ModuleOrder{ID: m, Lessons: []string{}})
		}
		for _, l := range rapid.Permutation(lessons).Draw(rt, "lessons") {
			m := &want.Modules[rapid.IntRange(0, 2).Draw(rt, "module")]
			m.Lessons = append(m.Lessons, l)
		}
		var got Course
		inTx(t, db, func(tx pgx.Tx) (err error) {
			got, err = Reorder(t.Context(), tx, org, c.ID, nil, want)
			return err
		})
		gapless(t, got.Modules)
		if diff := cmp.Diff(want, orderOf(got.Modules)); diff != "" {
			rt.Fatal(diff)
		}
	})
}

func TestReorderNamesEverythingOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	c, other := newCourse(t, db, 2, 2), newCourse(t, db, 1, 1)
	for name, change := range map[string]func(*Order){
		"missing module":  func(o *Order) { o.Modules = o.Modules[:1] },
		"missing lesson":  func(o *Order) { o.Modules[0].Lessons = o.Modules[0].Lessons[:1] },
		"lesson twice":    func(o *Order) { o.Modules[1].Lessons = append(o.Modules[1].Lessons, o.Modules[0].Lessons[0]) },
		"module twice":    func(o *Order) { o.Modules = append(o.Modules, o.Modules[0]) },
		"foreign module":  func(o *Order) { o.Modules = append(o.Modules, ModuleOrder{ID: other.Modules[0].ID}) },
		"foreign lesson":  func(o *Order) { o.Modules[0].Lessons[0] = other.Modules[0].Lessons[0].ID },
		"nothing":         func(o *Order) { o.Modules = nil },
		"no such lesson":  func(o *Order) { o.Modules[0].Lessons = append(o.Modules[0].Lessons, "les_none") },
		"module as child": func(o *Order) { o.Modules[0].Lessons = append(o.Modules[0].Lessons, o.Modules[1].ID) },
	} {
		o := orderOf(c.Modules)
		change(&o)
		err := postgres.InTx(t.Context(), db, func(tx pgx.Tx) error {
			_, err := Reorder(t.Context(), tx, org, c.ID, nil, o)
			return err
		})
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	now, err := Get(t.Context(), db, org, c.ID)
	if err != nil || now.Version != c.Version {
		t.Errorf("a refused order raised the version: %d, was %d (%v)", now.Version, c.Version, err)
	}
}

// Whatever is added, removed and moved at the same time, positions stay 0, 1, 2 …
func TestConcurrentChangesLeaveNoGap(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	c := newCourse(t, db, 3, 3)
	var group sync.WaitGroup
	for worker := range 6 {
		group.Go(func() {
			for range 12 {
				err := postgres.InTx(t.Context(), db, func(tx pgx.Tx) error {
					now, err := Get(t.Context(), tx, org, c.ID)
					if err != nil {
						return err
					}
					m := now.Modules[worker%len(now.Modules)]
					switch {
					case worker == 0:
						_, err = CreateModule(t.Context(), tx, org, c.ID, ModuleFields{Title: "New"})
					case worker == 1 && len(now.Modules) > 2:
						err = DeleteModule(t.Context(), tx, org, m.ID, nil)
					case worker == 2 && len(m.Lessons) > 0:
						err = DeleteLesson(t.Context(), tx, org, m.Lessons[0].ID, nil)
					case worker == 3:
						o := orderOf(now.Modules)
						o.Modules[0], o.Modules[1] = o.Modules[1], o.Modules[0]
						o.Modules[0].Lessons, o.Modules[1].Lessons = o.Modules[1].Lessons, o.Modules[0].Lessons
						_, err = Reorder(t.Context(), tx, org, c.ID, nil, o)
					default:
						_, err = CreateLesson(t.Context(), tx, org, m.ID, LessonFields{Title: "New"})
					}
					return err
				})
				// Losing a race with a deletion is told, and only that.
				if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Conflict) {
					t.Errorf("worker %d: %v", worker, err)
				}
			}
		})
	}
	group.Wait()
	now, err := Get(t.Context(), db, org, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	gapless(t, now.Modules)
}

func TestOnlyTheFirstOfTwoWritersWins(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	c := newCourse(t, db, 1, 1)
	outcomes := make(chan error, 8)
	var group sync.WaitGroup
	for i := range cap(outcomes) {
		group.Go(func() {
			outcomes <- postgres.InTx(t.Context(), db, func(tx pgx.Tx) error {
				_, err := Update(t.Context(), tx, org, c.ID, Condition{c.Version}, func(f *Fields) error {
					f.Title = fmt.Sprint("Title ", i)
					return nil
				})
				return err
			})
		})
	}
	group.Wait()
	close(outcomes)
	won := 0
	for err := range outcomes {
		if err == nil {
			won++
		} else if !fault.Is(err, fault.PreconditionFailed) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d writers won", won)
	}
}

func TestListPagesAreWholeAndDisjoint(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	want := map[string]bool{}
	inTx(t, db, func(tx pgx.Tx) error { // one transaction: all have the same created_at
		for range 7 {
			c, err := Create(t.Context(), tx, org, user, Fields{Title: "Birds"})
			if err != nil {
				return err
			}
			want[c.ID] = true
		}
		return nil
	})
	cursor, pages := "", 0
	for {
		page, next, err := List(t.Context(), db, org, cursor, 3)
		if err != nil {
			t.Fatal(err)
		}
		newCourse(t, db, 0, 0) // what is made meanwhile shifts nothing
		for _, c := range page {
			if !want[c.ID] {
				t.Errorf("%s came twice or was made later", c.ID)
			}
			delete(want, c.ID)
		}
		if pages++; next == "" {
			break
		}
		cursor = next
	}
	if len(want) != 0 || pages != 3 {
		t.Errorf("%d courses missing after %d pages", len(want), pages)
	}
	for _, bad := range []string{"x", "!", "YWJj", position{id: "crs_1' OR 1=1"}.String()} {
		if _, _, err := List(t.Context(), db, org, bad, 3); !fault.Is(err, fault.Invalid) {
			t.Errorf("cursor %q: %v", bad, err)
		}
	}
}

func TestSlidesKeepTheirIDs(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	c := newCourse(t, db, 1, 2)
	lesson, other := c.Modules[0].Lessons[0].ID, c.Modules[0].Lessons[1].ID
	replace := func(lesson string, slides ...Slide) (out []Slide, err error) {
		err = postgres.InTx(t.Context(), db, func(tx pgx.Tx) (err error) {
			out, _, err = ReplaceSlides(t.Context(), tx, org, lesson, nil, slides)
			return err
		})
		return out, err
	}
	points := Slide{
		Kind: PointsSlide, Title: "Ü 😀 \u202e", Points: []Point{{Text: "One", Evidence: []Evidence{{Passage: "psg_1", Source: "src_1", End: 3}}}},
		Narration: []Sentence{{Text: "One.", Reveals: 1}},
	}
	code := Slide{Kind: CodeSlide, Title: "Code", Code: &Code{Language: "go", Text: "package x // '\"\\ \u2028"}}
	first, err := replace(lesson, points, code)
	if err != nil {
		t.Fatal(err)
	}
	swapped, err := replace(lesson, first[1], first[0])
	if err != nil {
		t.Fatal(err)
	}
	read, _, err := Slides(t.Context(), db, org, lesson)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Slide{first[1], first[0]}, read); diff != "" {
		t.Error(diff)
	}
	if _, err := replace(other, swapped[0]); !fault.Is(err, fault.Invalid) {
		t.Errorf("a slide of another lesson: %v", err)
	}
	if _, err := replace(lesson, read[0], read[0]); !fault.Is(err, fault.Invalid) {
		t.Errorf("a slide twice: %v", err)
	}
	// A transaction that the database asks to run again finds its input as it was.
	again := []Slide{points, code}
	undone := errors.New("undone")
	for _, want := range []error{undone, nil} {
		err := postgres.InTx(t.Context(), db, func(tx pgx.Tx) error {
			_, _, err := ReplaceSlides(t.Context(), tx, org, lesson, nil, again)
			return errors.Join(err, want)
		})
		if err != nil && !errors.Is(err, want) || fault.Is(err, fault.Invalid) {
			t.Errorf("a transaction that runs again: %v", err)
		}
	}
}

func TestWhatCannotBeShownIsRefused(t *testing.T) {
	t.Parallel()
	good := func() Slide {
		return Slide{Kind: PointsSlide, Title: "T", Points: []Point{{Text: "a"}, {Text: "b"}}, Narration: []Sentence{{Text: "s", Reveals: 1}, {Text: "s", Reveals: 2}}}
	}
	for name, change := range map[string]func(*Slide){
		"no points":         func(s *Slide) { s.Points = nil; s.Narration = nil },
		"NUL":               func(s *Slide) { s.Title = "a\x00b" },
		"bad UTF-8":         func(s *Slide) { s.Points[0].Text = "\xff" },
		"blank point":       func(s *Slide) { s.Points[0].Text = " \n" },
		"long point":        func(s *Slide) { s.Points[0].Text = strings.Repeat("é", maxPoint+1) },
		"kind":              func(s *Slide) { s.Kind = "film" },
		"code without code": func(s *Slide) { s.Kind = CodeSlide },
		"quote beside":      func(s *Slide) { s.Quote = &Quote{Text: "q"} },
		"ragged table": func(s *Slide) {
			s.Kind = TableSlide
			s.Table = &Table{Header: []string{"a", "b"}, Rows: [][]string{{"1"}}}
		},
		"points go away":     func(s *Slide) { s.Narration[0].Reveals = 2; s.Narration[1].Reveals = 1 },
		"more than there is": func(s *Slide) { s.Narration[1].Reveals = 3 },
		"backward evidence":  func(s *Slide) { s.Points[0].Evidence = []Evidence{{Passage: "p", Source: "s", Start: 2, End: 1}} },
	} {
		s := good()
		var f findings
		if s.check(&f, ""); f.err() != nil {
			t.Fatal(f.err())
		}
		change(&s)
		if s.check(&f, ""); !fault.Is(f.err(), fault.Invalid) {
			t.Errorf("%s was taken", name)
		}
	}
	for name, q := range map[string]Question{
		"one choice": {Prompt: "p", Choices: []string{"a"}},
		"no key":     {Prompt: "p", Choices: []string{"a", "b"}, Key: 2},
		"no prompt":  {Choices: []string{"a", "b"}},
	} {
		var f findings
		if q.check(&f, ""); !fault.Is(f.err(), fault.Invalid) {
			t.Errorf("%s was taken", name)
		}
	}
	for _, l := range []string{"english", "e", "en_US", "en-", "en US", "zh-Hans-CN-x-\n"} {
		if err := (&Fields{Title: "t", Language: l}).check(); !fault.Is(err, fault.Invalid) {
			t.Errorf("language %q was taken", l)
		}
	}
}

func TestDeletedCoursesLeaveTheBucket(t *testing.T) {
	t.Parallel()
	db, ctx, bucket := pgtest.New(t), t.Context(), new(blob.Memory)
	c, kept := newCourse(t, db, 1, 2), newCourse(t, db, 1, 1)
	lesson, stays := c.Modules[0].Lessons[0].ID, kept.Modules[0].Lessons[0].ID
	for _, key := range []string{"videos/" + lesson + "/h/1/video.mp4", "videos/" + stays + "/h/1/video.mp4"} {
		if _, err := bucket.Write(ctx, key, strings.NewReader("x"), blob.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	inTx(t, db, func(tx pgx.Tx) error { return Delete(ctx, tx, org, c.ID, nil) })

	down := fault.New(fault.Unavailable, "down")
	bucket.Fail(down)
	if _, err := Clean(ctx, db, bucket); !errors.Is(err, down) {
		t.Errorf("a bucket that is down: %v", err)
	}
	bucket.Fail(nil)
	if n, err := Clean(ctx, db, bucket); n != 1 || err != nil {
		t.Errorf("removed %d objects, error %v", n, err)
	}
	left, _ := bucket.List(ctx, "")
	if len(left) != 1 || left[0].Key != "videos/"+stays+"/h/1/video.mp4" {
		t.Errorf("left: %v", left)
	}

	// A worker that wakes up late writes again; the next hour takes that too, and a day later it is over.
	if _, err := bucket.Write(ctx, "videos/"+lesson+"/h/2/video.mp4", strings.NewReader("x"), blob.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if n, err := Clean(ctx, db, bucket); n != 0 || err != nil {
		t.Errorf("cleaned again at once: %d, %v", n, err)
	}
	if _, err := db.Exec(ctx, `UPDATE deletions SET cleaned_at = now() - interval '2 hours', created_at = now() - interval '2 days'`); err != nil {
		t.Fatal(err)
	}
	if n, err := Clean(ctx, db, bucket); n != 1 || err != nil {
		t.Errorf("late object: removed %d, error %v", n, err)
	}
	var rows int
	if err := db.QueryRow(ctx, `SELECT count(*) FROM deletions`).Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d deletions left, error %v", rows, err)
	}
}
