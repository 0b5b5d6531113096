package web

import (
	"bytes"
	"io"
	"net/http"
	"time"

	"lectern.dev/lectern/internal/fault"
)

// completions is where OpenAI's clients ask: for an answer that may take minutes and
// be silent until its end.
const completions = "/v1/chat/completions"

// longestCompletion is how long those clients wait by default, and a little more.
const longestCompletion = 11 * time.Minute

// waitLong lets an answer take longer than the server's timeouts, once the request has
// arrived as a whole, for which they hold.
func waitLong(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(r.Body) // at most what the edge lets through
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "The body of the request did not arrive as a whole, or is too large.")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	until := time.Now().Add(longestCompletion)
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(until) // a recorder has no connection
	_ = c.SetWriteDeadline(until)
	return nil
}
