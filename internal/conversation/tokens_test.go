package conversation

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tiktoken-go/tokenizer/codec"

	"lectern.dev/lectern/internal/llm"
)

// The texts and their tokens are those of
// https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
func TestTokens(t *testing.T) {
	t.Parallel()
	countTokens("gpt-4o-mini", "x") // estimated, or not: it is loaded from now on
	<-o200k.done
	for text, want := range map[string]int64{"antidisestablishmentarianism": 6, "2 + 2 = 4": 7, "お誕生日おめでとう": 8} {
		for _, model := range []string{"gpt-4o-mini", "gpt-4o-2024-08-06", "openai/gpt-4.1", "gpt-5-mini", "o3"} {
			if got := countTokens(model, text); got != want {
				t.Errorf("%s has %d tokens for %s, want %d", text, got, model, want)
			}
		}
		for _, model := range []string{"offline-1", "llama3.2", ""} {
			if got := countTokens(model, text); got != int64(llm.EstimateText(text)) {
				t.Errorf("%s has %d tokens for %s, which no vocabulary is known of", text, got, model)
			}
		}
	}
	if vocabularyOf("gpt-4-turbo") != cl100k || vocabularyOf("gpt-3.5-turbo") != cl100k {
		t.Error("older models have another vocabulary")
	}
	if n := countTokens("gpt-4o", ""); n != 0 {
		t.Errorf("nothing has %d tokens", n)
	}
}

// Whoever asks while a vocabulary is loaded gets an estimate at once.
func TestTokensAreEstimatedUntilLoaded(t *testing.T) {
	t.Parallel()
	loading, release := make(chan struct{}), make(chan struct{})
	v := newVocabulary(func() *codec.Codec {
		close(loading)
		<-release
		return &codec.Codec{}
	})
	for range 3 {
		if v.get() != nil {
			t.Fatal("it is there before it was loaded")
		}
	}
	<-loading // once: closing twice would panic
	close(release)
	<-v.done
	if v.get() == nil {
		t.Error("it is not there")
	}
}

// No text, however it is made, takes long to count.
func TestCountingIsBounded(t *testing.T) {
	t.Parallel()
	countTokens("gpt-4o", "x")
	<-o200k.done
	for name, text := range map[string]string{
		"one word":     strings.Repeat("a", MaxContent),
		"accents":      "e" + strings.Repeat("\u0301", MaxContent-1),
		"signs":        strings.Repeat("!", MaxContent),
		"spaces":       strings.Repeat(" ", MaxContent),
		"lines":        strings.Repeat("\n", MaxContent),
		"clefs":        strings.Repeat("𝄞", MaxContent),
		"long words":   strings.Repeat(strings.Repeat("ab", longestWord/2-1)+" ", 16),
		"mixed spaces": strings.Repeat(" \t", MaxContent/2),
	} {
		begun := time.Now()
		n := countTokens("gpt-4o", text)
		if took := time.Since(begun); n == 0 || took > 30*time.Second {
			t.Errorf("%s: %d tokens in %v", name, n, took)
		} else {
			t.Logf("%s: %d tokens in %v", name, n, took)
		}
	}
}

// BenchmarkVocabulary tells what knowing a model's tokenizer costs a process.
func BenchmarkVocabulary(b *testing.B) {
	for name, v := range map[string]*vocabulary{"o200k": o200k, "cl100k": cl100k} {
		b.Run(name, func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			begun := time.Now()
			v.get()
			<-v.done
			took := time.Since(begun)
			runtime.GC()
			runtime.ReadMemStats(&after)
			c := v.get()
			b.SetBytes(int64(len(someAnswer)))
			for b.Loop() {
				if _, err := c.Count(someAnswer); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(took.Milliseconds()), "load-ms")
			b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/1e6, "heap-MB")
		})
	}
}
