package backup_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/llm/backup"
)

// asked tells how often a model is asked while a number of answers are made.
func asked(t *testing.T, v *voice, m llm.Streamer, answers int, ctx context.Context) int {
	t.Helper()
	before, _ := v.count()
	for range answers {
		hear(t, ctx, m)
	}
	after, _ := v.count()
	return after - before
}

// A model that keeps failing is left alone, and tried again with one call.
func TestAModelThatKeepsFailingRests(t *testing.T) {
	t.Parallel()
	for name, failing := range map[string]line{
		"down": {err: down}, "out of quota": {err: quota}, "silent": {after: time.Hour}, "breaks in the middle": {text: "Owls", breaks: down},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				now := failing
				first := &voice{name: "first", draw: func() line { return now }}
				m := backup.New(first, &voice{name: "second"}, backup.Options{})
				if n := asked(t, first, m, 5, t.Context()); n != 5 {
					t.Errorf("asked %d times before it rests", n)
				}
				if n := asked(t, first, m, 20, t.Context()); n != 0 {
					t.Errorf("asked %d times while it rests", n)
				}
				time.Sleep(11 * time.Second)
				if n := asked(t, first, m, 20, t.Context()); n != 1 && failing.breaks == nil {
					t.Errorf("asked %d times when it may be well again", n)
				}
				time.Sleep(11 * time.Second)
				now = line{}
				if n := asked(t, first, m, 20, t.Context()); n != 20 {
					t.Errorf("asked %d times when it is well", n)
				}
			})
		})
	}
}

// A model that fails more often than not rests, too.
func TestAModelThatOftenFailsRests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		first := &voice{name: "first", draw: func() line {
			if n++; n%3 == 0 {
				return line{}
			}
			return line{err: down}
		}}
		m := backup.New(first, &voice{name: "second"}, backup.Options{})
		if n := asked(t, first, m, 30, t.Context()); n >= 10 {
			t.Errorf("asked %d times of 30", n)
		}
	})
}

// What is the request's, the payer's or the listener's fault is not the model's.
func TestWhatSaysNothingOfAModel(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first line
		leave time.Duration // when who asked goes away
		emit  error
	}{
		"a wrong request":                       {first: line{err: wrong}},
		"not asked":                             {first: line{err: llm.NotAsked(down)}},
		"who asked leaves":                      {first: line{after: time.Minute}, leave: time.Second},
		"who asked leaves in the middle":        {first: line{gap: time.Minute}, leave: 10 * time.Second},
		"who listens cannot keep what was said": {emit: fault.New(fault.Unavailable, "no log")},
		"lost the race, before its time":        {first: line{after: 4 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				now := line{after: time.Millisecond}
				first := &voice{name: "first", draw: func() line { return now }}
				m := backup.New(first, &voice{name: "second", lines: []line{{after: time.Millisecond}}}, backup.Options{})
				asked(t, first, m, 40, t.Context()) // it learns that the first is quick
				now = c.first
				for range 40 {
					ctx, cancel := context.WithCancel(t.Context())
					if c.leave > 0 {
						ctx, cancel = context.WithTimeout(t.Context(), c.leave)
					}
					_, _ = m.Stream(ctx, question, func(llm.Piece) error { return c.emit })
					cancel()
				}
				now = line{}
				if n := asked(t, first, m, 10, t.Context()); n != 10 {
					t.Errorf("asked %d times of 10", n)
				}
			})
		})
	}
}

// Of many calls at once one tries whether the model is well again, and its first word
// is enough for all.
func TestOneCallTries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := line{err: down}
		first := &voice{name: "first", draw: func() line { return now }}
		m := backup.New(first, &voice{name: "second"}, backup.Options{})
		asked(t, first, m, 5, t.Context())
		time.Sleep(11 * time.Second)
		now = line{after: time.Second, gap: time.Hour}
		before, _ := first.count()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { hear(t, t.Context(), m) })
		}
		time.Sleep(2 * time.Second)
		if after, _ := first.count(); after != before+1 {
			t.Errorf("%d calls try", after-before)
		}
		now = line{}
		if n := asked(t, first, m, 10, t.Context()); n != 10 {
			t.Errorf("asked %d times of 10 while the one that tried still speaks", n)
		}
		wg.Wait()
	})
}

// Both rest: that is said at once, with when to come again.
func TestBothRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second := &voice{name: "first", lines: []line{{err: down}}}, &voice{name: "second", lines: []line{{err: down}}}
		m := backup.New(first, second, backup.Options{Rest: 20 * time.Second})
		asked(t, first, m, 5, t.Context())
		got := hear(t, t.Context(), m)
		_, err := m.Complete(t.Context(), question)
		for _, err := range []error{got.err, err} {
			var e *fault.Error
			if e, _ = err.(*fault.Error); e == nil || e.Kind != fault.Unavailable || e.RetryAfter != 20*time.Second {
				t.Errorf("%#v", err)
			}
		}
		if a, _ := first.count(); a != 5 || got.took != 0 {
			t.Errorf("asked %d times, %v", a, got.took)
		}
	})
}
