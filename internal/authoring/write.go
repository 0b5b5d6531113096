package authoring

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/job"
)

// The form of a lesson.
const (
	fewestSlides = 5
	mostSlides   = 12
	fewestPoints = 2
	mostPoints   = 5
	longestPoint = 16 // words, beyond which a point is sent back
	writerTokens = 12_000
)

// write makes a lesson's article, slides and narration.
func (t *task) write(ctx context.Context) (job.Result, error) {
	t.run.Progress(0, writeUnits, fmt.Sprintf("Writing “%s”", t.lesson.Title))
	passages, err := t.lessonPassages(ctx)
	if err != nil {
		return job.Result{}, err
	}
	answer, tr, err := ask(ctx, t.Agents, question{
		prompt: writerPrompt, schema: "lesson", maxTokens: writerTokens,
		inputs:   t.inputs(map[string]string{"sourced": yesNo(len(passages.passages) > 0)}),
		passages: passages.forModel(),
	}, checkLesson)
	if err != nil {
		return job.Result{}, err
	}
	article, citations := passages.footnotes(answer.Article)
	slides := passages.slides(answer.Slides)
	objectives := slices.DeleteFunc(texts(answer.Objectives, 6, 290), func(s string) bool { return s == "" })
	return job.Result{
		Output: tr,
		Apply: func(ctx context.Context, tx pgx.Tx) error {
			_, err := course.UpdateLesson(ctx, tx, t.organization, t.lesson.ID, nil, func(f *course.LessonFields) error {
				f.Objectives, f.Article, f.Citations = objectives, article, citations
				return nil
			})
			if err != nil {
				return err
			}
			_, _, err = course.ReplaceSlides(ctx, tx, t.organization, t.lesson.ID, nil, slides)
			return err
		},
	}, nil
}

