package courses

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/edgetest"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/postgres"
)

func TestACourseFromFirstToLast(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	made := r.do("POST", "/v1/courses", map[string]any{"title": "Birds", "audience": "children"}).Want(201)
	c := edgetest.Into[course.Course](made)
	if made.Header().Get("Location") != "/v1/courses/"+c.ID || c.Language != "en" || c.Version != 1 {
		t.Errorf("made %+v at %q", c, made.Header().Get("Location"))
	}

	// PATCH: absent stays, null clears, a required member cannot be cleared.
	at := "/v1/courses/" + c.ID
	c = edgetest.Into[course.Course](r.do("PATCH", at, `{"summary":"Of owls","audience":null}`, "Content-Type", "application/merge-patch+json").Want(200))
	if c.Title != "Birds" || c.Summary != "Of owls" || c.Audience != "" || c.Version != 2 {
		t.Errorf("patched: %+v", c)
	}
	r.do("PATCH", at, `{"title":null}`).Want(422)
	r.do("PATCH", at, `{"version":7}`).Want(422)
	r.do("PATCH", at, `{"Title":"Bats"}`).Want(422) // no member of this name: a 200 would be a lie
	if c = edgetest.Into[course.Course](r.do("PATCH", at, `{"summary":"Of owls"}`).Want(200)); c.Version != 2 {
		t.Errorf("a patch that changes nothing made version %d", c.Version)
	}

	one := edgetest.Into[course.Module](r.do("POST", at+"/modules", `{"title":"One"}`).Want(201))
	two := edgetest.Into[course.Module](r.do("POST", at+"/modules", `{"title":"Two"}`).Want(201))
	lesson := edgetest.Into[course.Lesson](r.do("POST", "/v1/modules/"+one.ID+"/lessons", `{"title":"L","objectives":["know"]}`).Want(201))
	if two.Position != 1 || lesson.ModuleID != one.ID || lesson.CourseID != c.ID || lesson.VideoState != course.VideoNone {
		t.Errorf("module %+v, lesson %+v", two, lesson)
	}
	r.do("PATCH", "/v1/modules/"+one.ID, `{"title":"Uno"}`).Want(200)
	patched := edgetest.Into[course.Lesson](r.do("PATCH", "/v1/lessons/"+lesson.ID, `{"article":"# Owls"}`).Want(200))
	if patched.Article != "# Owls" || len(patched.Objectives) != 1 || patched.Version != lesson.Version+1 {
		t.Errorf("patched: %+v", patched)
	}

	c = edgetest.Into[course.Course](r.do("PUT", at+"/outline", map[string]any{"modules": []any{
		map[string]any{"id": two.ID, "lessons": []string{lesson.ID}}, map[string]any{"id": one.ID, "lessons": []string{}},
	}}).Want(200))
	if c.Modules[0].ID != two.ID || c.Modules[0].Lessons[0].ID != lesson.ID || c.Modules[1].Title != "Uno" {
		t.Errorf("outline: %+v", c.Modules)
	}

	slides := edgetest.Into[content[course.Slide]](r.do("PUT", "/v1/lessons/"+lesson.ID+"/slides", map[string]any{"items": []any{pointsSlide("A"), pointsSlide("B")}}).Want(200))
	sa := edgetest.Into[course.Slide](r.do("PATCH", "/v1/lessons/"+lesson.ID+"/slides/"+slides.Items[0].ID,
		`{"kind":"code","points":[],"narration":[],"code":{"language":"go","text":"x := 1"}}`).Want(200))
	if sa.Title != "A" || sa.Code == nil || sa.Code.Text != "x := 1" || len(sa.Points) != 0 {
		t.Errorf("slide: %+v", sa)
	}
	sa = edgetest.Into[course.Slide](r.do("PATCH", "/v1/lessons/"+lesson.ID+"/slides/"+sa.ID, `{"code":{"text":"x := 2"}}`).Want(200))
	if sa.Code == nil || sa.Code.Text != "x := 2" || sa.Code.Language != "go" {
		t.Errorf("an object is patched member by member: %+v", sa.Code)
	}
	sa = edgetest.Into[course.Slide](r.do("PATCH", "/v1/lessons/"+lesson.ID+"/slides/"+sa.ID, `{"kind":"points","points":[{"text":"p"}],"code":null}`).Want(200))
	if sa.Code != nil || sa.Kind != course.PointsSlide {
		t.Errorf("slide: %+v", sa)
	}
	r.do("PATCH", "/v1/lessons/"+lesson.ID+"/slides/"+sa.ID, `{"id":"sld_other"}`).Want(422)
	read := edgetest.Into[content[course.Slide]](r.do("GET", "/v1/lessons/"+lesson.ID+"/slides", nil).Want(200))
	if len(read.Items) != 2 || read.Items[1].Title != "B" || read.Version != slides.Version+3 {
		t.Errorf("slides: %+v", read)
	}

	r.do("DELETE", "/v1/lessons/"+lesson.ID, nil).Want(204)
	r.do("GET", "/v1/lessons/"+lesson.ID, nil).Want(404)
	r.do("DELETE", "/v1/modules/"+two.ID, nil).Want(204)
	if c = edgetest.Into[course.Course](r.do("GET", at, nil).Want(200)); len(c.Modules) != 1 || c.Modules[0].Position != 0 {
		t.Errorf("after the deletions: %+v", c.Modules)
	}
	r.do("DELETE", at, nil).Want(204)
	r.do("GET", at, nil).Want(404)
	r.do("DELETE", at, nil).Want(404)
}

