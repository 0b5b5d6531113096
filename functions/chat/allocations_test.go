package chat

import (
	"net/http"
	"testing"
	"time"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/llm"
)

// A word of a completion may allocate so much and no more: who needs more says here why.
func TestAllocationsOfAWord(t *testing.T) { // not parallel: all of the process counts
	s := newChunks(edge.NewDataStream(nowhere{http.Header{}}), newCompletion("chatcmpl-1", "small"), false)
	defer s.close()
	const measured = 6
	say := func() {
		s.sentAt = time.Time{} // each alone, as it comes at a person's reading speed
		_ = s.add(llm.Piece{Text: " token"})
	}
	least := testing.AllocsPerRun(1000, say)
	for range 4 {
		if least > measured+1 {
			least = min(least, testing.AllocsPerRun(1000, say))
		}
	}
	if t.Logf("%.0f allocations", least); least > measured+1 {
		t.Errorf("a word allocates %.0f times, and did %d times when it was measured: find out what is new (go test -bench CompletionPiece -memprofile), or write the new figure here and say why it is worth it", least, measured)
	}
}
