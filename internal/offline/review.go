package offline

import (
	"encoding/json"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

// writeReview answers about claims that failed a check. What the sources say can be
// rearranged but not argued with, so a claim that they do not bear is let go.
func writeReview(req llm.Request) (*review, error) {
	var claims []struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(req.Inputs["claims"]), &claims); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "The list of claims cannot be read.")
	}
	out := &review{Repairs: []repair{}}
	for _, c := range claims {
		out.Repairs = append(out.Repairs, repair{Claim: c.ID, Drop: true, Cites: []cite{}})
	}
	return out, nil
}
