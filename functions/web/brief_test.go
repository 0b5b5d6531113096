package web

import (
	"fmt"
	"testing"

	"lectern.dev/lectern/internal/authoring"
)

// The page lets nobody ask for more lessons than the API takes.
func TestTheFormKnowsHowManyLessonsThereCanBe(t *testing.T) {
	t.Parallel()
	site, api := startSite(t)
	api.change(func() { api.jobs = nil })
	_, page := fetch(t, "GET", site+"/courses/"+courseID, nil)
	wants(t, page, fmt.Sprintf(`name="lessons" type="number" min="1" max="%d"`, authoring.MaxLessons))
}
