package offline

import (
	"cmp"
	"context"
	"hash/fnv"
	"slices"
	"strings"
	"unicode/utf8"

	"lectern.dev/lectern/internal/llm"
)

const (
	fewestQuestions = 3
	mostQuestions   = 6
	choices         = 4
	longestChoice   = 16 // words
)

// examiner makes questions whose answers stand in the text.
type examiner struct {
	*language
	passages []llm.Passage
	all      []*sentence // best first
	terms    []string
	defined  []definition
	asked    []*sentence
	out      []question // never nil: an empty list is an answer too
}

func writeQuestions(ctx context.Context, req llm.Request) (*questions, error) {
	l, all, err := read(ctx, req)
	if err != nil {
		return nil, err
	}
	e := &examiner{language: l, passages: req.Passages, terms: l.keyTerms(all), out: []question{}}
	e.all = slices.Clone(all)
	slices.SortStableFunc(e.all, func(a, b *sentence) int { return cmp.Compare(b.score, a.score) })
	for _, s := range e.all {
		if d, ok := l.definition(s.spoken); ok {
			if d.meaning, ok = l.shortMeaning(d.meaning); ok {
				d.sentence = s
				e.defined = append(e.defined, d)
			}
		}
	}
	e.askDefinitions(2)
	e.askTables(1)
	e.askNumbers(1)
	e.askAbout(2)
	e.askTerms(mostQuestions - 1 - len(e.out))
	e.askAbout(mostQuestions - 1 - len(e.out))
	if len(e.out) < fewestQuestions { // a short text: take what there is of each kind
		e.askDefinitions(fewestQuestions - len(e.out))
		e.askNumbers(fewestQuestions - len(e.out))
	}
	return &questions{Questions: e.out}, nil
}

// shortMeaning cuts what a term means to the length of a choice.
func (l *language) shortMeaning(meaning string) (string, bool) {
	meaning, _, _ = strings.Cut(meaning, ": ")
	meaning, _, _ = strings.Cut(meaning, "; ")
	if countWords(meaning) <= longestChoice {
		return meaning, countWords(meaning) >= 3
	}
	end := ""
	for _, mark := range l.cuts {
		if head, _, found := strings.Cut(meaning, mark); found && countWords(head) > countWords(end) &&
			countWords(head) >= 4 && countWords(head) <= longestChoice && balanced(head) && !strings.HasSuffix(mark, ", and ") {
			end = head
		}
	}
	return end, end != ""
}

// askDefinitions asks what a term is; the wrong choices are what other terms are.
func (e *examiner) askDefinitions(n int) {
	for _, d := range e.defined {
		if n <= 0 {
			return
		}
		if e.wasAsked(d.sentence) {
			continue
		}
		var wrong []string
		seen := set{}
		for _, o := range e.defined {
			if o.plural == d.plural && !seen[o.term] && stem(strings.ToLower(o.term)) != stem(strings.ToLower(d.term)) && !similar(e.language, o.meaning, d.meaning) {
				seen[o.term] = true
				wrong = append(wrong, o.meaning)
			}
		}
		prompt := e.phrase("askDefinition", 0, d.named())
		if d.plural {
			prompt = e.phrase("askDefinitionPlural", 0, d.named())
		}
		if e.ask(prompt, d.meaning, wrong, d.sentence) {
			n--
		}
	}
}

// askNumbers blanks a number; the wrong choices are other numbers of its kind from the text.
func (e *examiner) askNumbers(n int) {
	for _, s := range e.all {
		if n <= 0 {
			return
		}
		numbers := numberPattern.FindAllString(s.spoken, -1)
		if len(numbers) != 1 || e.wasAsked(s) || utf8.RuneCountInString(numbers[0]) < 2 || shape(numbers[0]) == "number." {
			continue
		}
		var wrong []string
		for _, p := range e.passages {
			if p.Kind == "code" {
				continue
			}
			for _, other := range numberPattern.FindAllString(p.Text, -1) {
				if shape(other) == shape(numbers[0]) && len(other) >= 2 {
					wrong = append(wrong, other)
				}
			}
		}
		if e.ask(e.blank(s, numbers[0]), numbers[0], wrong, s) {
			n--
		}
	}
}

// askTables asks for a cell of a table; the wrong choices are the other cells of its column.
func (e *examiner) askTables(n int) {
	for i, p := range e.passages {
		header, rows, ok := parseTable(p.Text)
		if n <= 0 || p.Kind != "table" || !ok || len(rows) < 3 {
			continue
		}
		row, wrong := tableRow(rows)
		if row == nil {
			continue
		}
		line := lineWith(p.Text, row)
		if line == "" {
			continue
		}
		told := &sentence{passage: i, raw: line, spoken: row[0] + " – " + header[1] + ": " + row[1] + "."}
		if e.ask(e.phrase("askTable", 0, header[1], row[0]), row[1], wrong, told) {
			n--
		}
	}
}

