package budget

import (
	"math"
	"testing"
)

func TestCost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		price Price
		units Units
		want  int64
	}{
		{Price{Input: 0.15, Output: 0.60}, Units{1_000_000, 1_000_000}, 750_000},
		{Price{Input: 0.15, Output: 0.60}, Units{1, 0}, 1}, // rounded up
		{Price{Input: 0.15, Output: 0.60}, Units{0, 0}, 0},
		{Price{Input: 0.13}, Units{1_000_000, 5}, 130_000},
		{Price{}, Units{1 << 62, 1 << 62}, 0},
		{Price{Input: 1e6, Output: 1e6}, Units{math.MaxInt64, math.MaxInt64}, math.MaxInt64},
		{Price{Input: 1}, Units{math.MaxInt64, 0}, math.MaxInt64},
		{Price{Input: 1}, Units{-5, -5}, 0},
	} {
		if got := c.price.cost(c.units); got != c.want {
			t.Errorf("%+v %+v: %d, not %d", c.price, c.units, got, c.want)
		}
	}
}

func TestMoneyIsReadable(t *testing.T) {
	t.Parallel()
	for micros, want := range map[int64]string{0: "0.00", 1: "0.000001", 5_000_000: "5.00", 1_250_000: "1.25", 10: "0.00001", -1_500_000: "-1.50", 12_345_678: "12.345678"} {
		if got := usd(micros); got != want {
			t.Errorf("%d: %s, not %s", micros, got, want)
		}
	}
}

func TestCellsAreNoFormulas(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "gpt-4o": "gpt-4o", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "\r=1": "'\r=1",
	} {
		if got := cell(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
