package conversation

import (
	"context"
	"testing"
	"time"

	"lectern.dev/lectern/internal/llm"
)

// Who ends alone waits for no answer: what there is of it is kept, and the next start
// goes on with it.
func TestDrainAlone(t *testing.T) {
	t.Parallel()
	spoken := make(chan struct{})
	d := newDesk(t, &scripted{stream: func(ctx context.Context, _ llm.Request, emit func(llm.Piece) error) (llm.Response, error) {
		if err := emit(llm.Piece{Text: "Owls hunt"}); err != nil {
			return llm.Response{}, err
		}
		close(spoken)
		<-ctx.Done()
		return llm.Response{}, llm.Interrupted(ctx.Err())
	}})
	d.tutor.p.Alone = true
	s := d.on(t, ann, NewSession{})
	turn, err := d.tutor.Send(as(t, ann), ann, s.ID, Prompt{Content: "When?"})
	if err != nil {
		t.Fatal(err)
	}
	<-spoken
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	drained := make(chan struct{})
	go func() {
		d.tutor.Drain(ctx)
		close(drained)
	}()
	select {
	case <-drained:
	case <-time.After(time.Minute):
		t.Fatal("it waits")
	}
	next := d.process(t, says(nil, " at night."))
	if m := hear(t, next, ann, s.ID, turn.Answer.ID, "").message(); m.State != Complete || m.Content != "Owls hunt at night." {
		t.Errorf("%+v", m)
	}
}
