package offline

import (
	"fmt"
	"slices"
	"testing"

	"lectern.dev/lectern/internal/llm"
)

// What makes no sense when it is read aloud by itself is not taken.
func TestStandsAlone(t *testing.T) {
	t.Parallel()
	l := languages()["en"]
	for raw, want := range map[string]bool{
		"A named pipe is a file that acts like a pipe.":                               true,
		"Although the disk is slow, the system starts at once.":                       true,
		"The mount options are set in ”/etc/fstab” by the installer.":                 false,
		"Files inside of the .git/ directory hold the index and the local data.":      false,
		"The options ”--force-all” and similar are meant for experts only.":           false,
		"Although you can manually create a chroot environment using debootstrap.":    false,
		"1Even the older vim starts in the sane mode when it is told so.":             false,
		"The expansion pattern using the shell glob,, is of help to everybody here.":  false,
		"Pressing Esc has the same effect as Alt and the key.; i.e., type Esc and c.": false,
		"I.e., different releases of Debian had different defaults for the date.":     false,
		"Then leave the main mail program only for a single email address.":           false,
		"Similar commands are available for each filesystem that Linux supports.":     false,
		"The Debian system is no exception.":                                          false,
		"You always need a password to boot the system, though.":                      false,
		"It’s called a tree because it looks like one that is upside down.":           false,
		"Network optimization is beyond the scope of this documentation.":             false,
		"If you want to make a Debian package, you should read followings.":           false,
	} {
		if _, ok := l.standsAlone(raw, false); ok != want {
			t.Errorf("%q: %v", raw, ok)
		}
	}
}

// A sign in a cell is no bullet.
func TestTablesKeepTheirSigns(t *testing.T) {
	t.Parallel()
	_, rows, ok := parseTable("result | value\nsuccess | 0\nfailure | -1\n- | `none`\n")
	if !ok || !slices.Equal(rows[1], []string{"failure", "-1"}) || !slices.Equal(rows[2], []string{"-", "none"}) {
		t.Errorf("%v %q", ok, rows)
	}
}

// A row is asked for by its name, so no other may have it; nobody learns "V:29, I:240".
func TestTableRowsHaveOneAnswer(t *testing.T) {
	t.Parallel()
	row, wrong := tableRow([][]string{{"Queen", "16"}, {"Worker", "21"}, {"Drone", "24"}, {"Drone", "25"}})
	if !slices.Equal(row, []string{"Queen", "16"}) || !slices.Equal(wrong, []string{"21", "24", "25"}) {
		t.Errorf("%q, wrong are %q", row, wrong)
	}
	if row, _ := tableRow([][]string{{"make", "V:147, I:574"}, {"libtool", "V:29, I:240"}, {"cmake", "V:16, I:116"}}); row != nil {
		t.Errorf("%q", row)
	}
}

// A slide is not called after the heading of one of its four points.
func TestSlideTitlesCoverTheirPoints(t *testing.T) {
	t.Parallel()
	l := languages()["en"]
	var passages []llm.Passage
	var chosen []*sentence
	for i, h := range []string{"Groups", "Pipes", "Devices", "Memory"} {
		passages = append(passages, llm.Passage{Heading: "Files > " + h})
		chosen = append(chosen, &sentence{passage: i, spoken: "Nothing that is named."})
		if i == 3 {
			chosen[i].spoken = "Nothing but GNU is named."
		}
	}
	w := &writer{language: l, passages: passages, title: "Unix", titles: map[string]int{"Files": 1}}
	if title := w.slideTitle(topic{path: []string{"Files"}, sentences: chosen}, chosen); title != "Unix" {
		t.Errorf("%q", title)
	}
	if title := w.slideTitle(topic{path: []string{"Files"}, sentences: chosen}, chosen); title != "Files, part 2" {
		t.Errorf("%q", title)
	}
	if title := w.slideTitle(topic{path: []string{"Files"}, sentences: chosen[:2]}, chosen[:2]); title != "Groups" {
		t.Errorf("%q", title)
	}
}

// The first pages of a book say what its first chapter is about; unless they speak of
// what its title names, it gets no summary.
func TestSummariesAreOfTheWhole(t *testing.T) {
	t.Parallel()
	l := languages()["en"]
	about, sections := map[string]string{}, []section{}
	for i := range 100 {
		id := fmt.Sprint("s", i)
		about[id] = "A file manager is a program that shows what stands in a folder."
		sections = append(sections, section{ID: id, Path: []string{"Files"}, Words: 100})
	}
	for title, want := range map[string]bool{"Reference of everything": false, "The manager": true} {
		if got, err := l.summary(t.Context(), title, about, sections); err != nil || (got != "") != want {
			t.Errorf("%s: %q, %v", title, got, err)
		}
	}
	if got, err := l.summary(t.Context(), "Reference of everything", about, sections[:20]); err != nil || got == "" {
		t.Errorf("a short document: %q, %v", got, err)
	}
}
