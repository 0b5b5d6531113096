package conversation

import (
	"testing"
	"time"

	"lectern.dev/lectern/internal/llm"
)

// BenchmarkTurnParts tells how long the parts of a turn take that stand between a question
// and the model: opening it (one commit), gathering what it rests on, writing the request.
// It runs a whole turn each time, so the session grows.
func BenchmarkTurnParts(b *testing.B) {
	d := newDesk(b, &llm.Fake{Answer: func(llm.Request) (llm.Response, error) {
		return llm.Response{Text: "A router joins two networks [p1]."}, nil
	}})
	d.sampleCourse(b)
	s := d.on(b, ann, NewSession{LessonID: "les_1"})
	ctx := as(b, ann)
	var opening, gathering, writing, first time.Duration
	for b.Loop() {
		began := time.Now()
		turn, err := d.tutor.Send(ctx, ann, s.ID, Prompt{Content: "What does a router do in a home network?"})
		if err != nil {
			b.Fatal(err)
		}
		opening += time.Since(began)
		h := hear(b, d.tutor, ann, s.ID, turn.Answer.ID, "")
		if h.message().State != Complete || h.message().TTFB == nil {
			b.Fatalf("%+v", h.message())
		}
		d.over(b)
		at := time.Now()
		g, err := d.tutor.gather(ctx, ann, turn, nil)
		if err != nil {
			b.Fatal(err)
		}
		gathering += time.Since(at)
		at = time.Now()
		g.request(turn, "")
		writing += time.Since(at)
		d.mu.Lock()
		first += d.reports[len(d.reports)-1].TTFB
		d.mu.Unlock()
	}
	for name, took := range map[string]time.Duration{"open": opening, "gather": gathering, "write": writing, "first": first} {
		b.ReportMetric(float64(took.Microseconds())/float64(b.N)/1000, name+"-ms/turn")
	}
}
