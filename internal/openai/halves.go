package openai

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// joined gives the text of a chunk with whole characters. Servers that cut their text
// at tokens may cut an emoji in two, each half in a chunk of its own: as bytes that
// are no UTF-8 by themselves, or as a lone half of a surrogate pair. Decoding a half
// loses it, so it waits for the other one, as it stands in the JSON: raw is content
// there, between its quotes.
func (a *answer) joined(content, raw string) string {
	if a.half == "" && utf8.ValidString(content) && !strings.Contains(raw, `\ud`) && !strings.Contains(raw, `\uD`) {
		return content
	}
	a.half += raw
	cut := len(a.half) - incomplete(a.half)
	text := unquoted(a.half[:cut])
	a.half = a.half[cut:]
	return text
}

// incomplete tells how many bytes at the end of a JSON string are half a character.
func incomplete(s string) int {
	if i := strings.LastIndex(s, `\u`); i >= 0 && i == len(s)-6 && strings.ContainsRune("dD", rune(s[i+2])) && strings.ContainsRune("89abAB", rune(s[i+3])) {
		if before := s[:i]; (len(before)-len(strings.TrimRight(before, `\`)))%2 == 0 { // the backslash is none that is meant
			return 6
		}
	}
	for n := 1; n < utf8.UTFMax && n <= len(s); n++ {
		if tail := s[len(s)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRuneInString(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// unquoted decodes what stands between the quotes of a JSON string.
func unquoted(s string) string {
	var text string
	_ = json.Unmarshal([]byte(`"`+s+`"`), &text) // it is a part of one, cut between characters
	return text
}