func TestConditionsHoldOnEveryReadAndWrite(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ids := r.one()
	for path, change := range map[string]struct{ method, path, body string }{
		"/v1/courses/" + ids["course"]:                {"PATCH", "", `{"title":"%s"}`},
		"/v1/lessons/" + ids["lesson"]:                {"PATCH", "", `{"title":"%s"}`},
		"/v1/lessons/" + ids["lesson"] + "/slides":    {"PATCH", "/" + ids["slide"], `{"title":"%s"}`},
		"/v1/lessons/" + ids["lesson"] + "/questions": {"PUT", "", `{"items":[{"prompt":"%s","choices":["a","b"],"key":0}]}`},
	} {
		write := func(title, ifMatch string) edgetest.Answer {
			return r.do(change.method, path+change.path, fmt.Sprintf(change.body, title), "If-Match", ifMatch)
		}
		tag := r.do("GET", path, nil).Want(200).Header().Get("ETag")
		for _, same := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
			if a := r.do("GET", path, nil, "If-None-Match", same).Want(304); a.Body.Len() != 0 || a.Header().Get("ETag") != tag {
				t.Errorf("%s: a 304 with %q and ETag %q", path, a.Body, a.Header().Get("ETag"))
			}
		}
		r.do("GET", path, nil, "If-None-Match", `"other"`).Want(200)

		write("first", tag).Want(200)
		for _, stale := range []string{tag, `"garbage"`, `""`, "no tag", `"-1"`} {
			write("second", stale).Want(412)
		}
		r.do("GET", path, nil, "If-None-Match", tag).Want(200)
		now := r.do("GET", path, nil).Want(200)
		version := edgetest.Into[struct{ Version int64 }](now).Version
		write("third", fmt.Sprintf(`"%d"`, version)).Want(200)
		write("fourth", "*").Want(200)
	}
}

// What an outline shows of its lessons changes the tag although the course's
// version stays: a reader never keeps an old picture.
func TestTheTagOfACourseCoversItsOutline(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.course(1, 1)
	tag := r.do("GET", "/v1/courses/"+c.ID, nil).Header().Get("ETag")
	r.do("PUT", "/v1/lessons/"+c.Modules[0].Lessons[0].ID+"/slides", map[string]any{"items": []any{pointsSlide("A")}}).Want(200)
	after := r.do("GET", "/v1/courses/"+c.ID, nil, "If-None-Match", tag).Want(200)
	if got := edgetest.Into[course.Course](after); !got.Modules[0].Lessons[0].Written || got.Version != c.Version {
		t.Errorf("%+v", got)
	}
	r.do("PATCH", "/v1/courses/"+c.ID, `{"title":"Still mine"}`, "If-Match", tag).Want(200)
}

func TestAKeyMakesAWriteHappenOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	bodies := make(chan string, 8)
	var group sync.WaitGroup
	for range cap(bodies) {
		group.Go(func() {
			a := r.do("POST", "/v1/courses", `{"title":"Once"}`, "Idempotency-Key", "k1")
			bodies <- fmt.Sprint(a.Code, a.Header().Get("Location"), a.Header().Get("ETag"), a.Body)
		})
	}
	group.Wait()
	close(bodies)
	first := <-bodies
	for b := range bodies {
		if b != first {
			t.Errorf("answers differ:\n%s\n%s", first, b)
		}
	}
	if all := edgetest.Into[edge.List[course.Course]](r.do("GET", "/v1/courses", nil)); len(all.Items) != 1 || !strings.HasPrefix(first, "201") {
		t.Errorf("%d courses; first answer %s", len(all.Items), first)
	}

	r.do("POST", "/v1/courses", `{"title":"Another"}`, "Idempotency-Key", "k1").Want(409)
	r.do("POST", "/v1/courses", `{"title":"Once"}`, "Idempotency-Key", "k1", "Authorization", "org_other").Want(201)
	r.do("POST", "/v1/courses", `{"title":""}`, "Idempotency-Key", "k2").Want(422)
	r.do("POST", "/v1/courses", `{"title":"Now right"}`, "Idempotency-Key", "k2").Want(201)

	id := edgetest.Into[edge.List[course.Course]](r.do("GET", "/v1/courses", nil)).Items[0].ID
	r.do("DELETE", "/v1/courses/"+id, nil, "Idempotency-Key", "k3").Want(204)
	r.do("DELETE", "/v1/courses/"+id, nil, "Idempotency-Key", "k3").Want(204)

	if _, err := r.db.Exec(t.Context(), `UPDATE idempotency SET created_at = now() - interval '25 hours'`); err != nil {
		t.Fatal(err)
	}
	r.do("POST", "/v1/courses", `{"title":"A day later"}`, "Idempotency-Key", "k1").Want(201)
}

func TestListsPage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	want := map[string]bool{}
	for range 5 {
		want[r.course(0, 0).ID] = true
	}
	cursor := ""
	for pages := 0; ; pages++ {
		p := edgetest.Into[edge.List[course.Course]](r.do("GET", "/v1/courses?limit=2&cursor="+cursor, nil).Want(200))
		for _, c := range p.Items {
			if !want[c.ID] {
				t.Errorf("%s twice", c.ID)
			}
			delete(want, c.ID)
		}
		if cursor = p.NextCursor; cursor == "" {
			break
		}
	}
	if len(want) != 0 {
		t.Errorf("%d courses missing", len(want))
	}
	for _, q := range []string{"limit=0", "limit=101", "limit=x", "cursor=x", "cursor=%00", "surprise=1"} {
		r.do("GET", "/v1/courses?"+q, nil).Want(422)
	}
}

func TestTheLargestLessonFits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	slide := pointsSlide("Long")
	var narration []any
	for range course.MaxSentences {
		narration = append(narration, map[string]any{"text": strings.Repeat("é", 1000), "reveals": 1})
	}
	slide["narration"] = narration
	slides := make([]any, course.MaxSlides)
	for i := range slides {
		slides[i] = slide
	}
	at := "/v1/lessons/" + r.course(1, 1).Modules[0].Lessons[0].ID + "/slides"
	r.do("PUT", at, map[string]any{"items": slides}).Want(200)
	r.do("PUT", at, map[string]any{"items": append(slides, slide)}).Want(422)
	r.do("PUT", at, `{"items":"`+strings.Repeat("x", maxBody)+`"}`).Want(413)
}

// Every text that can be stored comes back exactly; every other is refused with a reason.
func TestTextIsKeptExactlyOrRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	at := "/v1/courses/" + r.course(0, 0).ID
	for _, text := range []string{
		"日本語 العربية हिन्दी", "e\u0301 and é", "\u202eevil\u202c", "👩‍👩‍👧‍👦", "' OR 1=1 --", "%s {x} $1 \\ /", "<script>", "\u2028\u2029\ufeff\ufffd", "line\r\nbreak\ttab",
		"a" + strings.Repeat("\u0301", 150),
	} {
		got := edgetest.Into[course.Course](r.do("PATCH", at, map[string]string{"title": text}).Want(200))
		if got.Title != text {
			t.Errorf("sent %q, got %q", text, got.Title)
		}
	}
	for body, want := range map[string]int{
		`{"title":"a\u0000b"}`: 422, `{"title":"\ud83d"}`: 400, "{\"title\":\"\xff\"}": 400, `{"title":"  "}`: 422, `{"title":""}`: 422,
		`{"title":"` + strings.Repeat("é", 201) + `"}`: 422, `{"language":"not a tag"}`: 422, `[]`: 422, `"x"`: 422, `null`: 422, `{`: 400, ``: 400,
	} {
		if p := edgetest.Into[edge.Problem](r.do("PATCH", at, body).Want(want)); p.Detail == "" || p.RequestID == "" {
			t.Errorf("%s: %+v", body, p)
		}
	}
	r.do("PATCH", at, "title=x", "Content-Type", "application/x-www-form-urlencoded").Want(415)
}

