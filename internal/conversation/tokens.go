package conversation

import (
	"strings"
	"sync/atomic"

	"github.com/tiktoken-go/tokenizer/codec"

	"lectern.dev/lectern/internal/llm"
)

// countTokens says how many tokens a text has for a model. The vocabulary of a known
// model is loaded in the background when it is first asked for, which takes a moment
// of a processor and stays in memory; until then, and for models whose tokenizer is
// not public, it is an estimate.
func countTokens(model, text string) int64 {
	if text == "" {
		return 0
	}
	if v := vocabularyOf(model); v != nil && countable(text) {
		if c := v.get(); c != nil {
			if n, err := c.Count(text); err == nil {
				return int64(n)
			}
		}
	}
	return int64(llm.EstimateText(text))
}

// vocabulary is loaded once, by whoever asks first, while the others estimate.
type vocabulary struct {
	load   func() *codec.Codec
	begun  atomic.Bool
	loaded atomic.Pointer[codec.Codec]
	done   chan struct{} // closed when it is loaded
}

func newVocabulary(load func() *codec.Codec) *vocabulary {
	return &vocabulary{load: load, done: make(chan struct{})}
}

func (v *vocabulary) get() *codec.Codec {
	if v.begun.CompareAndSwap(false, true) {
		go func() {
			v.loaded.Store(v.load())
			close(v.done)
		}()
	}
	return v.loaded.Load()
}

var (
	o200k  = newVocabulary(codec.NewO200kBase)
	cl100k = newVocabulary(codec.NewCl100kBase)
)

// vocabularyOf knows OpenAI's models by the beginnings of their names, behind the name
// of a vendor, as routers put it: https://github.com/openai/tiktoken/blob/main/tiktoken/model.py
func vocabularyOf(model string) *vocabulary {
	model = model[strings.LastIndexByte(model, '/')+1:]
	for _, prefix := range []string{"gpt-5", "gpt-4.5", "gpt-4.1", "gpt-4o", "chatgpt-4o", "o1", "o3", "o4", "gpt-oss"} {
		if strings.HasPrefix(model, prefix) {
			return o200k
		}
	}
	for _, prefix := range []string{"gpt-4", "gpt-3.5", "gpt-35"} {
		if strings.HasPrefix(model, prefix) {
			return cl100k
		}
	}
	return nil
}

// longestWord is how long a run without a space may be, in bytes, to be counted: the
// time that merging takes grows with its square.
const longestWord = 2000

func countable(text string) bool {
	run := 0
	for i := range len(text) {
		if text[i] <= ' ' {
			run = 0
		} else if run++; run > longestWord {
			return false
		}
	}
	return true
}
