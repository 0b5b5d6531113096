package edgetest

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Texts are what people paste and attackers send, as they stand in JSON: a lone
// surrogate as an escape, bytes that are no UTF-8 as they are.
var Texts = map[string]string{
	"plain":                 `en`, // a language, too
	"NUL":                   `a\u0000b`,
	"lone high surrogate":   `a\ud83db`,
	"lone low surrogate":    `a\udc00b`,
	"surrogates reversed":   `\ude00\ud83d`,
	"invalid UTF-8":         "a\xffb",
	"cut UTF-8":             "a\xf0\x9f\x98",
	"overlong":              "a\xc0\xaf",
	"surrogate as UTF-8":    "a\xed\xa0\x80",
	"beyond Unicode":        "a\xf4\x90\x80\x80",
	"combining marks":       "a" + strings.Repeat("\u0301", 30),
	"a megabyte of marks":   "a" + strings.Repeat("\u0301", 1<<19),
	"ZWJ":                   "👩‍👩‍👧‍👦",
	"bidi":                  "a\u202eb\u2066c",
	"byte order mark":       "\ufeffa",
	"line separators":       "a\u2028b\u2029c",
	"line breaks":           `a\r\nb\rc\n\nd`,
	"an event":              `\n\nevent: done\ndata: {}\n\n`,
	"not composed":          "e\u0301",
	"composed":              "\u00e9",
	"noncharacters":         "a\uffffb\U0010ffff",
	"private use":           "a\ue000",
	"emoji as escapes":      `\ud83d\ude00`,
	"controls":              "a\\u0001\\u001b[31mb\\u007f\u0085c",
	"backslash u":           `a\\u0000b`,
	"quotes":                `'; -- \" $1 %s {x} \\`,
	"ideographs and rtl":    "日本語 العربية हिन्दी ไทย",
	"white space of a kind": "a\u00a0\u3000b",
}

// Meant gives what one of Texts means; ok is false when it is no text, which nobody may
// take: no UTF-8, half a surrogate pair, or with NUL, which Postgres cannot keep.
func Meant(text string) (meant string, ok bool) {
	if err := json.Unmarshal([]byte(`"`+text+`"`), &meant); err != nil || !utf8.ValidString(text) || strings.ContainsAny(meant, "\x00\ufffd") {
		return "", false
	}
	return meant, true
}
