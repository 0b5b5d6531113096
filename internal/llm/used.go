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

// notAsked marks an error that came before any model was asked.
type notAsked struct{ error }

func (n notAsked) Unwrap() error { return n.error }

// NotAsked marks the error of a call that did not come as far as its model: the budget
// does not hold it, or cannot be read. It says nothing of the model, and another one
// would not be asked either.
func NotAsked(err error) error { return notAsked{err} }

// WasNotAsked tells whether the call behind an error did not come as far as its model.
func WasNotAsked(err error) bool {
	_, ok := errors.AsType[notAsked](err)
	return ok
}
