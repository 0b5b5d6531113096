package source_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/internal/queue"
	"lectern.dev/lectern/internal/source"
	"lectern.dev/lectern/internal/source/extract"
)

const organization = "org_local"

// desk is a database with one course, a bucket, and what reads.
type desk struct {
	db     *pgxpool.Pool
	bucket *blob.Memory
	runner *job.Runner
	reader *source.Reader
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{db: pgtest.New(t), bucket: &blob.Memory{}}
	db := pgtest.As(t, d.db, postgres.System)
	d.runner = &job.Runner{DB: db, Queue: &queue.Memory{}, Board: &live.Memory{}, IfFailed: source.IfFailed}
	d.reader = &source.Reader{DB: db, Bucket: d.bucket, Scratch: t.TempDir()}
	d.exec(t, `INSERT INTO organizations (organization_id, name) VALUES ('org_other', 'Other')`)
	for course, owner := range map[string]string{"crs_1": organization, "crs_2": organization, "crs_other": "org_other"} {
		d.exec(t, `INSERT INTO courses (course_id, organization_id, title, created_by) VALUES ($1, $2, 'Networks', 'user_local')`, course, owner)
	}
	return d
}

func (d *desk) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := d.db.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func (d *desk) do(t *testing.T, fn func(ctx context.Context, tx pgx.Tx) error) error {
	t.Helper()
	return postgres.InTx(t.Context(), d.db, func(tx pgx.Tx) error { return fn(t.Context(), tx) })
}

func (d *desk) create(t *testing.T, course string, n source.NewSource) (s source.Source, err error) {
	t.Helper()
	err = d.do(t, func(ctx context.Context, tx pgx.Tx) error {
		s, err = source.Create(ctx, tx, organization, course, n)
		return err
	})
	return s, err
}

