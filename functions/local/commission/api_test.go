package commission

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// A sentence that sends its reader to a list says here what stands in the list.
func TestProblemsAreOneSentence(t *testing.T) {
	for body, want := range map[string]string{
		`{"detail":"The language is no tag.","errors":[{"location":"body.language","message":"is no tag"}]}`:               "The language is no tag.",
		`{"detail":"It has no form; see errors.","errors":[{"location":"body.title","message":"expected length <= 200"}]}`: "The title was not accepted: expected length <= 200.",
		`nonsense`: "GET / answered 422 Unprocessable Entity",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, body)
		}))
		if _, err := call[any](t.Context(), &Maker{URL: server.URL}, http.MethodGet, "/", nil); err == nil || err.Error() != want {
			t.Errorf("%s: %v", body, err)
		}
		server.Close()
	}
}
