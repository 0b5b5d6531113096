package offline

import (
	"embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"lectern.dev/lectern/internal/fault"
)

//go:embed language/*.json
var languageFiles embed.FS

// language is what the model knows of a language: word lists and turns of phrase,
// no grammar. Each stands in one file that a speaker of the language can mend.
type language struct {
	tag string

	stop          set      // words that say nothing about the subject
	dangling      set      // first words that point back to a sentence before
	connectives   []string // openings that can be left out without a loss
	numbered      set      // what is followed by a number when it points elsewhere: "Figure 3"
	pointing      set      // words that point elsewhere in the document
	referrals     []string // turns of phrase that send the reader somewhere: "for more information"
	chatter       set      // the author talking of himself or of the book
	deictic       set      // words that point back when they stand near the start
	endings       set      // last words that count on a sentence before: "contains all four"
	fillers       []string // words inside a sentence that hang on the one before: ", however,"
	relatives     set      // words that open a clause about a noun; its verb is not the sentence's
	openings      set      // "although": a clause that may go, together with its comma
	subordinate   set      // first words of a clause that waits for its main clause
	cuts          []string // where a sentence can end early and stay a true sentence
	conditions    set      // words whose clause must not be cut off: "unless"
	verbs         set      // common finite verbs: what is left after a cut needs one
	definitions   []string // " is a ": between a term and what it is
	plurals       []string // " are ": the same for several
	articles      set
	definite      set // articles that speak of something known already
	past          set // verbs of stories: what was is taught less often than what is
	asking        set // words of questions that say nothing about the subject: "explain"
	abbreviations set
	frontMatter   *regexp.Regexp // headings of what is about the book and not in it
	counters      *regexp.Regexp // "Chapter 3. " at the start of a heading
	phrases       map[string][]string
}

func asSet(ws []string) set {
	m := set{}
	for _, w := range ws {
		m[w] = true
	}
	return m
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == '|' })
}

type set map[string]bool

func words(s string) set {
	return asSet(strings.Fields(s))
}

var languages = sync.OnceValue(func() map[string]*language {
	entries, err := languageFiles.ReadDir("language")
	if err != nil {
		panic(err) // embedded: cannot happen outside a broken build
	}
	all := map[string]*language{}
	for _, e := range entries {
		tag := strings.TrimSuffix(e.Name(), ".json")
		data, err := languageFiles.ReadFile("language/" + e.Name())
		if err == nil {
			all[tag], err = parseLanguage(tag, data)
		}
		if err != nil {
			panic(fmt.Sprintf("offline: %s: %v", e.Name(), err))
		}
	}
	return all
})

func parseLanguage(tag string, data []byte) (*language, error) {
	var f struct {
		Stop, Dangling, Connectives, Numbered, Pointing, Referrals, Chatter, Deictic, Endings, Fillers, Relatives, Openings, Subordinate, Cuts,
		Conditions, Verbs, Definitions, DefinitionsPlural, Articles, Definite, Past, Asking, Abbreviations, FrontMatter, Counters string
		Phrases map[string][]string
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	frontMatter, err := regexp.Compile(`(?i)(^|[\s.:])(` + f.FrontMatter + `)`)
	if err != nil {
		return nil, err
	}
	counters, err := regexp.Compile(`(?i)^((` + f.Counters + `)\s+)?([0-9]+(\.[0-9]+)*|[ivxlc]+|[a-z])[.:)]\s+|^(` + f.Counters + `)\s+[0-9]+\s+`)
	if err != nil {
		return nil, err
	}
	return &language{
		tag:           tag,
		stop:          words(f.Stop),
		dangling:      words(f.Dangling),
		connectives:   list(f.Connectives),
		numbered:      words(f.Numbered),
		pointing:      words(f.Pointing),
		referrals:     list(f.Referrals),
		chatter:       words(f.Chatter),
		deictic:       words(f.Deictic),
		endings:       words(f.Endings),
		fillers:       list(f.Fillers),
		relatives:     words(f.Relatives),
		openings:      words(f.Openings),
		subordinate:   words(f.Subordinate),
		cuts:          list(f.Cuts),
		conditions:    words(f.Conditions),
		verbs:         words(f.Verbs),
		definitions:   list(f.Definitions),
		plurals:       list(f.DefinitionsPlural),
		articles:      words(f.Articles),
		definite:      words(f.Definite),
		past:          words(f.Past),
		asking:        words(f.Asking),
		abbreviations: words(f.Abbreviations),
		frontMatter:   frontMatter,
		counters:      counters,
		phrases:       f.Phrases,
	}, nil
}

// languageOf gives the language of a text. When another one is asked for, that is an
// error: this model cannot translate. Texts in languages that it does not know are
// read with the word lists of the one asked for, or of English.
func languageOf(tag, text string) (*language, error) {
	base, _, _ := strings.Cut(strings.ToLower(tag), "-")
	asked := languages()[base]
	found := detect(text)
	switch {
	case asked == nil && found == nil:
		return languages()["en"], nil
	case asked == nil:
		return found, nil
	case found != nil && found != asked:
		return nil, fault.New(fault.Invalid,
			"The source is written in %q, the course is to be in %q. The built-in offline model cannot translate; connect a language model: set OPENAI_API_KEY.", found.tag, asked.tag)
	}
	return asked, nil
}

// detect tells the language whose commonest words the text uses by far the most; nil
// when none stands out.
func detect(text string) *language {
	const enough = 20_000 // bytes
	if len(text) > enough {
		text = strings.ToValidUTF8(text[:enough], "")
	}
	counts := map[string]int{}
	ws := tokenize(text)
	for _, w := range ws {
		for tag, l := range languages() {
			if l.stop[w] {
				counts[tag]++
			}
		}
	}
	var best *language
	first, second := 0, 0
	for tag, l := range languages() {
		switch n := counts[tag]; {
		case n > first:
			best, first, second = l, n, first
		case n > second:
			second = n
		}
	}
	if first*5 < len(ws) || first*3 < second*4 {
		return nil
	}
	return best
}

// phrase fills the i-th variant of a turn of phrase; variants take turns.
func (l *language) phrase(name string, i int, args ...any) string {
	variants := l.phrases[name]
	text := fmt.Sprintf(variants[i%len(variants)], args...)
	// A title that ends in a mark of its own needs no full stop after it.
	for _, mark := range []string{"?", "!", "…", "."} {
		text = strings.ReplaceAll(text, mark+".", mark)
	}
	return text
}
