package llm

import "errors"

// used marks an error after which something is to be paid for.
type used struct{ error }

func (u used) Unwrap() error { return u.error }

// Used marks the error of a call that the server may have worked on, although its
// answer is lost: it is to be paid for. Other errors came before any work.
func Used(err error) error { return used{err} }

// MayBeUsed tells whether the call behind an error is to be paid for.
func MayBeUsed(err error) bool {
	_, ok := errors.AsType[used](err)
	return ok
}
