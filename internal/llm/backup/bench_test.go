package backup_test

import (
	"context"
	"testing"

	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/llm/backup"
)

// pieces is a model that says the same word many times, as fast as it can.
type pieces struct {
	llm.Fake
	n int
}

func (p *pieces) Stream(_ context.Context, _ llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
	for range p.n {
		if err := emit(llm.Piece{Text: "word "}); err != nil {
			return llm.Response{}, err
		}
	}
	return llm.Response{Finish: llm.Stop}, nil
}

// BenchmarkPieces shows what a backup adds to each piece and to each answer.
func BenchmarkPieces(b *testing.B) {
	for name, n := range map[string]int{"1000 pieces": 1000, "1 piece": 1} {
		first := &pieces{n: n}
		for with, m := range map[string]llm.Streamer{"alone": first, "backed": backup.New(first, &llm.Fake{}, backup.Options{})} {
			b.Run(name+"/"+with, func(b *testing.B) {
				heard := 0
				for b.Loop() {
					if _, err := m.Stream(b.Context(), question, func(p llm.Piece) error { heard += len(p.Text); return nil }); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
