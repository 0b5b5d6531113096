package edge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// strictJSON refuses text that encoding/json would silently change: what is not
// UTF-8, and halves of surrogate pairs, both of which it turns into U+FFFD, and
// names that an object holds twice, of which it keeps the last. It refuses what is
// nested deeper than anything of ours.
var strictJSON = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		if e, ok := v.(encodedBody); ok {
			_, err := w.Write(e.Bytes())
			return err
		}
		return huma.DefaultJSONFormat.Marshal(w, v)
	},
	Unmarshal: func(data []byte, v any) error {
		if !utf8.Valid(data) {
			return errors.New("the text is not valid UTF-8")
		}
		if hasLoneSurrogate(data) {
			return errors.New(`the text holds half of a surrogate pair, such as \ud83d alone`)
		}
		members, depth := measure(data)
		if depth > maxDepth {
			return fmt.Errorf("the text is nested deeper than %d levels", maxDepth)
		}
		if err := json.Unmarshal(data, v); err != nil {
			return err
		}
		// Huma decodes twice: first into an any, which it validates.
		if whole, ok := v.(*any); ok && count(*whole) != members {
			return errors.New("an object names a member twice")
		}
		return nil
	},
}

// maxDepth is how deep objects and lists of a body may be nested; ours are below 10.
const maxDepth = 64

// measure counts the members of all objects of a JSON text, as often as they are
// named, and tells how deep it is nested. Of a malformed text it says anything.
func measure(data []byte) (members, deepest int) {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case ':':
			members++
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
	}
	return members, deepest
}

// count gives the number of members of all objects in a decoded value, in which no
// name is left twice.
func count(v any) int {
	n := 0
	switch v := v.(type) {
	case map[string]any:
		n = len(v)
		for _, member := range v {
			n += count(member)
		}
	case []any:
		for _, element := range v {
			n += count(element)
		}
	}
	return n
}

// encodedBody is every Encoded.
type encodedBody interface {
	huma.SchemaProvider
	Bytes() []byte
}

// Encoded is a body of the type T that has been encoded already, to make a digest
// of it for example; the document shows it as a T.
type Encoded[T any] struct{ json []byte }

// Encode encodes a body as the API would.
func Encode[T any](v T) (Encoded[T], error) {
	var b bytes.Buffer
	err := huma.DefaultJSONFormat.Marshal(&b, v)
	return Encoded[T]{b.Bytes()}, err
}

// Bytes gives the JSON.
func (e Encoded[T]) Bytes() []byte { return e.json }

// Schema is that of T.
func (Encoded[T]) Schema(r huma.Registry) *huma.Schema {
	t := reflect.TypeFor[T]()
	return r.Schema(t, true, t.Name())
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
