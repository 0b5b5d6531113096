package film

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"lectern.dev/lectern/internal/course"
)

// captionLength is how many characters a caption holds: two lines of 42, as broadcasters have it.
const captionLength = 84

// captions writes the transcript as WebVTT. A long sentence becomes several cues
// that share its time by their length.
func captions(transcript []course.Transcript) []byte {
	var b strings.Builder
	b.WriteString("WEBVTT\n")
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	n := 0
	for _, t := range transcript {
		pieces := split(strings.Join(strings.Fields(t.Text), " "), captionLength)
		total, done := 0, 0
		for _, p := range pieces {
			total += len(p)
		}
		for _, p := range pieces {
			n++
			start := t.Start + (t.End-t.Start)*float64(done)/float64(total)
			done += len(p)
			end := t.Start + (t.End-t.Start)*float64(done)/float64(total)
			fmt.Fprintf(&b, "\n%d\n%s --> %s\n%s\n", n, timestamp(start), timestamp(end), escape.Replace(p))
		}
	}
	return []byte(b.String())
}

// split cuts text into pieces of about equal length, none longer than limit
// characters, at spaces where there are any.
func split(text string, limit int) []string {
	runes := []rune(text)
	count := (len(runes) + limit - 1) / limit
	var pieces []string
	for ; count > 0 && len(runes) > 0; count-- {
		cut := (len(runes) + count - 1) / count
		if count > 1 {
			cut = nearestSpace(runes, cut, limit)
		} else if len(runes) > limit {
			count++ // cuts at spaces left more for the last piece than it holds
			cut = nearestSpace(runes, limit, limit)
		}
		if piece := strings.TrimSpace(string(runes[:cut])); piece != "" {
			pieces = append(pieces, piece)
		}
		runes = runes[cut:]
	}
	return pieces
}

// nearestSpace finds a place to cut close to at and at most at limit; at itself when there is no space nearby.
func nearestSpace(runes []rune, at, limit int) int {
	for d := 0; d < limit/2; d++ {
		for _, i := range [2]int{at - d, at + d} {
			if i > 0 && i <= limit && i < len(runes) && unicode.IsSpace(runes[i]) {
				return i
			}
		}
	}
	return min(at, limit)
}

func timestamp(seconds float64) string {
	ms := int64(seconds*1000 + 0.5)
	return fmt.Sprintf("%02d:%02d:%02d.%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, ms%1000)
}

// transcript writes what is said as Markdown, a heading per slide.
func transcript(script Script, m course.Manifest) []byte {
	escape := strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", `\<`, "#", `\#`, "|", `\|`, "&", `\&`)
	line := func(s string) string { return escape.Replace(strings.Join(strings.Fields(s), " ")) }
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s · %s\n", line(script.LessonTitle), line(script.CourseTitle), clock(m.Duration))
	said := m.Transcript
	for i, c := range m.Chapters {
		fmt.Fprintf(&b, "\n## %s · %s\n", clock(c.Start), line(c.Title))
		var sentences []string
		for len(said) > 0 && (i+1 == len(m.Chapters) || said[0].Start < m.Chapters[i+1].Start) {
			sentences = append(sentences, line(said[0].Text))
			said = said[1:]
		}
		if len(sentences) > 0 {
			fmt.Fprintf(&b, "\n%s\n", strings.Join(sentences, " "))
		}
	}
	return []byte(b.String())
}

func clock(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Truncate(time.Second)
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}
