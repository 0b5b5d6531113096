package edge

import (
	"net/http"
	"time"
)

// streamWriteTime is how long a reader may take nothing of a stream; then it is let go.
const streamWriteTime = 10 * time.Second

// Patience bounds how long each write of a stream may take, whose whole has no bound. The
// zero value is for a stream that has written nothing.
type Patience struct {
	deadline time.Time // of the connection
}

// Begin is called before each write, with the time.
func (p *Patience) Begin(controller *http.ResponseController, now time.Time) {
	// A deadline costs as much as a short write: one that is nearly as far away will do.
	if until := now.Add(streamWriteTime); until.Sub(p.deadline) > streamWriteTime/10 {
		p.deadline = until
		_ = controller.SetWriteDeadline(until) // a recorder has none
	}
}
