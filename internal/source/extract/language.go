package extract

import (
	_ "embed"
	"strings"
	"unicode"

	"golang.org/x/text/language"
)

// stopWords holds a line per language: its tag, then its most frequent words.
//
//go:embed stopwords.txt
var stopWords string

// words tells for each frequent word the languages it is frequent in.
var words = func() map[string][]string {
	m := make(map[string][]string)
	for entry := range strings.Lines(stopWords) {
		fields := strings.Fields(entry)
		for _, word := range fields[1:] {
			m[word] = append(m[word], fields[0])
		}
	}
	return m
}()

// detectLanguage gives the BCP 47 base tag of the language that most of the prose
// is in: by its script, or by the frequent words that occur. What the document
// declares decides when the text is too short to tell.
func detectLanguage(blocks []Block, declared string) string {
	const enough = 40000 // bytes; more does not change the answer
	scripts := map[string]int{}
	votes := map[string]int{}
	read, seen := 0, 0
	for _, b := range blocks {
		if b.Kind == Code || read > enough {
			continue
		}
		read += len(b.Text)
		for _, r := range b.Text {
			if tag := scriptLanguage(r); tag != "" {
				scripts[tag]++
			}
		}
		for word := range strings.FieldsFuncSeq(strings.ToLower(b.Text), func(r rune) bool { return !unicode.IsLetter(r) && r != '\'' }) {
			seen++
			for _, tag := range words[word] {
				votes[tag]++
			}
		}
	}
	if scripts["ja"] > 0 && scripts["ja"]*10 > scripts["zh"] {
		scripts["ja"] += scripts["zh"] // kana among the Chinese characters
	}
	if tag, n := most(scripts); n*5 > read/3 { // these scripts take three bytes a character
		return tag
	}
	if tag, n := most(votes); n >= 8 && n*10 > seen {
		return tag
	}
	if tag, err := language.Parse(declared); err == nil {
		base, confidence := tag.Base()
		if confidence != language.No {
			return base.String()
		}
	}
	return ""
}

// scriptLanguage names the language of scripts that one language is known for.
func scriptLanguage(r rune) string {
	switch {
	case r < 0x370:
		return ""
	case unicode.In(r, unicode.Hiragana, unicode.Katakana):
		return "ja"
	case unicode.Is(unicode.Han, r):
		return "zh"
	case unicode.Is(unicode.Hangul, r):
		return "ko"
	case unicode.Is(unicode.Greek, r):
		return "el"
	case unicode.Is(unicode.Hebrew, r):
		return "he"
	case unicode.Is(unicode.Arabic, r):
		return "ar"
	case unicode.Is(unicode.Devanagari, r):
		return "hi"
	case unicode.Is(unicode.Thai, r):
		return "th"
	case unicode.Is(unicode.Tamil, r):
		return "ta"
	case unicode.Is(unicode.Armenian, r):
		return "hy"
	}
	return ""
}

func most(counts map[string]int) (best string, n int) {
	for tag, count := range counts {
		if count > n || count == n && tag < best {
			best, n = tag, count
		}
	}
	return best, n
}
