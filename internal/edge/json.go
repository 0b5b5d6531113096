package edge

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strconv"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// strictJSON refuses text that encoding/json would silently change: what is not
// UTF-8, and halves of surrogate pairs, both of which it turns into U+FFFD.
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
		return json.Unmarshal(data, v)
	},
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
