package tally_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"lectern.dev/lectern/internal/tally"
)

func TestTheInnerCountsForTheOuter(t *testing.T) {
	t.Parallel()
	tally.Add(t.Context(), "lost", 1) // nobody sums it, nothing happens
	request, outer := tally.Under(t.Context())
	work, inner := tally.Under(request)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { tally.Add(context.WithoutCancel(work), "input_tokens", 2) })
	}
	all.Go(func() { tally.Add(request, "database_wait_ms", 7) })
	all.Wait()
	if got := fmt.Sprint(outer.Attrs()); got != "[database_wait_ms=7 input_tokens=200]" {
		t.Errorf("the outer has %s", got)
	}
	if got := fmt.Sprint(inner.Attrs()); got != "[input_tokens=200]" {
		t.Errorf("the inner has %s", got)
	}
	_, none := tally.Under(t.Context())
	if got := none.Attrs(); len(got) != 0 {
		t.Errorf("of nothing it has %v", got)
	}
}