// tableRow picks the row to ask for, from the middle on: one whose name no other row
// has, for then two entries would be right, and whose entry says something.
func tableRow(rows [][]string) (row, wrong []string) {
	for i := range rows {
		row := rows[(len(rows)/2+i)%len(rows)]
		named := 0
		wrong = nil
		for _, r := range rows {
			if r[0] == row[0] {
				named++
			}
			if r[1] != row[1] {
				wrong = append(wrong, r[1])
			}
		}
		isNumber := numberPattern.FindString(row[1]) == row[1]
		if named == 1 && row[0] != "" && row[1] != "" && (isNumber || !mostlyNotWords(row[1])) {
			return row, wrong
		}
	}
	return nil, nil
}

// lineWith finds the line of a table's text that holds a row.
func lineWith(text string, row []string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, row[0]) && strings.Contains(line, row[1]) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// askTerms blanks a term; the wrong choices are terms of the same kind that the sentence does not have.
func (e *examiner) askTerms(n int) {
	for _, s := range e.all {
		if n <= 0 {
			return
		}
		if n := countWords(s.spoken); e.wasAsked(s) || n > 26 || n < 8 {
			continue
		}
		for _, t := range e.terms {
			if !hasWord(s.spoken, t) || strings.HasPrefix(s.spoken, t) || strings.Count(s.spoken, t) != 1 {
				continue
			}
			var wrong []string
			for _, o := range e.terms {
				if shape(o) == shape(t) && countWords(o) == countWords(t) && !strings.Contains(strings.ToLower(s.spoken), strings.ToLower(o)) &&
					stem(strings.ToLower(o)) != stem(strings.ToLower(t)) {
					wrong = append(wrong, o)
				}
			}
			if e.ask(e.blank(s, t), t, wrong, s) {
				n--
				break
			}
		}
	}
}

// askAbout asks what is said about a subject; the wrong choices are said about others.
func (e *examiner) askAbout(n int) {
	for _, s := range e.all {
		if n <= 0 {
			return
		}
		if s.point == "" || e.wasAsked(s) {
			continue
		}
		heading := e.title(lastHeading(e.passages[s.passage]))
		if heading == "" || similar(e.language, s.point, heading) { // the answer would give itself away
			continue
		}
		var wrong []string
		for _, o := range e.all {
			// What is said under a heading of much the same words may be true of this one too.
			other := e.title(lastHeading(e.passages[o.passage]))
			if o.point != "" && e.passages[o.passage].Heading != e.passages[s.passage].Heading &&
				!similar(e.language, o.point, heading) && !similar(e.language, other, heading) {
				wrong = append(wrong, o.point)
			}
		}
		if e.ask(e.phrase("askAbout", 0, "“"+heading+"”"), s.point, wrong, s) {
			n--
		}
	}
}

func (e *examiner) blank(s *sentence, term string) string {
	return e.phrase("askBlank", 0, replaceWord(s.spoken, term, "____"))
}

// ask adds a question when there are enough wrong choices. The place of the right one
// follows from the prompt, so that the same text gives the same questions.
func (e *examiner) ask(prompt, key string, wrong []string, s *sentence) bool {
	all := []string{key}
	for _, w := range wrong {
		if len(all) < choices && !slices.ContainsFunc(all, func(x string) bool { return strings.EqualFold(x, w) || similar(e.language, x, w) }) {
			all = append(all, w)
		}
	}
	if len(all) < 3 || slices.ContainsFunc(e.out, func(q question) bool { return q.Prompt == prompt }) {
		return false
	}
	h := fnv.New32a()
	h.Write([]byte(prompt))
	at := int(h.Sum32() % uint32(len(all)))
	all[0], all[at] = all[at], all[0]
	for i, c := range all {
		all[i] = capitalizeIf(countWords(key) > 3, c)
	}
	e.asked = append(e.asked, s)
	e.out = append(e.out, question{
		Prompt: prompt, Choices: all, Key: at, Explanation: s.spoken,
		Cites: []cite{{Passage: e.passages[s.passage].ID, Quote: s.raw}},
	})
	return true
}

func capitalizeIf(yes bool, s string) string {
	if yes {
		return capitalize(s)
	}
	return s
}

func (e *examiner) wasAsked(s *sentence) bool {
	return slices.ContainsFunc(e.asked, func(a *sentence) bool { return a == s || len(a.terms) > 0 && repeats(a, s) })
}

// similar tells whether two short texts share a good part of their terms.
func similar(l *language, a, b string) bool {
	ta, tb := unique(l.terms(a)), unique(l.terms(b))
	if len(ta) > len(tb) {
		ta, tb = tb, ta
	}
	return len(ta) > 0 && share(tb, ta) >= 0.5
}
