package openai

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// joined gives the text of a chunk with whole characters. Servers that cut their text
// at tokens may cut an emoji in two, each half in a chunk of its own: as bytes that
// are no UTF-8 by themselves, or as a lone half of a surrogate pair. Decoding a half
// gives U+FFFD and loses it, so it waits for the other one, as it stands in data.
func (a *answer) joined(content, data string) string {
	if a.half == "" && !strings.HasSuffix(content, "\uFFFD") {
		return content
	}
	var c struct {
		Choices []struct {
			Index int `json:"index"`
			Delta struct {
				Content json.RawMessage `json:"content"`
			} `json:"delta"`
		} `json:"choices"`
	}
	_ = json.Unmarshal([]byte(data), &c) // it was read before
	for _, choice := range c.Choices {
		if raw := string(choice.Delta.Content); choice.Index == 0 && strings.HasPrefix(raw, `"`) {
			a.half += raw[1 : len(raw)-1]
			break
		}
	}
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
