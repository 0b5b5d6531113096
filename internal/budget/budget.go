// Package budget keeps what an organisation may spend in a month, and what it has
// spent: tokens, characters of speech, seconds of rendering, and what they cost.
//
// Whoever is about to spend reserves the most that it can come to, works, and then
// settles what it did come to:
//
//	        ┌─────▶ settled   (what was used)
//	reserved ─────▶ released  (nothing was used)
//	        └─────▶ expired   (nobody said: counted in full)
//
// Reserving and settling are one statement each, on the row of the organisation's
// month, so that spent and reserved together never pass the hard limit however
// many reserve at once, and no connection is held while a model works. The months
// are those of the database's clock, in UTC; what was reserved in one month is
// settled there, even after its end.
//
// A reservation whose holder was killed expires and is counted in full: nobody
// knows whether the model was asked, and a budget that holds must assume it was.
// A holder that was only slow corrects that when it settles after all. The step
// that is tried again makes a reservation of its own.
package budget

import (
	"fmt"
	"strings"

	"lectern.dev/lectern/internal/postgres"
)

// Kind is what is spent.
type Kind string

// The kinds, with what their units are.
const (
	Tokens    Kind = "tokens"    // input: tokens in; output: tokens out
	Embedding Kind = "embedding" // input: tokens
	Speech    Kind = "speech"    // input: characters; output: seconds of sound
	Render    Kind = "render"    // input: seconds of one processor
)

// Units are how much of a kind.
type Units struct{ Input, Output int64 }

// Limits are what an organisation may spend in a month, in millionths of a US
// dollar. From Soft on its owners are warned; Hard is never passed.
type Limits struct{ Soft, Hard int64 }

// Amounts are limits and sums in US dollars, to be read.
type Amounts struct {
	Soft     string `json:"soft" example:"4.00"`
	Hard     string `json:"hard" example:"5.00"`
	Spent    string `json:"spent" example:"1.2345"`
	Reserved string `json:"reserved" example:"0.01"`
	Left     string `json:"left" example:"3.7555"`
}

// Sums are what an organisation may spend in a month and has spent, in millionths of
// a US dollar.
type Sums struct {
	Soft     int64   `json:"soft_micros" doc:"from this amount on the owners are warned, in millionths of a US dollar" example:"4000000"`
	Hard     int64   `json:"hard_micros" doc:"what is never passed" example:"5000000"`
	Spent    int64   `json:"spent_micros" example:"1234500"`
	Reserved int64   `json:"reserved_micros" doc:"set aside for what is being done now" example:"10000"`
	Left     int64   `json:"left_micros" example:"3755500"`
	USD      Amounts `json:"usd" doc:"the same in US dollars, to be read"`
}

func sumsOf(soft, hard, spent, reserved int64) Sums {
	left := max(0, hard-spent-reserved)
	return Sums{soft, hard, spent, reserved, left, Amounts{usd(soft), usd(hard), usd(spent), usd(reserved), usd(left)}}
}

// usd writes micro-dollars with as many decimals as they need, at least two.
func usd(micros int64) string {
	sign := ""
	if micros < 0 {
		sign, micros = "-", -micros
	}
	text := strings.TrimRight(fmt.Sprintf("%06d", micros%1_000_000), "0")
	for len(text) < 2 {
		text += "0"
	}
	return fmt.Sprintf("%s%d.%s", sign, micros/1_000_000, text)
}

// Ledger is where spending is reserved and settled. It is safe for concurrent use.
type Ledger struct {
	DB       postgres.Querier
	Prices   Prices
	Defaults Limits // of organisations for which the operator has set none
	// CallsPerJob is how often one job may ask language models; 0: 500. It does not
	// bound what Payer.Uncapped says is none.
	CallsPerJob int64
}

// Settings are a ledger's, in the environment of a function.
type Settings struct {
	Prices      string `env:"PRICES"`                              // more prices, or other ones: JSON in the form of prices.json, or the path of such a file
	SoftMicros  int64  `env:"BUDGET_SOFT_MICROS, default=4000000"` // millionths of a US dollar a month from which on an organisation is warned
	HardMicros  int64  `env:"BUDGET_HARD_MICROS, default=5000000"` // millionths of a US dollar: the most that an organisation may spend in a month, unless the operator sets another limit for it
	CallsPerJob int64  `env:"BUDGET_CALLS_PER_JOB, default=500"`   // how often one job may ask a language model
}

// Open checks the settings and gives the ledger.
func (s Settings) Open(db postgres.Querier) (*Ledger, error) {
	prices, err := LoadPrices(s.Prices)
	if err != nil {
		return nil, err
	}
	limits := Limits{s.SoftMicros, s.HardMicros}
	if err := limits.check(); err != nil {
		return nil, fmt.Errorf("BUDGET_SOFT_MICROS and BUDGET_HARD_MICROS: %w", err)
	}
	if s.CallsPerJob < 0 {
		return nil, fmt.Errorf("BUDGET_CALLS_PER_JOB is negative")
	}
	return &Ledger{DB: db, Prices: prices, Defaults: limits, CallsPerJob: s.CallsPerJob}, nil
}
