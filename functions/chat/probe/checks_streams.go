package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

func streams(ctx context.Context, p *probe) (string, error) {
	if p.session == "" {
		return "", skipped("there is no session")
	}
	p.sent = p.ask(p.question())
	t, err := p.send(ctx, p.session, p.sent, false, nil)
	if err != nil {
		return "", err
	}
	a, err := t.whole()
	if err != nil {
		return "", err
	}
	if a.last.State != "complete" || a.text == "" {
		return "", fmt.Errorf("the answer is %s, with %d bytes", a.last.State, len(a.text))
	}
	p.first, p.answer = t, a
	p.answeredBy(a.last.Model)
	return fmt.Sprintf("%d events, %d bytes, first text after %v", len(t.events), len(a.text), a.first.Round(time.Millisecond)), nil
}

// resumes asks for the rest of the first answer from behind several of its events.
func resumes(ctx context.Context, p *probe) (string, error) {
	all := p.first.events
	if len(all) == 0 {
		return "", skipped("there is no whole answer to resume")
	}
	cuts := []int{0, 1, len(all) / 4, len(all) / 2, 3 * len(all) / 4, len(all) - 3, len(all) - 2, len(all) - 1}
	slices.Sort(cuts)
	cuts = slices.DeleteFunc(slices.Compact(cuts), func(n int) bool { return n < 0 || n >= len(all) })
	for _, n := range cuts {
		t, err := p.follow(ctx, p.session, all[n].id, nil)
		if err != nil {
			return "", fmt.Errorf("behind %s: %w", all[n].id, err)
		}
		if want, got := raws(all[n+1:]), raws(t.events); got != want {
			return "", fmt.Errorf("behind %s come %d events of %d, not the same: %s", all[n].id, len(t.events), len(all)-n-1, differ(want, got))
		}
	}
	return fmt.Sprintf("at %d cuts of %d events", len(cuts), len(all)), nil
}

// sameID sends the first message again, as it was and with another content.
func sameID(ctx context.Context, p *probe) (string, error) {
	if len(p.first.events) == 0 {
		return "", skipped("there is no whole answer that could come again")
	}
	t, err := p.send(ctx, p.session, p.sent, true, nil)
	if err != nil {
		return "", err
	}
	if want, got := raws(p.first.events), raws(t.events); got != want {
		return "", fmt.Errorf("the answer is another one: %s", differ(want, got))
	}
	other := p.sent
	other.Content += " Be brief."
	if _, err := p.send(ctx, p.session, other, true, nil); !wants(err, http.StatusConflict) {
		return "", fmt.Errorf("with another content, it is not refused with 409: %v", err)
	}
	return "the answer comes again; another content is refused", nil
}

// disconnects leaves a running answer again and again, comes back each time, and
// compares all that it has seen with the whole.
func disconnects(ctx context.Context, p *probe) (string, error) {
	session, err := p.begin(ctx)
	if err != nil {
		return "", err
	}
	sent := p.ask(longQuestion)
	// A second event may not come for a while, or ever: one is enough to leave by.
	leave := func(event) bool { return true }
	seen, err := p.send(ctx, session, sent, false, leave)
	if err != nil || len(seen.events) == 0 {
		return "", fmt.Errorf("no event came: %w", err)
	}
	const times = 6
	for n := 1; ; n++ {
		see := leave
		if n == times {
			see = nil
		}
		t, err := p.follow(ctx, session, seen.events[len(seen.events)-1].id, see)
		if err != nil {
			return "", fmt.Errorf("after reconnection %d: %w", n, err)
		}
		seen.events = append(seen.events, t.events...)
		if t.ended {
			break
		}
	}
	seen.ended = true
	a, err := seen.whole()
	if err != nil {
		return "", fmt.Errorf("what was seen over %d connections: %w", times+1, err)
	}
	if a.last.State != "complete" {
		return "", fmt.Errorf("the answer is %s, since its reader had gone", a.last.State)
	}
	p.answeredBy(a.last.Model)
	whole, err := p.send(ctx, session, sent, true, nil)
	if err != nil {
		return "", err
	}
	if want, got := raws(whole.events), raws(seen.events); got != want {
		return "", fmt.Errorf("what was seen over %d connections is not the whole: %s", times+1, differ(want, got))
	}
	return fmt.Sprintf("left %d times, %d events", times, len(seen.events)), nil
}

// replays has the first question answered again, as it was answered.
func replays(ctx context.Context, p *probe) (string, error) {
	if p.point == "" {
		return "", skipped("there is no checkpoint to answer again from")
	}
	t, err := p.listen(ctx, request{method: http.MethodPost, path: p.point + "/replays", answer: true}, nil)
	p.heard(t)
	if err != nil {
		return "", err
	}
	a, err := t.whole()
	if err != nil {
		return "", err
	}
	list, err := p.messages(ctx, p.session)
	if err != nil {
		return "", err
	}
	if again := list[a.id]; a.id == p.answer.id || again.Parent != p.sent.ID || list[p.answer.id].Content != p.answer.text {
		return "", fmt.Errorf("%s follows %s; it is to be a second answer to %s beside %s", a.id, again.Parent, p.sent.ID, p.answer.id)
	}
	p.answeredBy(a.last.Model)
	return "a second answer beside the first", nil
}

// longestSilence is what streams promise, with what a busy line may add.
const longestSilence = 17 * time.Second

func heartbeats(_ context.Context, p *probe) (string, error) {
	if p.silence == 0 {
		return "", skipped("no stream was heard")
	}
	if p.silence > longestSilence {
		return "", fmt.Errorf("a stream was silent for %v", p.silence.Round(time.Millisecond))
	}
	return fmt.Sprintf("longest silence %v", p.silence.Round(time.Millisecond)), nil
}

func backups(_ context.Context, p *probe) (string, error) {
	if p.o.model == "" {
		return "", skipped("no -expect-model is given: make the first model fail, and name its backup there")
	}
	for model := range p.models {
		if model != p.o.model {
			return "", fmt.Errorf("%s has answered, not %s", model, p.o.model)
		}
	}
	if len(p.models) == 0 {
		return "", skipped("nobody has answered")
	}
	return fmt.Sprintf("%s has answered %d times", p.o.model, p.models[p.o.model]), nil
}
