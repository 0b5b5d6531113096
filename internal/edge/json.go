package edge

import (
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// strictJSON refuses text that encoding/json would silently change: what is not
// UTF-8, and halves of surrogate pairs, both of which it turns into U+FFFD.
var strictJSON = huma.Format{
	Marshal: huma.DefaultJSONFormat.Marshal,
	Unmarshal: func(data []byte, v any) error {
		if !utf8.Valid(data) {
			return errors.New("the text is not valid UTF-8")
		}
		if hasLoneSurrogate(data) {
			return errors.New(`the text holds half of a surrogate pair, such as \ud83d alone`)
		}
		return json.Unmarshal(data, v)
	},
}

// hasLoneSurrogate looks for \uD800–\uDFFF escapes that do not come as a pair.
func hasLoneSurrogate(data []byte) bool {
	for i := 0; i < len(data)-1; i++ {
		if data[i] != '\\' {
			continue
		}
		switch c := escape(data[i:]); {
		case 0xDC00 <= c && c <= 0xDFFF:
			return true
		case 0xD800 <= c && c <= 0xDBFF:
			i += 6
			if low := escape(data[i:]); low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 5
		default:
			i++ // the escaped character, which may be a backslash
		}
	}
	return false
}

// escape reads the \uXXXX that data begins with; 0 when it begins otherwise.
func escape(data []byte) uint64 {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0
	}
	c, _ := strconv.ParseUint(string(data[2:6]), 16, 16)
	return c
}
