package render_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/logtest"
)

// The one line about a film has what it took; one that is made again says what was reused.
func TestAFilmIsLogged(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write(t, "Packages")
	make := func() (film, attempt logtest.Line) {
		t.Helper()
		body, err := json.Marshal(h.order(t))
		if err != nil {
			t.Fatal(err)
		}
		ctx, log := logtest.Under(t.Context())
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(string(body))))
		return log.One(t, "film"), log.One(t, "attempt")
	}
	first, attempt := make()
	lasts, took, factor := first.Number("lesson_seconds"), first.Number("wall_seconds"), first.Number("realtime_factor")
	if lasts == nil || *lasts <= 0 || *took <= 0 || *factor < *lasts / *took * 0.999 || *factor > *lasts / *took * 1.001 {
		t.Errorf("%v of film in %v: %v", lasts, took, first)
	}
	if *first.Number("segments_made") == 0 || first.Number("segments_reused") != nil || *first.Number("slides") != 1 || *first.Number("bytes") == 0 || *first.Number("cpu_seconds") < 0 {
		t.Errorf("the first film: %v", first)
	}
	if attempt.Text("outcome") != "delivered" || attempt.Text("target") != string(job.Render) || *attempt.Number("segments_made") != *first.Number("segments_made") {
		t.Errorf("the attempt: %v", attempt)
	}
	logtest.Bound(t, first)

	if _, err := h.db.Exec(t.Context(), `DELETE FROM jobs`); err != nil {
		t.Fatal(err)
	}
	h.write(t, "Packages", "Packages and more")
	second, _ := make()
	if reused := second.Number("segments_reused"); reused == nil || *reused == 0 || strings.Contains(strings.Join(texts(second), " "), "Packages") {
		t.Errorf("the second film: %v", second)
	}
}

// texts are all texts of a line.
func texts(line logtest.Line) []string {
	var all []string
	for _, value := range line {
		if text, ok := value.(string); ok {
			all = append(all, text)
		}
	}
	return all
}
