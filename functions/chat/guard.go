package chat

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres"
)

// guard keeps anybody from asking more than their share. How often and how many
// tokens is counted for all instances together, what is open at once in each process.
// What one person may does not bind an API credential, behind which there may be many:
// its organisation's limits do.
//
// Tokens are an allowance that comes back little by little over a day, not a sum of
// the ledger: one row that is read and moved with the count of requests in a single
// statement, however much was used before, and it can say when there is more. They
// are known only when they have been used, so a turn begins while there is any left,
// and what it takes beyond that is waited for.
type guard struct {
	throttle account.Throttle
	limits   Limits
	readers  places // open streams
	answers  places // of calls without a session, which nothing else counts
}

func newGuard(system postgres.Querier, limits Limits) *guard {
	return &guard{throttle: account.Throttle{DB: system}, limits: limits}
}

// allowance is a limit of how much in how long, and what is said at its end.
type allowance struct {
	account.Ask
	words string
}

const day = 24 * time.Hour

func rate(most int, in time.Duration) account.Rate {
	most = min(most, math.MaxInt32) // of the column
	return account.Rate{Burst: most, Every: in / time.Duration(most)}
}

// requests are the allowances of how often p may ask.
func (g *guard) requests(p account.Principal) (all []allowance) {
	if most := g.limits.RequestsPerMinutePerUser; most > 0 && !p.Credential() {
		all = append(all, allowance{
			account.Ask{Key: account.ThrottleKey("chat-requests-user", p.User), Rate: rate(most, time.Minute)},
			fmt.Sprintf("You have asked %d times within a minute, as often as one person may. Wait a moment and send it again.", most),
		})
	}
	if most := g.limits.RequestsPerMinutePerOrganization; most > 0 {
		all = append(all, allowance{
			account.Ask{Key: account.ThrottleKey("chat-requests-organization", p.Organization), Rate: rate(most, time.Minute)},
			fmt.Sprintf("Your organisation has asked %d times within a minute, as often as one may. Wait a moment and send it again.", most),
		})
	}
	return all
}

// tokens are the allowances of how many tokens p may use.
func (g *guard) tokens(p account.Principal) (all []allowance) {
	if most := g.limits.TokensPerDayPerUser; most > 0 && !p.Credential() {
		all = append(all, allowance{
			account.Ask{Key: account.ThrottleKey("chat-tokens-user", p.User), Rate: rate(most, day)},
			fmt.Sprintf("You have used up the %d tokens that one person may use in a day. They come back little by little: try again later.", most),
		})
	}
	if most := g.limits.TokensPerDayPerOrganization; most > 0 {
		all = append(all, allowance{
			account.Ask{Key: account.ThrottleKey("chat-tokens-organization", p.Organization), Rate: rate(most, day)},
			fmt.Sprintf("Your organisation has used up the %d tokens that it may use in a day. They come back little by little: try again later.", most),
		})
	}
	return all
}

// ask takes one request of p's allowances, and the first token of those of tokens.
// Exhausted: one of them holds nothing more; its words say which.
func (g *guard) ask(ctx context.Context, p account.Principal) error {
	all := append(g.requests(p), g.tokens(p)...)
	if len(all) == 0 {
		return nil
	}
	refusal, err := g.throttle.Try(ctx, asks(all)...)
	if err != nil || refusal == nil {
		return err
	}
	e := fault.New(fault.Exhausted, "That is too much at once. Wait a moment and send it again.")
	for _, a := range all {
		if a.Key == refusal.Key {
			e.Message = a.words
		}
	}
	e.RetryAfter = max(refusal.Wait, time.Second)
	return e
}

// spent counts the tokens of a turn of who is asking in ctx. It is no reason to fail
// that they cannot be counted: the budget has them.
func (g *guard) spent(ctx context.Context, used llm.Usage) {
	p, ok := account.From(ctx)
	all := g.tokens(p)
	more := int64(used.Input+used.Output) - 1 // ask took one
	if !ok || len(all) == 0 || more <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := g.throttle.Take(ctx, more, asks(all)...); err != nil {
		slog.WarnContext(ctx, "the tokens of a turn were not counted against the limits", "tokens", more, "error", err)
	}
}

func asks(all []allowance) (out []account.Ask) {
	for _, a := range all {
		out = append(out, a.Ask)
	}
	return out
}

// read takes a place for one more open stream of p. Call the function when it is over,
// once or more often; it is over with ctx, too.
func (g *guard) read(ctx context.Context, p account.Principal) (done func(), err error) {
	return g.readers.take(ctx, p, g.limits.StreamsPerUser, g.limits.StreamsPerOrganization,
		"have %d answers open at once, as many as %s may. Close one and try again.")
}

// answer takes a place for an answer that belongs to no session; see read.
func (g *guard) answer(ctx context.Context, p account.Principal) (done func(), err error) {
	return g.answers.take(ctx, p, g.limits.AnswersPerUser, g.limits.AnswersPerOrganization,
		"have %d answers made at once, as many as %s may. Wait until one is done.")
}

// places counts what is open for whom.
type places struct {
	mu    sync.Mutex
	taken map[string]int
}

// take takes a place of the person's and one of the organisation's, or none. Words
// lack who, how many, and who may.
func (c *places) take(ctx context.Context, p account.Principal, perUser, perOrganization int, words string) (done func(), err error) {
	if p.Credential() {
		perUser = 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	user, organization := p.Organization+" "+p.User, p.Organization
	switch {
	case perUser > 0 && c.taken[user] >= perUser:
		return nil, crowded("You "+words, perUser, "one person")
	case perOrganization > 0 && c.taken[organization] >= perOrganization:
		return nil, crowded("The people of your organisation "+words, perOrganization, "one organisation")
	}
	if c.taken == nil {
		c.taken = map[string]int{}
	}
	c.taken[user]++
	c.taken[organization]++
	done = sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, whose := range []string{user, organization} {
			if c.taken[whose]--; c.taken[whose] == 0 {
				delete(c.taken, whose)
			}
		}
	})
	context.AfterFunc(ctx, done) // the stream may never begin
	return done, nil
}

func crowded(words string, most int, who string) error {
	e := fault.New(fault.Exhausted, words, most, who)
	e.RetryAfter = 5 * time.Second
	return e
}
