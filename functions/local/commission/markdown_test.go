package commission

import (
	"strings"
	"testing"

	"lectern.dev/lectern/internal/course"
)

// The article's headings stand below the lesson's own; what looks like one in a
// listing is left alone.
func TestMarkdownHeadings(t *testing.T) {
	lesson := ExportedLesson{Number: 1, Lesson: course.Lesson{
		Title:   "Pipes",
		Article: "## Named\n\nText.[^p1]\n\n```bash\n# a comment\n## another\n```\n\n### Deeper\n\n##### Deepest\n\n~~~\n# kept\n```\n# kept too\n~~~\n\n#no heading",
	}}
	got := markdown(&Exported{Modules: []ExportedModule{{Lessons: []ExportedLesson{lesson}}}})
	for _, want := range []string{
		"\n### 1. Pipes\n", "\n#### Named\n", "[^1-p1]", "\n# a comment\n## another\n", "\n##### Deeper\n", "\n###### Deepest\n",
		"\n# kept\n```\n# kept too\n", "\n#no heading",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
}
