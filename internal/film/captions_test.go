package film

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/course"
)

func TestCaptions(t *testing.T) {
	t.Parallel()
	got := string(captions([]course.Transcript{
		{Start: 3.1, End: 4.35, Text: "A <b>bold</b> claim & more --> end\nof line."},
		{Start: 3661.5, End: 3671.5, Text: strings.Repeat("word ", 30)},
	}))
	want := "WEBVTT\n\n1\n00:00:03.100 --> 00:00:04.350\nA &lt;b&gt;bold&lt;/b&gt; claim &amp; more --&gt; end of line.\n\n2\n01:01:01.500 --> 01:01:06.500\n"
	if !strings.HasPrefix(got, want) {
		t.Errorf("got:\n%s\nwant it to begin:\n%s", got, want)
	}
	if !strings.Contains(got, "\n3\n01:01:06.500 --> 01:01:11.500\n") {
		t.Errorf("the long sentence is not shared out:\n%s", got)
	}
}

// A caption holds what fits, and all captions together the whole sentence.
func TestSplit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(strings.Fields(rapid.StringOf(rapid.SampledFrom([]rune("abcdé日 语  "))).Draw(t, "text")), " ")
		limit := rapid.IntRange(4, 90).Draw(t, "limit")
		var whole []string
		for _, p := range split(text, limit) {
			if n := utf8.RuneCountInString(p); n == 0 || n > limit {
				t.Errorf("%q has %d characters of %d", p, n, limit)
			}
			whole = append(whole, p)
		}
		if strings.ReplaceAll(strings.Join(whole, ""), " ", "") != strings.ReplaceAll(text, " ", "") {
			t.Errorf("%q became %q", text, whole)
		}
	})
}

func TestTranscriptIsMarkdown(t *testing.T) {
	t.Parallel()
	script := Script{CourseTitle: "C", LessonTitle: "2 * 3 _and_ <b>"}
	m := course.Manifest{
		Duration: 75,
		Chapters: []course.Chapter{{Start: 0, Title: "# One"}, {Start: 65, Title: "Two"}},
		Transcript: []course.Transcript{
			{Start: 3, Text: "First [link](x)."}, {Start: 5, Text: "Second."}, {Start: 66, Text: "Third."},
		},
	}
	want := "# 2 \\* 3 \\_and\\_ \\<b>\n\nC · 1:15\n\n## 0:00 · \\# One\n\nFirst \\[link\\](x). Second.\n\n## 1:05 · Two\n\nThird.\n"
	if got := string(transcript(script, m)); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// Half an hour of slides: picture and sound stay together to the sample.
func TestLongFilmDoesNotDrift(t *testing.T) {
	t.Parallel()
	begin := 0
	var sum int64
	for i := range 75 {
		sc := &scene{slide: course.Slide{Narration: []course.Sentence{{Text: "x"}, {Text: "y"}}}, begin: begin}
		sc.page.Number = i + 1
		sc.said = []utterance{{samples: 123_457 + i}, {samples: 345_671 + i}}
		sc.plan(22_050)
		var shown int64
		for _, st := range sc.states() {
			shown += int64(st.Shown)
		}
		if diff := shown - int64(sc.duration()); diff > 1 || diff < -1 { // ns, from rounding the begin
			t.Errorf("scene %d: pictures last %d ns longer than the sound", i, diff)
		}
		sum += int64(sc.duration())
		begin += sc.total
		if sum != int64(sc.since(sc.total)) {
			t.Fatalf("scene %d: durations add up to %d instead of %d", i, sum, sc.since(sc.total))
		}
	}
}
