package budget

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

// mostTokens is what a request has at most: tokenizers work on bytes, so a token is
// never less than one. Around each part the server puts a few of its own.
func mostTokens(req llm.Request) int64 {
	const around, mark = 16, 64
	n := around
	for _, m := range req.Messages {
		n += around + len(m.Name) + len(m.Text) + len(m.ToolCallID)
		for _, c := range m.ToolCalls {
			n += around + len(c.ID) + len(c.Name) + len(c.Arguments)
		}
	}
	for _, p := range req.Passages {
		n += mark + len(p.ID) + len(p.Source) + len(p.Heading) + len(p.Text) + len(p.Text)/2 // marks inside of it are broken up
	}
	if req.Schema != nil {
		n += mark + len(req.Schema.Name) + len(req.Schema.JSON)
	}
	for name, value := range req.Extra {
		n += mark + len(name) + len(value)
	}
	return int64(n)
}

// harmless are the values with which a field that changes what a call costs does not.
// What it costs with others is not known here: several answers, an answer of another
// length or another kind, another price for the same tokens, or one for more than tokens.
var harmless = map[string][]string{
	"n":                     {"1"},
	"best_of":               {"1"},
	"model":                 {},
	"max_tokens":            {},
	"max_completion_tokens": {},
	"modalities":            {`["text"]`},
	"audio":                 {},
	"prediction":            {},
	"service_tier":          {`"default"`},
	"web_search_options":    {},
}

// checkExtra refuses what would make a call dearer than what is reserved for it.
func checkExtra(extra map[string]json.RawMessage) error {
	for name, value := range extra {
		allowed, dear := harmless[name]
		if dear && string(value) != "null" && !slices.Contains(allowed, string(value)) {
			e := fault.New(fault.Invalid, "The field %s cannot be passed on with this value: what the answer would cost is not known.", name)
			e.Fields = []fault.Field{{Location: "body." + name, Message: "cannot be passed on with this value"}}
			return e
		}
	}
	return nil
}

// plausible is the usage that a response reports, as far as it can be believed: what
// is missing, or less than a third of our own estimate, is replaced by that, and what
// is more than there can have been by the most there can have been. Asked is our
// estimate of the request.
func plausible(ctx context.Context, asked int64, resp llm.Response, most Units) Units {
	// An answer can be longer than was asked for: then that is what it cost.
	size, estimate := sizeOf(resp)
	used := Units{
		believe(int64(resp.Usage.Input), asked, most.Input),
		believe(int64(resp.Usage.Output), estimate, max(most.Output, size)),
	}
	if reported := (Units{int64(resp.Usage.Input), int64(resp.Usage.Output)}); used != reported {
		slog.WarnContext(ctx, "a usage that cannot be right is counted as it must have been",
			"model", resp.Model, "reported", reported, "counted", used)
	}
	return used
}

func believe(reported, estimate, most int64) int64 {
	if reported < (estimate+2)/3 {
		return estimate
	}
	return min(reported, most)
}

// sizeOf gives how many bytes an answer has, and about how many tokens those are.
func sizeOf(resp llm.Response) (bytes, tokens int64) {
	count := func(s string) {
		bytes += int64(len(s))
		tokens += int64(llm.EstimateText(s))
	}
	count(resp.Text)
	for _, c := range resp.ToolCalls {
		count(c.ID)
		count(c.Name)
		count(c.Arguments)
	}
	return bytes, tokens
}
