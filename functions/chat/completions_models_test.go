package chat

import (
	"slices"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/llm/backup"
)

func TestModelList(t *testing.T) {
	t.Parallel()
	h := stateless(says{})
	if w := call(h, "GET", "/v1/models", ""); w.Body.String() != `{"object":"list","data":[{"id":"lectern","object":"model","created":0,"owned_by":"lectern"},{"id":"small","object":"model","created":0,"owned_by":"lectern"}]}`+"\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, c := range []struct {
		second llm.Streamer
		want   []string
	}{{&llm.Fake{}, []string{"lectern", "small", "fake"}}, {says{}, []string{"lectern", "small"}}} {
		two := stateless(backup.New(says{}, c.second, backup.Options{}))
		var names []string
		for _, m := range strict[modelList](t, call(two, "GET", "/v1/models", "").Body.String()).Data {
			names = append(names, m.ID)
			if w := call(two, "GET", "/v1/models/"+m.ID, ""); w.Code != 200 {
				t.Errorf("%s: %d %s", m.ID, w.Code, w.Body)
			}
		}
		if !slices.Equal(names, c.want) {
			t.Errorf("%q, not %q", names, c.want)
		}
	}
	if w := call(h, "GET", "/v1/models/small", ""); w.Code != 200 || strict[modelInfo](t, w.Body.String()).ID != "small" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, name := range []string{"nobody", "x%2Fy", "a%00", strings.Repeat("y", 3000)} {
		if w := call(h, "GET", "/v1/models/"+name, ""); w.Code != 404 || *strict[apiError](t, w.Body.String()).Error.Code != "model_not_found" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := call(h, "GET", "/v1/models", "", "Authorization", "Bearer bad"); w.Code != 401 || *strict[apiError](t, w.Body.String()).Error.Code != "invalid_api_key" ||
		!strings.Contains(w.Body.String(), "Send an API credential") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
