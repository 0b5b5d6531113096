package relay

import "time"

// ID is the id of the process.
func ID(r *Relay) string { return r.id }

// Idle tells that no goroutine of the relay is there.
func Idle(r *Relay) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.writing && !r.keeping && !r.polling
}

// Known counts the answers that the relay holds in memory, and bytes that wait.
func Known(r *Relay) (answers int, waiting int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lives) + len(r.watched) + len(r.claimed), r.waiting.Load()
}

// Expire makes the relay say again that it lives when it is next asked.
func Expire(r *Relay) { r.renewed(time.Time{}) }

// Occupy keeps everybody from the second connection until free is called.
func Occupy(r *Relay) (free func()) {
	r.lane <- struct{}{}
	return func() { <-r.lane }
}

// Asked tells that somebody asks for the second connection.
func Asked(r *Relay) bool { return len(r.door) > 0 }

// Leaves tells that the relay is handing over, or has.
func Leaves(r *Relay) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leaving
}