// inputs are what every prompt about a lesson is filled with.
func (t *task) inputs(more map[string]string) map[string]string {
	in := map[string]string{
		"course": t.lesson.Course, "audience": t.brief.Audience,
		"lesson": t.lesson.Title, "language": t.lesson.Language,
	}
	maps.Copy(in, more)
	return in
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// checkLesson says what is wrong with the form of a lesson. What can be mended
// without the writer is left to the reviewer.
func checkLesson(l lessonAnswer) (wrong faults) {
	if strings.TrimSpace(l.Article) == "" {
		wrong.fail("The article is empty.")
	}
	if len(l.Objectives) == 0 {
		wrong.mind("There are no objectives.")
	}
	switch n := len(l.Slides); {
	case n == 0, n > course.MaxSlides:
		wrong.fail("There are %d slides; %d to %d are wanted.", n, fewestSlides, mostSlides)
	case n < fewestSlides, n > mostSlides:
		wrong.mind("There are %d slides; %d to %d are wanted.", n, fewestSlides, mostSlides)
	}
	for i, s := range l.Slides {
		checkSlide(&wrong, fmt.Sprintf("Slide %d (“%s”)", i+1, cut(s.Title, 40)), s)
	}
	return wrong
}

func checkSlide(wrong *faults, at string, s slideAnswer) {
	switch course.SlideKind(s.Kind) {
	case course.PointsSlide:
		if len(s.Points) == 0 {
			wrong.fail("%s has no points.", at)
		}
		if n := len(s.Points); n < fewestPoints || n > mostPoints {
			wrong.mind("%s has %d points; %d to %d are wanted.", at, n, fewestPoints, mostPoints)
		}
	case course.CodeSlide:
		if s.Code == nil || strings.TrimSpace(s.Code.Text) == "" {
			wrong.fail("%s is of kind code but has no code.", at)
		}
	case course.TableSlide:
		if s.Table == nil || !rectangular(*s.Table) {
			wrong.fail("%s is of kind table and needs a header, and rows with as many cells as it.", at)
		}
	case course.QuoteSlide:
		if s.Quote == nil || strings.TrimSpace(s.Quote.Text) == "" {
			wrong.fail("%s is of kind quote but has no quote.", at)
		}
	default:
		wrong.fail("%s has the unknown kind %q.", at, cut(s.Kind, 20))
	}
	if strings.TrimSpace(s.Title) == "" {
		wrong.mind("%s has no title.", at)
	}
	if len(s.Narration) == 0 {
		wrong.mind("%s has no narration.", at)
	}
	for _, p := range s.Points {
		if n := len(strings.Fields(p.Text)); n > longestPoint {
			wrong.mind("%s: the point “%s” has %d words; at most 12 are wanted.", at, cut(p.Text, 60), n)
		}
	}
}

func rectangular(t tableAnswer) bool {
	if len(t.Header) == 0 || len(t.Rows) == 0 {
		return false
	}
	for _, r := range t.Rows {
		if len(r) != len(t.Header) {
			return false
		}
	}
	return true
}

// slides makes course slides of an answer's. Lengths are cut to what a course takes.
func (s shown) slides(answers []slideAnswer) []course.Slide {
	out := make([]course.Slide, len(answers))
	for i, a := range answers {
		slide := course.Slide{Kind: course.SlideKind(a.Kind), Title: text(a.Title, 120), Points: []course.Point{}, Narration: []course.Sentence{}}
		for _, p := range a.Points[:min(len(a.Points), course.MaxPoints)] {
			if line := strings.TrimRight(text(p.Text, 290), "."); line != "" {
				slide.Points = append(slide.Points, course.Point{Text: line, Evidence: s.resolve(p.Cites)})
			}
		}
		reveals := 0
		for _, n := range a.Narration {
			if line := text(n.Text, 990); line != "" && len(slide.Narration) < course.MaxSentences {
				reveals = min(max(reveals, n.Reveals), len(slide.Points))
				slide.Narration = append(slide.Narration, course.Sentence{Text: line, Reveals: reveals, Evidence: s.resolve(n.Cites)})
			}
		}
		switch slide.Kind {
		case course.CodeSlide:
			slide.Code = &course.Code{Language: text(a.Code.Language, 30), Text: cut(storable(a.Code.Text), 3900), Evidence: s.resolve(a.Code.Cites)}
		case course.TableSlide:
			slide.Table = &course.Table{Header: row(a.Table.Header), Rows: rows(a.Table.Rows), Evidence: s.resolve(a.Table.Cites)}
		case course.QuoteSlide:
			slide.Quote = &course.Quote{Text: text(a.Quote.Text, 990), Attribution: text(a.Quote.Attribution, 190), Evidence: s.resolve(a.Quote.Cites)}
		}
		out[i] = slide
	}
	return out
}

func row(cells []string) []string {
	return texts(cells[:min(len(cells), course.MaxColumns)], course.MaxColumns, 290)
}

func rows(all [][]string) [][]string {
	out := make([][]string, min(len(all), course.MaxRows))
	for i := range out {
		out[i] = row(all[i])
	}
	return out
}

// text makes one line of a text, of at most n characters.
func text(s string, n int) string {
	return cut(strings.Join(strings.Fields(storable(s)), " "), n)
}

// texts is text for a list of at most most entries.
func texts(all []string, most, n int) []string {
	out := []string{}
	for _, s := range all[:min(len(all), most)] {
		out = append(out, text(s, n))
	}
	return out
}

var footnote = regexp.MustCompile(`\[\^?(p\d+)\]`)

// footnotes renumbers an article's citations in the order of their first
// appearance and gives what they point to. Those that point nowhere are taken out.
func (s shown) footnotes(article string) (string, []course.Evidence) {
	citations := []course.Evidence{}
	number := map[string]int{}
	out := footnote.ReplaceAllStringFunc(s.withoutLinks(storable(article)), func(mark string) string {
		id := footnote.FindStringSubmatch(mark)[1]
		p, ok := s.find(id)
		if !ok {
			return ""
		}
		if number[id] == 0 {
			if len(citations) == course.MaxCitations {
				return ""
			}
			e, _ := evidence(p, "")
			citations = append(citations, e)
			number[id] = len(citations)
		}
		return "[^p" + strconv.Itoa(number[id]) + "]"
	})
	return cut(out, 99_000), citations
}

var (
	image     = regexp.MustCompile(`!\[([^\]]*)\](\([^)]*\)|\[[^\]]*\])`)
	link      = regexp.MustCompile(`\[([^\]^][^\]]*)\](\([^)]*\)|\[[^\]^][^\]]*\])`)
	reference = regexp.MustCompile(`(?m)^ {0,3}\[[^\]^][^\]]*\]:.*$`)
	address   = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://[^\s)>\]]+`)
)

// withoutLinks takes images and the targets of links out of an article, and addresses
// that no passage has: what a passage talked a model into must not make a reader's
// browser call anywhere.
func (s shown) withoutLinks(article string) string {
	article = image.ReplaceAllString(article, "$1")
	article = link.ReplaceAllString(article, "$1")
	article = reference.ReplaceAllString(article, "")
	return address.ReplaceAllStringFunc(article, func(url string) string {
		for _, p := range s.passages {
			if strings.Contains(p.Text, strings.TrimRight(url, ".,;:!?")) {
				return url
			}
		}
		return ""
	})
}
