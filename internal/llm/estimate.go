package llm

import (
	"context"
	"errors"

	"lectern.dev/lectern/internal/fault"
)

// EstimateTokens says about how many tokens a request has, for budgets and for
// answers whose usage is missing. Four bytes a token holds for Latin scripts; for
// others it is too low by about a quarter.
func EstimateTokens(req Request) int {
	n := 0
	for _, m := range req.Messages {
		n += 4 + EstimateText(m.Text)
		for _, c := range m.ToolCalls {
			n += 4 + EstimateText(c.Name) + EstimateText(c.Arguments)
		}
	}
	for _, p := range req.Passages {
		n += 16 + EstimateText(p.Heading) + EstimateText(p.Text)
	}
	if req.Schema != nil {
		n += EstimateText(string(req.Schema.JSON))
	}
	for name, value := range req.Extra {
		n += EstimateText(name) + EstimateText(string(value))
	}
	return n
}

// EstimateText says about how many tokens a text has.
func EstimateText(s string) int { return (len(s) + 3) / 4 }

// Interrupted is the failure of a call whose ctx ended: by its deadline, which the
// next attempt may keep, or by its caller, who does not wait any more.
func Interrupted(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.Wrap(fault.Unavailable, err, "The language model took too long to answer.")
	}
	return fault.Wrap(fault.Unavailable, err, "The call of the language model was interrupted.")
}
