package courses

import (
	"strings"
	"testing"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/edgetest"
	"lectern.dev/lectern/internal/source"
)

func TestASourceGetsItsUploadAndGoesWithItsFiles(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	at := "/v1/courses/" + r.course(0, 0).ID + "/sources"
	body := `{"name":"owls.md","content_type":"text/markdown","size":12}`
	added := edgetest.Into[uploadAnswer](r.do("POST", at, body, "Idempotency-Key", "k").Want(201))
	if added.Source.State != source.Uploading || added.Upload.Method != "PUT" || added.Upload.URL == "" || added.Upload.Headers["Content-Type"] == "" {
		t.Errorf("%+v", added)
	}
	again := edgetest.Into[uploadAnswer](r.do("POST", at, body, "Idempotency-Key", "k").Want(201))
	if again.Source.ID != added.Source.ID || again.Upload.URL != added.Upload.URL {
		t.Errorf("the same key gave another source or upload: %+v", again)
	}
	second := edgetest.Into[uploadAnswer](r.do("POST", at, `{"name":"owls.pdf","size":1}`).Want(201))
	for body, want := range map[string]int{
		`{"name":"owls.exe","size":1}`: 422, `{"name":"a.md","size":0}`: 422, `{"name":"a.md","size":99999999}`: 413, `{"name":"a\u0000.md","size":1}`: 422, `{"name":"a.md"}`: 422,
	} {
		r.do("POST", at, body).Want(want)
	}

	page := edgetest.Into[edge.List[source.Source]](r.do("GET", at+"?limit=1", nil).Want(200))
	if len(page.Items) != 1 || page.Items[0].ID != added.Source.ID || page.NextCursor == "" {
		t.Errorf("%+v", page)
	}
	rest := at + "?limit=1&cursor=" + page.NextCursor
	page = edgetest.Into[edge.List[source.Source]](r.do("GET", rest, nil).Want(200))
	if len(page.Items) != 1 || page.Items[0].ID != second.Source.ID || page.NextCursor != "" {
		t.Errorf("%+v", page)
	}
	r.do("GET", at+"?cursor=x", nil).Want(422)

	if _, err := r.bucket.Write(t.Context(), "sources/"+added.Source.ID+"/upload", strings.NewReader("x"), blob.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	r.do("DELETE", "/v1/sources/"+added.Source.ID, nil).Want(204)
	r.do("DELETE", "/v1/sources/"+added.Source.ID, nil).Want(404)
	if page = edgetest.Into[edge.List[source.Source]](r.do("GET", rest, nil).Want(200)); len(page.Items) != 1 || page.Items[0].ID != second.Source.ID {
		t.Errorf("behind a source that was deleted: %+v", page)
	}
	if left, err := r.bucket.List(t.Context(), ""); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// uploadAnswer is the body of an answer to adding a source.
type uploadAnswer struct {
	Source source.Source
	Upload struct {
		URL, Method string
		Headers     map[string]string
	}
}

func TestPassagesAreFound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ids := r.one()
	_, err := r.db.Exec(t.Context(), `
		INSERT INTO passages (passage_id, source_id, course_id, organization_id, position, kind, heading, page, start_offset, end_offset, text, words, configuration, lexemes)
		VALUES ('psg_1', $1, $2, 'org_local', 0, 'prose', '{Owls}', 3, 10, 40, 'Barn owls hunt by ear.', 5, 'english', to_tsvector('english', 'Barn owls hunt by ear.'))`,
		ids["source"], ids["course"])
	if err != nil {
		t.Fatal(err)
	}
	at := "/v1/courses/" + ids["course"] + "/passages"
	hits := edgetest.Into[edge.List[source.Hit]](r.do("GET", at+"?q=owl", nil).Want(200))
	if len(hits.Items) != 1 || hits.Items[0].Page != 3 || hits.Items[0].Start != 10 || hits.Items[0].Source != ids["source"] {
		t.Errorf("%+v", hits)
	}
	if none := edgetest.Into[edge.List[source.Hit]](r.do("GET", at+"?q=penguin", nil).Want(200)); none.Items == nil || len(none.Items) != 0 {
		t.Errorf("%+v", none)
	}
	r.do("GET", at, nil).Want(422)
	r.do("GET", at+"?q=", nil).Want(422)
}
