package budget_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

// priced is a model that tells what is reserved while it is asked.
func (h *house) priced(t *testing.T, during *string) *budget.Streamer {
	return &budget.Streamer{Ledger: h.Ledger, Streamer: speaking{scripted{func(context.Context, llm.Request) (llm.Response, error) {
		*during = h.sums(t)
		return llm.Response{Text: "ok", Usage: llm.Usage{Input: 7, Output: 3}}, nil
	}}}}
}

// What is put aside ahead of a call is what the call takes: it is asked for once, and
// settled once. A second call reserves for itself.
func TestPutAsideAhead(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 10_000)
	var during string
	model := h.priced(t, &during)
	ctx, done, err := h.Ahead(pays(t, "ses_1"), "fake", ask("Hello", 20), nil)
	if err != nil {
		t.Fatal(err)
	}
	before := h.sums(t)
	if before == "0/0" {
		t.Fatal("nothing was put aside")
	}
	if err := stream(ctx, model, ask("Hello", 20)); err != nil || during != before {
		t.Errorf("while it was asked: %s, before: %s (%v)", during, before, err)
	}
	done()
	if got := h.sums(t); got != "0/13" {
		t.Errorf("after it: %s", got)
	}
	if err := stream(ctx, model, ask("Hello", 20)); err != nil || !strings.HasSuffix(during, "/13") || during == "0/13" {
		t.Errorf("while it was asked again: %s (%v)", during, err)
	}
	if _, err := model.Complete(ctx, ask("Hello", 20)); err != nil || h.sums(t) != "0/39" {
		t.Errorf("at last: %s (%v)", h.sums(t), err)
	}
}

// What a call cannot take is given back before it reserves for itself, so that a budget
// that holds one of them is enough; done gives back what nobody asked for.
func TestLeftAhead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		aside int // the longest answer for which money is put aside
		req   llm.Request
		model string
		other bool
		most  string // that is reserved while it is asked
	}{
		"not asked":      {aside: 520},
		"a dearer call":  {aside: 40, req: ask("Hello", 500), most: "1037/0"},
		"a longer one":   {aside: 520, req: ask(strings.Repeat("Hello ", 100), 20), most: "672/0"},
		"another model":  {aside: 520, req: ask("Hello", 20), model: "fake2", most: "77/0"},
		"another ledger": {aside: 520, req: ask("Hello", 20), other: true, most: "77/0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, 1_100)
			ctx, done, err := h.Ahead(pays(t, "ses_1"), "fake", ask("Hello", c.aside), nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.req.Messages != nil {
				var during string
				model := h.priced(t, &during)
				if c.model != "" {
					prices, err := budget.LoadPrices(`{"fake2": {"kind": "tokens", "input": 1, "output": 2}}`)
					if err != nil {
						t.Fatal(err)
					}
					h.Prices = prices
					model.Streamer = renamed{model.Streamer, c.model}
				}
				if c.other {
					model.Ledger = new(*h.Ledger)
				}
				if err := stream(ctx, model, c.req); err != nil || during != c.most {
					t.Errorf("while it was asked: %s (%v)", during, err)
				}
			}
			done()
			done()
			if got := h.sums(t); !strings.HasPrefix(got, "0/") {
				t.Errorf("left: %s", got)
			}
		})
	}
}

type renamed struct {
	llm.Streamer
	name string
}

func (r renamed) Name() string { return r.name }

// Of many calls at once one takes what was put aside.
func TestTakenOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1_000_000)
	ctx, done, err := h.Ahead(pays(t, "ses_1"), "fake", ask("Hello", 20), nil)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := stream(ctx, &budget.Streamer{Ledger: h.Ledger, Streamer: speaking{scripted{func(context.Context, llm.Request) (llm.Response, error) {
				return llm.Response{Text: "ok", Usage: llm.Usage{Input: 7, Output: 3}}, nil
			}}}}, ask("Hello", 20)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	done()
	if got := h.sums(t); got != "0/260" {
		t.Errorf("after twenty: %s", got)
	}
}

// Who cannot pay is told before anything is asked, and what goes beside is told, too.
func TestRefusedAhead(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 50)
	_, done, err := h.Ahead(pays(t, "ses_1"), "fake", ask("Hello", 500), nil)
	if done(); !fault.Is(err, fault.PaymentRequired) || h.sums(t) != "0/0" {
		t.Errorf("%v, %s", err, h.sums(t))
	}
	if _, _, err := h.Ahead(pays(t, "ses_1"), "unheard of", ask("Hello", 5), nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("a model without a price: %v", err)
	}
	gone := errors.New("it is not there any more")
	h = newHouse(t, 10_000)
	_, done, err = h.Ahead(pays(t, "ses_1"), "fake", ask("Hello", 5), func(b *pgx.Batch) {
		b.Queue(`SELECT FROM organizations WHERE organization_id = 'org_gone'`).Query(func(rows pgx.Rows) error {
			defer rows.Close()
			if !rows.Next() {
				return gone
			}
			return nil
		})
	})
	if done(); !errors.Is(err, gone) || h.sums(t) != "0/0" {
		t.Errorf("what went beside: %v, %s", err, h.sums(t))
	}
}