func TestADeletionTakesVideosAndJobsAlong(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.course(1, 2)
	first, second := c.Modules[0].Lessons[0].ID, c.Modules[0].Lessons[1].ID
	r.do("POST", "/v1/lessons/"+first+"/renders", nil).Want(409) // nothing to film yet
	r.do("POST", "/v1/courses/"+c.ID+"/renders", nil).Want(409)
	r.do("PUT", "/v1/lessons/"+first+"/slides", map[string]any{"items": []any{pointsSlide("A")}}).Want(200)
	r.publish(first)
	r.publish(second)
	l := edgetest.Into[course.Lesson](r.do("GET", "/v1/lessons/"+first, nil).Want(200))
	if l.VideoState != course.VideoReady || l.Video == nil || !strings.Contains(l.Video.URL, "video.mp4") ||
		!strings.Contains(l.Video.CaptionsURL, "captions.vtt") || !strings.Contains(l.Video.PosterURL, "poster.jpg") || !l.Video.Current {
		t.Errorf("%+v %+v", l, l.Video)
	}

	render := edgetest.Into[struct{ Job job.Job }](r.do("POST", "/v1/lessons/"+first+"/renders", nil).Want(202)).Job
	if again := edgetest.Into[struct{ Job job.Job }](r.do("POST", "/v1/lessons/"+first+"/renders", nil).Want(202)).Job; again.ID != render.ID {
		t.Error("a double click made two jobs")
	}
	if n := len(r.queue.Waiting()); n != 1 {
		t.Errorf("%d tasks", n)
	}
	if l := edgetest.Into[course.Lesson](r.do("GET", "/v1/lessons/"+first, nil)); l.VideoState != course.VideoQueued || l.Video == nil {
		t.Errorf("while it is filmed again: %s, %v", l.VideoState, l.Video)
	}

	r.do("DELETE", "/v1/lessons/"+first, nil).Want(204)
	if j := edgetest.Into[job.Job](r.do("GET", "/v1/jobs/"+render.ID, nil).Want(200)); j.State != job.Canceled {
		t.Errorf("the job of a deleted lesson is %s", j.State)
	}
	left, err := r.bucket.List(t.Context(), "videos/")
	if err != nil || len(left) != 1 || !strings.HasPrefix(left[0].Key, "videos/"+second) {
		t.Errorf("left in the bucket: %v, %v", left, err)
	}

	// A bucket that is down does not stop a deletion: the intent is written.
	r.bucket.Fail(fault.New(fault.Unavailable, "down"))
	r.do("DELETE", "/v1/courses/"+c.ID, nil).Want(204)
	r.bucket.Fail(nil)
	if n, err := course.Clean(t.Context(), r.db, r.bucket); n != 1 || err != nil {
		t.Errorf("the sweep removed %d, error %v", n, err)
	}
}

// publish gives a lesson a video, as finalize would.
func (r *rig) publish(lesson string) {
	r.t.Helper()
	folder := "videos/" + lesson + "/h/1/"
	if _, err := r.bucket.Write(r.t.Context(), folder+course.VideoFile, strings.NewReader("film"), blob.WriteOptions{}); err != nil {
		r.t.Fatal(err)
	}
	l := edgetest.Into[course.Lesson](r.do("GET", "/v1/lessons/"+lesson, nil).Want(200))
	err := postgres.InTx(r.t.Context(), r.db, func(tx pgx.Tx) error {
		v := course.NewVideo{Lesson: lesson, Content: "h", LessonVersion: l.Version, Attempt: 1, Folder: folder, Manifest: course.Manifest{Duration: 3}}
		if err := course.SaveManifest(r.t.Context(), tx, "org_local", v); err != nil {
			return err
		}
		return course.Publish(r.t.Context(), tx, "org_local", course.UploadedVideo{Lesson: lesson, Content: "h", Attempt: 1, Folder: folder, Generation: 1, Bytes: 4})
	})
	if err != nil {
		r.t.Fatal(err)
	}
}
