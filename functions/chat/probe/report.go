package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// The ways in which a check can come out.
const (
	passed = "pass"
	failed = "fail"
	skip   = "skip"
)

// outcome is how a check came out.
type outcome struct {
	Name   string `json:"name"`
	What   string `json:"what"`
	Status string `json:"status"` // pass, fail or skip
	Millis int64  `json:"ms"`
	Note   string `json:"note,omitempty"` // what was seen, or why it was not
}

// result is what a probe has found.
type result struct {
	URL     string         `json:"url"`
	Began   time.Time      `json:"began_at"`
	Held    bool           `json:"held"`              // nothing failed
	Stopped string         `json:"stopped,omitempty"` // why the probe ended early
	Answers int            `json:"answers"`           // that were asked for
	Models  map[string]int `json:"models"`            // who has answered, and how often
	Checks  []outcome      `json:"checks"`
	Speed   *speed         `json:"speed,omitempty"`
}

// add notes a check, and says so.
func (r *result) add(told io.Writer, o outcome) {
	r.Checks = append(r.Checks, o)
	r.Held = r.Held && o.Status != failed
	fmt.Fprintf(told, "  %s   %-11s %7d ms  %s\n", strings.ToUpper(o.Status), o.Name, o.Millis, o.What)
	if o.Note != "" {
		fmt.Fprintf(told, "%35s%s\n", "", o.Note)
	}
}

// write prints what was found beside what was told while the probe ran.
func (r *result) write(o options, out io.Writer) error {
	if o.svg != "" && r.Speed != nil {
		if err := os.WriteFile(o.svg, []byte(picture(r)), 0o644); err != nil {
			return fmt.Errorf("the picture cannot be written: %w", err)
		}
	}
	if o.json {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	_, err := io.WriteString(out, r.text())
	return err
}

func (r *result) text() string {
	var b strings.Builder
	if r.Speed != nil {
		r.Speed.text(&b)
	}
	count := map[string]int{}
	for _, c := range r.Checks {
		count[c.Status]++
	}
	fmt.Fprintf(&b, "\n%d checks passed, %d failed, %d skipped; %d answers were asked for", count[passed], count[failed], count[skip], r.Answers)
	for i, model := range slices.Sorted(maps.Keys(r.Models)) {
		b.WriteString([]string{"; answered by ", ", "}[min(i, 1)])
		fmt.Fprintf(&b, "%s (%d)", model, r.Models[model])
	}
	b.WriteString(".\n")
	switch {
	case r.Stopped != "":
		fmt.Fprintf(&b, "Stopped early: %s.\n", r.Stopped)
	case r.Held:
		b.WriteString("Everything held.\n")
	default:
		b.WriteString("Not everything held.\n")
	}
	return b.String()
}

func (s *speed) text(b *strings.Builder) {
	fmt.Fprintf(b, "\n%d answers, %d at a time, in %.1f s: %.1f events/s, %d tokens, %d failed\n\n", s.Answers, s.Concurrency, s.Seconds, s.PerSecond, s.Tokens, s.Failed)
	for _, reason := range s.reasons() {
		fmt.Fprintf(b, "  %d × %s\n", s.Errors[reason], reason)
	}
	if len(s.firsts) == 0 {
		return
	}
	fmt.Fprintf(b, "  milliseconds         p50        p90        p99        max\n")
	for _, row := range []struct {
		name string
		spread
	}{{"first event", s.Start}, {"first text", s.FirstText}, {"last event", s.Last}, {"between texts", s.Gap}} {
		fmt.Fprintf(b, "  %-13s %10.2f %10.2f %10.2f %10.2f\n", row.name, row.P50, row.P90, row.P99, row.Max)
	}
	fmt.Fprintf(b, "\n  Until the first text:\n%s", histogram(s.firsts))
}
