package course

import "fmt"

// check makes one slide whole and adds what is wrong with it to f.
func (s *Slide) check(f *findings, at string) {
	s.Points, s.Narration = filled(s.Points), filled(s.Narration)
	f.text(at+"title", s.Title, 0, maxTitle)
	f.count(at+"points", len(s.Points), MaxPoints)
	for i := range s.Points {
		p := &s.Points[i]
		p.Evidence = filled(p.Evidence)
		f.text(fmt.Sprintf("%spoints[%d].text", at, i), p.Text, 1, maxPoint)
		f.evidence(fmt.Sprintf("%spoints[%d].evidence", at, i), p.Evidence, MaxEvidence)
	}
	s.checkNarration(f, at)
	switch s.Kind {
	case PointsSlide:
		if len(s.Points) == 0 {
			f.add(at+"points", "must not be empty on a slide of the kind points")
		}
	case CodeSlide, TableSlide, QuoteSlide:
	default:
		f.add(at+"kind", "is not one of points, code, table, quote")
	}
	for kind, there := range map[SlideKind]bool{CodeSlide: s.Code != nil, TableSlide: s.Table != nil, QuoteSlide: s.Quote != nil} {
		switch {
		case s.Kind == kind && !there:
			f.add(at+string(kind), "must be set on a slide of the kind %s", kind)
		case s.Kind != kind && there:
			f.add(at+string(kind), "may only be set on a slide of the kind %s", kind)
		}
	}
	if c := s.Code; c != nil {
		c.Evidence = filled(c.Evidence)
		f.text(at+"code.language", c.Language, 0, 40)
		f.text(at+"code.text", c.Text, 1, maxCode)
		f.evidence(at+"code.evidence", c.Evidence, MaxEvidence)
	}
	if q := s.Quote; q != nil {
		q.Evidence = filled(q.Evidence)
		f.text(at+"quote.text", q.Text, 1, maxQuote)
		f.text(at+"quote.attribution", q.Attribution, 0, maxAttribution)
		f.evidence(at+"quote.evidence", q.Evidence, MaxEvidence)
	}
	if s.Table != nil {
		s.Table.check(f, at+"table.")
	}
}

// checkNarration holds what a film relies on: points appear, they never go away.
func (s *Slide) checkNarration(f *findings, at string) {
	f.count(at+"narration", len(s.Narration), MaxSentences)
	shown := 0
	for i := range s.Narration {
		n := &s.Narration[i]
		n.Evidence = filled(n.Evidence)
		where := fmt.Sprintf("%snarration[%d]", at, i)
		f.text(where+".text", n.Text, 1, maxSentence)
		f.evidence(where+".evidence", n.Evidence, MaxEvidence)
		if n.Reveals < shown || n.Reveals > len(s.Points) {
			f.add(where+".reveals", "must lie between %d, what is visible before, and %d, the number of points", shown, len(s.Points))
		}
		shown = max(shown, n.Reveals)
	}
}

func (t *Table) check(f *findings, at string) {
	t.Header, t.Rows, t.Evidence = filled(t.Header), filled(t.Rows), filled(t.Evidence)
	f.count(at+"header", len(t.Header), MaxColumns)
	f.count(at+"rows", len(t.Rows), MaxRows)
	if len(t.Header) == 0 {
		f.add(at+"header", "must not be empty")
	}
	for i, cell := range t.Header {
		f.text(fmt.Sprintf("%sheader[%d]", at, i), cell, 0, maxCell)
	}
	for i := range t.Rows {
		if len(t.Rows[i]) != len(t.Header) {
			f.add(fmt.Sprintf("%srows[%d]", at, i), "has %d cells; the header has %d", len(t.Rows[i]), len(t.Header))
		}
		for j, cell := range t.Rows[i] {
			f.text(fmt.Sprintf("%srows[%d][%d]", at, i, j), cell, 0, maxCell)
		}
	}
	f.evidence(at+"evidence", t.Evidence, MaxEvidence)
}

func (q *Question) check(f *findings, at string) {
	q.Choices, q.Evidence = filled(q.Choices), filled(q.Evidence)
	f.text(at+"prompt", q.Prompt, 1, maxPrompt)
	f.text(at+"explanation", q.Explanation, 0, maxExplanation)
	if len(q.Choices) < 2 || len(q.Choices) > 6 {
		f.add(at+"choices", "must be 2 to 6")
	}
	for i, c := range q.Choices {
		f.text(fmt.Sprintf("%schoices[%d]", at, i), c, 1, maxChoice)
	}
	if q.Key < 0 || q.Key >= len(q.Choices) {
		f.add(at+"key", "is not the index of a choice")
	}
	f.evidence(at+"evidence", q.Evidence, MaxEvidence)
}