// upload creates a source, puts its file into the bucket and starts its job, as the
// event does; it gives the task.
func (d *desk) upload(t *testing.T, name, content string) (source.Source, []byte) {
	t.Helper()
	s, err := d.create(t, "crs_1", source.NewSource{Name: name, Size: int64(max(len(content), 1))})
	if err != nil {
		t.Fatal(err)
	}
	info, err := d.bucket.Write(t.Context(), s.Object, strings.NewReader(content), blob.WriteOptions{ContentType: s.ContentType})
	if err != nil {
		t.Fatal(err)
	}
	d.exec(t, `UPDATE sources SET state = 'queued', generation = $2 WHERE source_id = $1`, s.ID, info.Generation)
	var j job.Job
	err = d.do(t, func(ctx context.Context, tx pgx.Tx) error {
		j, _, err = job.Start(ctx, tx, job.NewJob{
			Organization: organization, User: account.Local.User, Kind: job.Ingest, Subject: s.ID, CourseID: "crs_1", Content: "1",
			Steps: []job.NewStep{{Name: "ingest", Kind: "ingest", Subject: s.ID}},
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, []byte(`{"job":"` + j.ID + `","step":"ingest"}`)
}

// read uploads a document and has it read.
func (d *desk) read(t *testing.T, name, content string) source.Source {
	t.Helper()
	s, task := d.upload(t, name, content)
	if err := d.runner.Execute(t.Context(), task, d.reader.Read); err != nil {
		t.Fatal(err)
	}
	return d.get(t, s.ID)
}

func (d *desk) get(t *testing.T, id string) source.Source {
	t.Helper()
	s, err := source.Get(t.Context(), d.db, organization, id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (d *desk) passages(t *testing.T, s source.Source) []source.Passage {
	t.Helper()
	passages, err := source.Library{DB: d.db}.Passages(t.Context(), organization, s.CourseID, []source.Part{{Source: s.ID, To: 1e6}})
	if err != nil {
		t.Fatal(err)
	}
	return passages
}

const routers = `# Home networks

A router joins your home to the internet and gives every device an address.

## Addresses

Each device on the network has an address of its own, which the router lends to it.

| Address | Device |
| --- | --- |
| 192.168.1.1 | Router |
| 192.168.1.20 | Printer |

` + "```sh\nping 192.168.1.1\n```\n" + `

## Security

Change the password of the router before anything else. Wi-Fi without encryption is read by neighbors.
`

func TestCreateChecksTheFile(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for name, n := range map[string]struct {
		source.NewSource
		course string
		kind   fault.Kind
	}{
		"no such course":      {source.NewSource{Name: "a.md", Size: 1}, "crs_none", fault.NotFound},
		"another's course":    {source.NewSource{Name: "a.md", Size: 1}, "crs_other", fault.NotFound},
		"type that is no use": {source.NewSource{Name: "a.exe", Size: 1, ContentType: "text/plain"}, "crs_1", fault.Invalid},
		"no name":             {source.NewSource{Name: " ", Size: 1, ContentType: "text/plain"}, "crs_1", fault.Invalid},
		"name with a NUL":     {source.NewSource{Name: "a\x00.md", Size: 1}, "crs_1", fault.Invalid},
		"name not UTF-8":      {source.NewSource{Name: "a\xff.md", Size: 1}, "crs_1", fault.Invalid},
		"long name":           {source.NewSource{Name: strings.Repeat("a", 300) + ".md", Size: 1}, "crs_1", fault.Invalid},
		"empty":               {source.NewSource{Name: "a.md", Size: 0}, "crs_1", fault.Invalid},
		"large":               {source.NewSource{Name: "a.md", Size: 50<<20 + 1}, "crs_1", fault.TooLarge},
	} {
		if _, err := d.create(t, n.course, n.NewSource); !fault.Is(err, n.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := d.create(t, "crs_1", source.NewSource{Name: "Bericht – Entwurf.pdf", Size: 50 << 20, ContentType: "application/octet-stream"})
	if err != nil {
		t.Fatal(err)
	}
	if s.State != source.Uploading || s.ContentType != "application/pdf" || s.Object != "sources/"+s.ID+"/upload" {
		t.Errorf("created: %+v", s)
	}
	request, err := source.Sign(t.Context(), d.bucket, s)
	if err != nil || request.Method != "PUT" {
		t.Errorf("the signed upload: %+v, %v", request, err)
	}
}

func TestACourseHoldsOnlySoManySources(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.exec(t, `
		INSERT INTO sources (source_id, course_id, organization_id, name, content_type, size, state, object)
		SELECT 'src_' || i, 'crs_1', $1, 'a.md', 'text/markdown', 1, 'uploading', 'sources/src_' || i || '/upload' FROM generate_series(1, 97) i`, organization)
	errs := make(chan error)
	for range 8 {
		go func() {
			_, err := d.create(t, "crs_1", source.NewSource{Name: "a.md", Size: 1})
			errs <- err
		}()
	}
	made := 0
	for range 8 {
		if err := <-errs; err == nil {
			made++
		} else if !fault.Is(err, fault.Exhausted) {
			t.Error(err)
		}
	}
	if made != 3 {
		t.Errorf("%d sources were made where 3 were free", made)
	}
}

func TestADocumentBecomesPassages(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.read(t, "routers.md", routers)
	if s.State != source.Ready || s.Title != "Home networks" || s.Language != "en" || s.Reason != "" {
		t.Fatalf("the source: %+v", s)
	}
	body, _, err := d.bucket.Open(t.Context(), source.TextKey(s.ID), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	if got := len([]rune(string(text))); got != s.Characters {
		t.Errorf("the text has %d characters, the source says %d", got, s.Characters)
	}
	var kinds []string
	for i, p := range d.passages(t, s) {
		if got := string([]rune(string(text))[p.Start:p.End]); got != p.Text || p.Position != i {
			t.Errorf("passage %d: its offsets give %q, its text is %q", i, got, p.Text)
		}
		kinds = append(kinds, string(p.Kind)+" "+strings.Join(p.Heading, " > ")+" "+p.CodeLanguage)
	}
	want := []string{
		"prose Home networks ",
		"prose Home networks > Addresses ",
		"table Home networks > Addresses ",
		"code Home networks > Addresses sh",
		"prose Home networks > Security ",
	}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Error(diff)
	}

	sections, err := source.Library{DB: d.db}.Sections(t.Context(), organization, "crs_1")
	if err != nil {
		t.Fatal(err)
	}
	if len(sections) != 3 || sections[1].From != 1 || sections[1].To != 4 || sections[1].Document != "Home networks" || sections[2].Path[1] != "Security" {
		t.Errorf("sections: %+v", sections)
	}
	ids := []string{d.passages(t, s)[4].ID, "psg_none", d.passages(t, s)[0].ID}
	found, err := source.Library{DB: d.db}.ByID(t.Context(), organization, "crs_1", ids)
	if err != nil || len(found) != 2 || found[0].ID != ids[0] || found[1].ID != ids[2] {
		t.Errorf("by id: %+v, %v", found, err)
	}
}

// What another organization or course holds is not found, however it is asked for.
func TestTenancy(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, other := range [][2]string{{organization, "crs_2"}, {"org_other", "crs_other"}} { // they have the like of it
		own := d.read(t, "own.md", "# Own\n\nA bridge is not what the others have here, and it is in the garden.\n")
		d.exec(t, `UPDATE sources SET organization_id = $2, course_id = $3 WHERE source_id = $1`, own.ID, other[0], other[1])
		d.exec(t, `UPDATE passages SET organization_id = $2, course_id = $3 WHERE source_id = $1`, own.ID, other[0], other[1])
	}
	s := d.read(t, "routers.md", routers)
	passage := d.passages(t, s)[0].ID
	for _, who := range [][2]string{{"org_other", "crs_1"}, {"org_other", "crs_other"}, {organization, "crs_2"}} {
		org, course := who[0], who[1]
		l := source.Library{DB: d.db}
		if found, err := l.ByID(t.Context(), org, course, []string{passage}); len(found) > 0 || err != nil {
			t.Errorf("%v: by id: %v, %v", who, found, err)
		}
		if found, err := l.Passages(t.Context(), org, course, []source.Part{{Source: s.ID, To: 10}}); len(found) > 0 || err != nil {
			t.Errorf("%v: passages: %v, %v", who, found, err)
		}
		found, err := l.Sections(t.Context(), org, course)
		if err != nil || slices.ContainsFunc(found, func(f source.Section) bool { return f.Source == s.ID }) {
			t.Errorf("%v: sections: %v, %v", who, found, err)
		}
		for _, query := range []string{"router", "router submarine"} {
			if found, err := source.Search(t.Context(), d.db, org, course, query, 10); len(found) > 0 || err != nil {
				t.Errorf("%v: search: %v, %v", who, found, err)
			}
		}
		listed, err := source.List(t.Context(), d.db, org, course)
		if err != nil || slices.ContainsFunc(listed, func(l source.Source) bool { return l.ID == s.ID }) {
			t.Errorf("%v: list: %v, %v", who, listed, err)
		}
	}
	if _, err := source.Get(t.Context(), d.db, "org_other", s.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("get: %v", err)
	}
	err := d.do(t, func(ctx context.Context, tx pgx.Tx) error { return source.Delete(ctx, tx, "org_other", s.ID) })
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("delete: %v", err)
	}
}

func TestADocumentThatCannotBeReadSaysWhy(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	good := d.read(t, "routers.md", routers)
	for name, c := range map[string]struct{ file, content, reason string }{
		"a lie":      {"a.pdf", "Plain words, no PDF.", "it is a text file"},
		"nothing":    {"a.md", "  \n", "no text"},
		"binary":     {"a.txt", "\x00\x01\x02\x03\x7f\x00\x01\x02\x00\x00\x01", "binary"},
		"an image":   {"a.md", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00", "a PNG image"},
		"an old zip": {"a.docx", "PK\x05\x06" + strings.Repeat("\x00", 18), "another kind of ZIP archive"},
	} {
		s := d.read(t, c.file, c.content)
		if s.State != source.Failed || !strings.Contains(s.Reason, c.reason) {
			t.Errorf("%s: %s: %q", name, s.State, s.Reason)
		}
	}
	if again := d.get(t, good.ID); again.State != source.Ready || len(d.passages(t, good)) != 5 {
		t.Errorf("the good source: %+v", again)
	}
}

func TestAFileLargerThanDeclaredIsNotRead(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s, task := d.upload(t, "routers.md", routers)
	d.exec(t, `UPDATE sources SET size = 10 WHERE source_id = $1`, s.ID)
	if err := d.runner.Execute(t.Context(), task, d.reader.Read); err != nil {
		t.Fatal(err)
	}
	if s = d.get(t, s.ID); s.State != source.Failed || !strings.Contains(s.Reason, "larger than declared") {
		t.Errorf("%s: %q", s.State, s.Reason)
	}
}

// The state follows the job while there is one.
func TestStateFollowsTheJob(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s, task := d.upload(t, "routers.md", routers)
	if got := d.get(t, s.ID).State; got != source.Queued {
		t.Errorf("before: %s", got)
	}
	d.bucket.Fail(fault.New(fault.Unavailable, "The bucket is down."))
	if err := d.runner.Execute(t.Context(), task, d.reader.Read); !fault.Is(err, fault.Unavailable) {
		t.Errorf("with the bucket down: %v", err)
	}
	d.bucket.Fail(nil)
	if got := d.get(t, s.ID); got.State == source.Failed || got.State == source.Ready {
		t.Errorf("after an attempt that failed for now: %+v", got)
	}
	jobs, err := job.ForCourse(t.Context(), d.db, organization, "crs_1", 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.runner.Cancel(t.Context(), organization, jobs[0].ID); err != nil {
		t.Fatal(err)
	}
	if got := d.get(t, s.ID); got.State != source.Failed || got.Reason != "Reading was canceled." {
		t.Errorf("canceled: %+v", got)
	}
	if _, err := d.runner.Resume(t.Context(), organization, jobs[0].ID); err != nil {
		t.Fatal(err)
	}
	if got := d.get(t, s.ID); got.State != source.Queued || got.Reason != "" {
		t.Errorf("resumed: %+v", got)
	}
	if err := d.runner.Execute(t.Context(), task, d.reader.Read); err != nil {
		t.Fatal(err)
	}
	if got := d.get(t, s.ID).State; got != source.Ready {
		t.Errorf("at the end: %s", got)
	}
}

// A source that is deleted while it is read leaves nothing behind.
func TestDeleteDuringReading(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s, task := d.upload(t, "routers.md", routers)
	err := d.runner.Execute(t.Context(), task, func(ctx context.Context, run *job.Run) (job.Result, error) {
		result, err := d.reader.Read(ctx, run)
		return result, errors.Join(err, d.do(t, func(ctx context.Context, tx pgx.Tx) error { return source.Delete(ctx, tx, organization, s.ID) }))
	})
	if err != nil && fault.Retryable(err) {
		t.Errorf("the task would come again: %v", err)
	}
	if _, err := source.Get(t.Context(), d.db, organization, s.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("the source: %v", err)
	}
	var passages, deletions int
	err = d.db.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM passages), (SELECT count(*) FROM deletions WHERE prefix = 'sources/' || $1 || '/')`, s.ID).Scan(&passages, &deletions)
	if err != nil || passages != 0 || deletions != 1 {
		t.Errorf("%d passages and %d deletions, %v", passages, deletions, err)
	}
}

// What was read from a file that has been replaced meanwhile is not stored.
func TestReplacedDuringReading(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s, task := d.upload(t, "routers.md", routers)
	_ = d.runner.Execute(t.Context(), task, func(ctx context.Context, run *job.Run) (job.Result, error) {
		result, err := d.reader.Read(ctx, run)
		d.exec(t, `UPDATE sources SET generation = generation + 1 WHERE source_id = $1`, s.ID)
		return result, err
	})
	if now := d.get(t, s.ID); now.State == source.Ready || len(d.passages(t, s)) > 0 {
		t.Errorf("stored: %+v", now)
	}
}

// The same file read again gives the same passages under the same ids.
func TestReadingIsRepeatable(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s, task := d.upload(t, "routers.md", routers)
	var before []source.Passage
	for range 2 {
		if err := d.runner.Execute(t.Context(), task, d.reader.Read); err != nil {
			t.Fatal(err)
		}
		now := d.passages(t, s)
		if before != nil && !cmp.Equal(before, now) {
			t.Error(cmp.Diff(before, now))
		}
		before = now
		d.exec(t, `UPDATE sources SET state = 'queued'`)
		d.exec(t, `UPDATE jobs SET state = 'queued', finished_at = NULL`)
		d.exec(t, `UPDATE job_steps SET state = 'queued'`)
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	english := d.read(t, "routers.md", routers)
	german := d.read(t, "netze.md", "# Heimnetze\n\nDer Router verbindet die Häuser mit dem Internet und gibt jedem der Geräte eine Adresse, die es nur für eine Weile behält.\n\n## Verschlüsselung\n\nEin offenes Netz ist nicht sicher, denn die Nachbarn können alles lesen, was über das Netz geht.\n")
	chinese := d.read(t, "wang.md", "# 家庭网络\n\n路由器把家里的设备连接到互联网，并且给每台设备分配一个地址。没有密码的无线网络是不安全的。\n")
	for query, want := range map[string]struct {
		source  string
		heading string
	}{
		"passwords":                        {english.ID, "Security"},  // stemmed
		"security":                         {english.ID, "Security"},  // in a heading
		`"address of its own"`:             {english.ID, "Addresses"}, // a phrase
		"printer submarine xylophone":      {english.ID, "Addresses"}, // only one word is there
		"what does encryption mean to me?": {english.ID, "Security"},
		"Haus":                             {german.ID, "Heimnetze"}, // stemmed, umlaut
		"Verschlüsselung":                  {german.ID, "Verschlüsselung"},
		"无线网络":                             {chinese.ID, "家庭网络"},      // no spaces in the text
		"ping":                             {english.ID, "Addresses"}, // code
		"192.168.1.20":                     {english.ID, "Addresses"},
	} {
		hits, err := source.Search(t.Context(), d.db, organization, "crs_1", query, 5)
		if err != nil {
			t.Fatal(err)
		}
		if len(hits) == 0 || hits[0].Source != want.source || !slices.Contains(hits[0].Heading, want.heading) {
			t.Errorf("%q: %+v", query, hits)
			continue
		}
		if hits[0].Rank <= 0 || hits[0].Rank >= 1 {
			t.Errorf("%q: rank %v", query, hits[0].Rank)
		}
	}
	// No passage holds all that is asked for; what is excluded stays away even so.
	for query, unwanted := range map[string]string{
		"xylophone router -encryption":              "ncryption",
		`xylophone router -"gives every device an"`: "gives every device an",
	} {
		hits, err := source.Search(t.Context(), d.db, organization, "crs_1", query, 5)
		if err != nil || len(hits) == 0 {
			t.Errorf("%q: %v, %v", query, hits, err)
		}
		for _, h := range hits {
			if strings.Contains(h.Text, unwanted) {
				t.Errorf("%q found %q", query, h.Text)
			}
		}
	}
	for _, nothing := range []string{"", "xylophone", "the", "'; DROP TABLE passages; --", "\x00", "\xff", `"`, "-router -", ":*", "a & | !", strings.Repeat("x ", 100_000)} {
		if hits, err := source.Search(t.Context(), d.db, organization, "crs_1", nothing, 5); err != nil || nothing != "-router -" && len(hits) > 0 {
			t.Errorf("%.40q: %v, %v", nothing, hits, err)
		}
	}
	if _, err := d.db.Exec(t.Context(), `SELECT 1 FROM passages`); err != nil {
		t.Fatal(err)
	}
}

// More passages than one batch takes.
func TestALargeDocument(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.reader.Limits = extract.Limits{Wall: 10 * time.Minute, Silence: 10 * time.Minute, Memory: 1 << 30}
	paragraph := strings.Repeat("The router lends an address to each device of the network. ", 18) + "\n\n"
	s := d.read(t, "large.md", "# Large\n\n"+strings.Repeat(paragraph, 1100))
	if s.State != source.Ready {
		t.Fatalf("%s: %s", s.State, s.Reason)
	}
	passages := d.passages(t, s)
	if len(passages) != 1100 || passages[1099].Position != 1099 {
		t.Errorf("%d passages", len(passages))
	}
}
