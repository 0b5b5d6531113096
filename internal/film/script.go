package film

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/film/deck"
)

// version names how segments are made; it changes whenever the same script would give another film.
const version = "film-2/" + deck.Version

// Script is all that a film is made from.
type Script struct {
	Language    string // BCP 47
	CourseTitle string
	LessonTitle string
	Slides      []course.Slide
}

// ContentKey names a film by what it is made from: a script read by a voice, in
// this version's look. It has 32 characters of [0-9a-f]. What a claim rests on is
// not shown in the film, and so no part of the key.
func ContentKey(script Script, voice string) string {
	type content struct {
		Voice, Language, Course, Lesson string
		Slides                          []course.Slide
	}
	c := content{voice, script.Language, script.CourseTitle, script.LessonTitle, make([]course.Slide, len(script.Slides))}
	for i, s := range script.Slides {
		c.Slides[i] = shown(s)
		c.Slides[i].ID = s.ID // chapters name their slide
		for _, n := range s.Narration {
			c.Slides[i].Narration = append(c.Slides[i].Narration, course.Sentence{Text: n.Text, Reveals: n.Reveals})
		}
	}
	return hash("content", c)
}

// shown is what of a slide can be seen.
func shown(s course.Slide) course.Slide {
	v := course.Slide{Kind: s.Kind, Title: s.Title}
	for _, p := range s.Points {
		v.Points = append(v.Points, course.Point{Text: p.Text})
	}
	switch {
	case s.Kind == course.CodeSlide && s.Code != nil:
		v.Code = &course.Code{Language: s.Code.Language, Text: s.Code.Text}
	case s.Kind == course.TableSlide && s.Table != nil:
		v.Table = &course.Table{Header: s.Table.Header, Rows: s.Table.Rows}
	case s.Kind == course.QuoteSlide && s.Quote != nil:
		v.Quote = &course.Quote{Text: s.Quote.Text, Attribution: s.Quote.Attribution}
	}
	return v
}

// pages gives the title card and the slides.
func (s Script) pages() []deck.Page {
	pages := []deck.Page{{Language: s.Language, Course: s.CourseTitle, Lesson: s.LessonTitle, Total: len(s.Slides)}}
	for i, slide := range s.Slides {
		p := pages[0]
		p.Number, p.Slide = i+1, shown(slide)
		pages = append(pages, p)
	}
	return pages
}

// hash addresses what is made from the values.
func hash(kind string, values ...any) string {
	h := sha256.New()
	// What is hashed are plain structs of strings and numbers, which always encode.
	_ = json.NewEncoder(h).Encode(append([]any{version, kind}, values...))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// words tells whether there is something to say.
func words(text string) bool { return strings.TrimSpace(text) != "" }
