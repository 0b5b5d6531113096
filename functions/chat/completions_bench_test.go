package chat

import (
	"io"
	"net/http"
	"testing"
	"time"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/llm"
)

// nowhere is a response that nobody reads.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(p []byte) (int, error) { return io.Discard.Write(p) }
func (n nowhere) WriteHeader(int)             {}
func (n nowhere) Flush()                      {}

// BenchmarkCompletionPiece is what a piece of a completion costs beside the network:
// sent alone, as it comes at a person's reading speed, and together with others.
func BenchmarkCompletionPiece(b *testing.B) {
	for name, alone := range map[string]bool{"alone": true, "together": false} {
		b.Run(name, func(b *testing.B) {
			s := newChunks(edge.NewDataStream(nowhere{http.Header{}}), newCompletion("chatcmpl-1", "small"), false)
			defer s.close()
			b.ReportAllocs()
			for b.Loop() {
				if alone {
					s.sentAt = time.Time{}
				}
				if err := s.add(llm.Piece{Text: " token"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
