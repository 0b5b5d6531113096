package account

import (
	"context"
	"errors"
	"testing"
	"time"
)

// Without a clock: what a machine of some speed is proposed.
func TestCalibrate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		perPass time.Duration // of a MiB
		tried   int
		best    HashCost
		ok      bool
	}{
		"today fits alone": {2 * time.Millisecond, 2, dearer[0], true},
		"one more fits":    {1500 * time.Microsecond, 3, dearer[1], true},
		"a quick machine":  {100 * time.Microsecond, 7, dearer[6], true},
		"a slow machine":   {10 * time.Millisecond, 1, HashCost{}, false},
	} {
		all, best, ok, err := calibrate(t.Context(), func(_ context.Context, cost HashCost) (time.Duration, error) {
			return time.Duration(cost.MemoryKiB>>10*cost.Iterations) * c.perPass, nil
		})
		if err != nil || len(all) != c.tried || best != c.best || ok != c.ok {
			t.Errorf("%s: %v, %+v, %t, %v", name, all, best, ok, err)
		}
	}
	failure := errors.New("no")
	if _, _, _, err := calibrate(t.Context(), func(context.Context, HashCost) (time.Duration, error) { return 0, failure }); !errors.Is(err, failure) {
		t.Error(err)
	}
}

// Every step can be hashed with, and read again within the bounds.
func TestEveryStepOfCalibrationIsWithinBounds(t *testing.T) {
	t.Parallel()
	for _, cost := range dearer {
		if _, err := NewHasher(HashOptions{Cost: cost}); err != nil {
			t.Errorf("%+v: %v", cost, err)
		}
	}
}
