package budget

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"os"
	"regexp"
	"strings"

	"lectern.dev/lectern/internal/fault"
)

// Price is what a model costs.
type Price struct {
	Kind   Kind    `json:"kind"`
	Input  float64 `json:"input"`            // US dollars for a million units
	Output float64 `json:"output,omitempty"` // the same
	// MaxOutput is how long an answer may be when its request sets no bound, in
	// tokens; 0: 8,192.
	MaxOutput int    `json:"max_output,omitempty"`
	Source    string `json:"source"` // where the price was read
	Read      string `json:"read"`   // when, YYYY-MM-DD
}

// Prices are those of every model that may be used, by its name.
type Prices map[string]Price

//go:embed prices.json
var embedded []byte

// LoadPrices gives the prices that Lectern comes with, with more and other ones
// from JSON in the same form, or from the file of that name; empty: none.
func LoadPrices(setting string) (Prices, error) {
	prices, err := parsePrices(embedded)
	if err != nil || strings.TrimSpace(setting) == "" {
		return prices, err
	}
	text := []byte(setting)
	if !strings.HasPrefix(strings.TrimSpace(setting), "{") {
		if text, err = os.ReadFile(setting); err != nil {
			return nil, fmt.Errorf("PRICES is neither JSON nor a file that can be read: %w", err)
		}
	}
	more, err := parsePrices(text)
	if err != nil {
		return nil, fmt.Errorf("PRICES: %w", err)
	}
	maps.Copy(prices, more)
	return prices, nil
}

func parsePrices(text []byte) (Prices, error) {
	var given map[string]struct {
		Price
		Input  *float64 `json:"input"`
		Output *float64 `json:"output"`
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&given); err != nil {
		return nil, err
	}
	prices := Prices{}
	for name, g := range given {
		p := g.Price
		needsOutput := false
		switch p.Kind {
		case Tokens:
			needsOutput = true
		case Embedding, Speech, Render:
		default:
			return nil, fmt.Errorf("the price of %s has no kind: tokens, embedding, speech or render", name)
		}
		if g.Input == nil || needsOutput && g.Output == nil { // forgotten is not free
			return nil, fmt.Errorf("the price of %s is not complete", name)
		}
		p.Input = *g.Input
		if g.Output != nil {
			p.Output = *g.Output
		}
		for _, dollars := range []float64{p.Input, p.Output} {
			if !(dollars >= 0 && dollars <= 1e6) {
				return nil, fmt.Errorf("the price of %s is not between 0 and 1,000,000 dollars for a million units", name)
			}
		}
		if p.MaxOutput < 0 {
			return nil, fmt.Errorf("the longest answer of %s is negative", name)
		}
		prices[name] = p
	}
	return prices, nil
}

// dated is how a snapshot of a model ends: it costs what the model costs.
var dated = regexp.MustCompile(`-\d{4}-\d{2}-\d{2}$`)

// Of gives the price of a model. One that nobody has set is Invalid: what it costs
// is not known, so it must not be used.
func (p Prices) Of(kind Kind, model string) (Price, error) {
	for _, name := range []string{model, dated.ReplaceAllString(model, "")} {
		if price, ok := p[name]; ok && price.Kind == kind {
			return price, nil
		}
	}
	return Price{}, fault.New(fault.Invalid,
		`There is no price for the model %s, so it cannot be used. Add it to the setting PRICES: {%q: {"kind": %q, "input": 0.15, "output": 0.60}} are US dollars for a million units.`,
		model, model, kind)
}

// cost is what units come to, in micro-dollars, rounded up. What is too much for a
// number is the largest number, which no budget holds.
func (p Price) cost(u Units) int64 {
	inHigh, inLow := bits.Mul64(uint64(max(0, u.Input)), micros(p.Input))
	outHigh, outLow := bits.Mul64(uint64(max(0, u.Output)), micros(p.Output))
	low, carry := bits.Add64(inLow, outLow, 0)
	high, _ := bits.Add64(inHigh, outHigh, carry)
	low, carry = bits.Add64(low, 999_999, 0)
	high += carry
	if high >= 1_000_000 {
		return math.MaxInt64
	}
	total, _ := bits.Div64(high, low, 1_000_000)
	return int64(min(total, math.MaxInt64))
}

// micros turns dollars for a million units into micro-dollars for a million units.
func micros(dollars float64) uint64 { return uint64(math.Ceil(math.Round(dollars*1e9) / 1e3)) }

// longestAnswer is how many tokens an answer may have that nobody has bounded.
func (p Price) longestAnswer() int {
	if p.MaxOutput > 0 {
		return p.MaxOutput
	}
	return 8192
}
