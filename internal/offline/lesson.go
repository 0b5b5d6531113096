package offline

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

const (
	wordsPerSlide = 210 // of the source
	fewestSlides  = 5
	mostSlides    = 9 // of points; listings, tables and a quotation come on top
	goodPoints    = 3 // on one slide, where there are so many
	mostPoints    = 4
	narratedWords = 75 // on one slide, about; half a minute
	maxExtras     = 3  // slides with code, a table or a quotation
)

// topic is a stretch of the passages that becomes one slide.
type topic struct {
	path      []string
	sentences []*sentence // that can be points
	others    []*sentence // that can be spoken only
}

func writeLesson(ctx context.Context, req llm.Request) (*lesson, error) {
	l, all, err := read(ctx, req)
	if err != nil {
		return nil, err
	}
	title := cmp.Or(req.Inputs["lesson"], l.title(lastHeading(req.Passages[0])))
	w := &writer{language: l, passages: req.Passages, title: title}
	topics := w.topics(all)
	if len(topics) == 0 {
		return nil, fault.New(fault.Invalid,
			"The source says too little in whole sentences about “%s” to make a lesson of it without a language model. Connect one: set OPENAI_API_KEY.", title)
	}
	out := &lesson{}
	for i, t := range topics {
		out.Slides = append(out.Slides, w.pointsSlide(i, t))
	}
	out.Slides = w.withExtras(out.Slides)
	out.Objectives = w.objectives(out.Slides)
	out.Article = w.article(all)
	return out, nil
}

// read ranks the sentences of a request.
func read(ctx context.Context, req llm.Request) (*language, []*sentence, error) {
	if len(req.Passages) == 0 {
		return nil, nil, errNoSource()
	}
	var text strings.Builder
	for _, p := range req.Passages {
		text.WriteString(p.Text + "\n")
	}
	l, err := languageOf(req.Inputs["language"], text.String())
	if err != nil {
		return nil, nil, err
	}
	all := l.sentences(req.Passages)
	return l, all, l.rank(ctx, all, req.Passages, req.Inputs["lesson"])
}

// writer makes the parts of one lesson.
type writer struct {
	*language
	passages []llm.Passage
	title    string
	used     []*sentence
	titles   map[string]int
}

// topics divides the passages into as many stretches as there will be slides:
// neighbours under the same headings are joined until few enough are left, and the
// longest are halved until enough are there.
func (w *writer) topics(all []*sentence) []topic {
	volume := 0
	for _, p := range w.passages {
		volume += countWords(p.Text)
	}
	wanted := min(max(volume/wordsPerSlide, fewestSlides), mostSlides)
	var topics []topic
	for _, s := range all {
		path := headingPath(w.passages[s.passage])
		if n := len(topics); n == 0 || !slices.Equal(topics[n-1].path, path) {
			topics = append(topics, topic{path: path})
		}
		t := &topics[len(topics)-1]
		if s.point != "" {
			t.sentences = append(t.sentences, s)
		} else {
			t.others = append(t.others, s)
		}
	}
	for len(topics) > 1 {
		i := cheapestJoin(topics)
		small := len(topics[i].sentences) < goodPoints || len(topics[i+1].sentences) < goodPoints
		if len(topics) <= wanted && !small {
			break
		}
		topics[i] = topic{
			path:      commonPath(topics[i].path, topics[i+1].path),
			sentences: slices.Concat(topics[i].sentences, topics[i+1].sentences),
			others:    slices.Concat(topics[i].others, topics[i+1].others),
		}
		topics = slices.Delete(topics, i+1, i+2)
	}
	for len(topics) > 0 && len(topics) < wanted {
		i := longest(topics)
		t := topics[i]
		if len(t.sentences) < 2*goodPoints {
			break
		}
		half := len(t.sentences) / 2
		border := t.sentences[half].order
		k := slices.IndexFunc(t.others, func(s *sentence) bool { return s.order > border })
		if k < 0 {
			k = len(t.others)
		}
		topics[i] = topic{t.path, t.sentences[:half:half], t.others[:k:k]}
		topics = slices.Insert(topics, i+1, topic{t.path, t.sentences[half:], t.others[k:]})
	}
	return slices.DeleteFunc(topics, func(t topic) bool { return len(best(t.sentences, 2)) < 2 })
}

// cheapestJoin finds the neighbours that belong together most: those with too little
// for a slide first, then those that share the longest path, then the shortest.
func cheapestJoin(topics []topic) int {
	price := func(i int) int {
		a, b := topics[i], topics[i+1]
		lost := max(len(a.path), len(b.path)) - len(commonPath(a.path, b.path))
		p := lost*25 + len(a.sentences) + len(b.sentences)
		if len(a.sentences) < goodPoints || len(b.sentences) < goodPoints {
			p -= 1000
		}
		return p
	}
	cheapest := 0
	for i := range len(topics) - 1 {
		if price(i) < price(cheapest) {
			cheapest = i
		}
	}
	return cheapest
}

func longest(topics []topic) int {
	at := 0
	for i, t := range topics {
		if len(t.sentences) > len(topics[at].sentences) {
			at = i
		}
	}
	return at
}
