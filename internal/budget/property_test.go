package budget_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

// client is a fresh organization on a house's database.
type client struct {
	*house
	organization string
}

func (h *house) newClient(t *rapid.T, hard int64) *client {
	c := &client{h, id.New(id.Organization)}
	c.do(t, `INSERT INTO organizations (organization_id, name) VALUES ($1, 'Client')`, c.organization)
	c.limit(t, hard)
	return c
}

func (c *client) do(t *rapid.T, sql string, args ...any) {
	if _, err := c.db.Exec(context.Background(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func (c *client) limit(t *rapid.T, hard int64) {
	if _, err := c.SetLimits(context.Background(), c.organization, budget.Limits{Soft: hard / 2, Hard: hard}, "user_root"); err != nil {
		t.Fatal(err)
	}
}

func (c *client) pays() context.Context {
	ctx := postgres.WithOrganization(context.Background(), c.organization)
	return budget.With(ctx, budget.Payer{Organization: c.organization, Subject: "job_1"})
}

// sums reads what the month says, and holds it against its entries.
func (c *client) sums(t *rapid.T) (reserved, spent int64) {
	var entriesReserved, entriesSpent, tokens, tokensIn int64
	err := c.db.QueryRow(context.Background(), `
		SELECT coalesce(m.reserved_micros, 0), coalesce(m.spent_micros, 0), coalesce(m.tokens_in, 0), l.reserved, l.spent, l.tokens
		FROM (
			SELECT coalesce(sum(reserved_micros) FILTER (WHERE state = 'reserved'), 0)::bigint AS reserved,
				coalesce(sum(micros), 0)::bigint AS spent, coalesce(sum(input_units) FILTER (WHERE state <> 'reserved'), 0)::bigint AS tokens
			FROM ledger WHERE organization_id = $1) AS l
		LEFT JOIN ledger_months m ON m.organization_id = $1`, c.organization).
		Scan(&reserved, &spent, &tokensIn, &entriesReserved, &entriesSpent, &tokens)
	if err != nil {
		t.Fatal(err)
	}
	if reserved != entriesReserved || spent != entriesSpent || tokensIn != tokens {
		t.Fatalf("the month says %d reserved, %d spent and %d tokens; its entries %d, %d and %d",
			reserved, spent, tokensIn, entriesReserved, entriesSpent, tokens)
	}
	return reserved, spent
}

// held is a reservation as the model of the test sees it: a token costs a micro-dollar.
type held struct {
	*budget.Reservation
	most int64
}

// Whatever happens one after the other, the ledger says what simple arithmetic says,
// and never holds more than the limit unless that was lowered.
func TestLedgerAgreesWithArithmetic(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0)
	rapid.Check(t, func(t *rapid.T) {
		hard := rapid.Int64Range(0, 200).Draw(t, "hard")
		c := h.newClient(t, hard)
		var open, late []held // late ones have expired
		var reserved, spent int64
		highest := hard
		take := func(from *[]held) held {
			i := rapid.IntRange(0, len(*from)-1).Draw(t, "which")
			r := (*from)[i]
			*from = append((*from)[:i], (*from)[i+1:]...)
			return r
		}
		some := func(from *[]held, do func(r held)) func(*rapid.T) {
			return func(t *rapid.T) {
				if len(*from) == 0 {
					t.Skip("nothing is there")
				}
				do(take(from))
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"reserve": func(t *rapid.T) {
				most := rapid.Int64Range(0, 60).Draw(t, "most")
				r, err := c.Reserve(c.pays(), budget.Tokens, "fake", budget.Units{Input: most})
				fits := most == 0 || spent+reserved+most <= hard
				switch {
				case fits != (err == nil):
					t.Fatalf("%d more beside %d and %d of %d: %v", most, reserved, spent, hard, err)
				case err == nil:
					open, reserved = append(open, held{r, most}), reserved+most
				case !fault.Is(err, fault.PaymentRequired):
					t.Fatal(err)
				}
			},
			"settle": some(&open, func(r held) {
				used := rapid.Int64Range(0, r.most).Draw(t, "used")
				r.Settle(c.pays(), budget.Units{Input: used})
				r.Settle(c.pays(), budget.Units{Input: used + 1})
				reserved, spent = reserved-r.most, spent+used
			}),
			"release": some(&open, func(r held) {
				r.Release(c.pays())
				reserved -= r.most
			}),
			"expire": func(t *rapid.T) {
				c.do(t, `UPDATE ledger SET expires_at = now() - interval '1 second' WHERE organization_id = $1 AND state = 'reserved'`, c.organization)
				if _, err := c.Expire(context.Background()); err != nil {
					t.Fatal(err)
				}
				late, open = append(late, open...), nil
				reserved, spent = 0, spent+reserved
			},
			"settle late": some(&late, func(r held) {
				used := rapid.Int64Range(0, r.most).Draw(t, "used")
				r.Settle(c.pays(), budget.Units{Input: used})
				spent += used - r.most
			}),
			"release late": some(&late, func(r held) {
				r.Release(c.pays())
				spent -= r.most
			}),
			"set the limit": func(t *rapid.T) {
				hard = rapid.Int64Range(0, 300).Draw(t, "hard")
				highest = max(highest, hard)
				c.limit(t, hard)
			},
			"": func(t *rapid.T) {
				gotReserved, gotSpent := c.sums(t)
				if gotReserved != reserved || gotSpent != spent {
					t.Fatalf("%d reserved and %d spent, not %d and %d", gotReserved, gotSpent, reserved, spent)
				}
				if gotReserved+gotSpent > highest {
					t.Fatalf("%d of %d", gotReserved+gotSpent, highest)
				}
			},
		})
	})
}

// Whatever happens at once, spent and reserved together never pass the limit, and
// what is settled in the end is what was used.
func TestLedgerHoldsAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0)
	rapid.Check(t, func(t *rapid.T) {
		hard := rapid.Int64Range(50, 300).Draw(t, "hard")
		c := h.newClient(t, hard)
		type deed struct {
			Most, Used int64
			End        string
		}
		plans := rapid.SliceOfN(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) deed {
			most := rapid.Int64Range(1, 60).Draw(t, "most")
			return deed{most, rapid.Int64Range(0, most).Draw(t, "used"), rapid.SampledFrom([]string{"settle", "release", "late", "never"}).Draw(t, "end")}
		}), 1, 6), 2, 8).Draw(t, "plans")
		var used, lost, overspent atomic.Int64
		watch, stop := context.WithCancel(context.Background())
		var watching, working sync.WaitGroup
		watching.Go(func() {
			for watch.Err() == nil {
				var n int64
				err := c.db.QueryRow(context.Background(), `SELECT coalesce(sum(reserved_micros + spent_micros), 0)::bigint FROM ledger_months WHERE organization_id = $1`, c.organization).Scan(&n)
				if err != nil || n > hard {
					overspent.Store(max(n, 1))
				}
			}
		})
		expire := func(r string) error {
			_, err := c.db.Exec(context.Background(), `UPDATE ledger SET expires_at = now() - interval '1 second' WHERE organization_id = $1 AND subject = $2 AND state = 'reserved'`, c.organization, r)
			if err == nil {
				_, err = c.Expire(context.Background())
			}
			return err
		}
		failed := make(chan error, 100)
		for i, plan := range plans {
			working.Go(func() {
				for k, d := range plan {
					subject := fmt.Sprintf("job_%d_%d", i, k)
					ctx := budget.With(c.pays(), budget.Payer{Organization: c.organization, Subject: subject})
					r, err := c.Reserve(ctx, budget.Tokens, "fake", budget.Units{Input: d.Most})
					if fault.Is(err, fault.PaymentRequired) {
						continue
					}
					if err != nil {
						failed <- err
						return
					}
					switch d.End {
					case "settle":
						r.Settle(ctx, budget.Units{Input: d.Used})
						used.Add(d.Used)
					case "release":
						r.Release(ctx)
					case "late": // the sweep and the holder meet
						var both sync.WaitGroup
						both.Go(func() {
							if err := expire(subject); err != nil {
								failed <- err
							}
						})
						r.Settle(ctx, budget.Units{Input: d.Used})
						both.Wait()
						used.Add(d.Used)
					case "never":
						lost.Add(d.Most)
						if err := expire(subject); err != nil {
							failed <- err
						}
					}
				}
			})
		}
		working.Wait()
		stop()
		watching.Wait()
		select {
		case err := <-failed:
			t.Fatal(err)
		default:
		}
		reserved, spent := c.sums(t)
		if overspent.Load() != 0 || reserved != 0 || spent != used.Load()+lost.Load() || spent > hard {
			t.Fatalf("limit %d, at most %d seen; %d reserved and %d spent, %d used and %d lost", hard, overspent.Load(), reserved, spent, used.Load(), lost.Load())
		}
	})
}
