// Package fault names the kinds of failure that Lectern knows.
//
// A function returns a *fault.Error when it can say what kind of failure it met
// and what the person can do about it; everything else is Internal. The edge
// turns the kind into an HTTP status, a task outcome or an event outcome, so no
// other package mentions status codes.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what sort of failure an error is, and thereby whether trying again can help.
type Kind int

// The kinds, with the HTTP status that edge gives each of them.
const (
	Internal           Kind = iota // 500: our mistake; nothing is told but the request id
	Invalid                        // 400 or 422: the input is wrong
	Unauthenticated                // 401: who are you?
	Denied                         // 403: you may not
	NotFound                       // 404: it does not exist, or is not yours to see
	Conflict                       // 409: the state does not allow it
	PreconditionFailed             // 412: somebody changed it since it was read (If-Match)
	TooLarge                       // 413: more bytes than are taken
	Exhausted                      // 429: a limit was reached; later it may work
	PaymentRequired                // 402: the budget is spent
	Unavailable                    // 503: a part we need is down; trying again can help
)

var kindNames = [...]string{
	"internal", "invalid", "unauthenticated", "denied", "not found", "conflict",
	"precondition failed", "too large", "exhausted", "payment required", "unavailable",
}

// String gives the kind's name for logs.
func (k Kind) String() string { return kindNames[k] }

// Field is one wrong field of an input.
type Field struct {
	Location string // a path such as "body.slides[2].title"
	Message  string // what is wrong, in words for a person
}

// Error is a failure with a kind. Message is what a person reads; Err, which may
// be nil, is what the log says. The two are never mixed.
type Error struct {
	Kind       Kind
	Message    string
	Fields     []Field
	RetryAfter time.Duration // for Exhausted and Unavailable; 0 when unknown
	Err        error
}

// Error gives the log's view: the kind, the message and the cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return fmt.Sprintf("%s: %v", e.Message, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an error of a kind; the formatted text is shown to people.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Wrap gives err a kind and a text for people; err itself goes to the log only.
func Wrap(kind Kind, err error, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Err: err}
}

// KindOf tells the kind of err: that of the outermost *Error in its chain, else Internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Is tells whether err is of a kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Message gives the text for people: that of the outermost *Error in the chain,
// else a sentence that gives nothing away.
func Message(err error) string {
	if e, ok := errors.AsType[*Error](err); ok && e.Kind != Internal {
		return e.Message
	}
	return "Something went wrong on our side. Try again; if it stays, tell us the request id."
}

// Retryable tells whether the same call may succeed later without a change by the caller.
func Retryable(err error) bool {
	k := KindOf(err)
	return k == Internal || k == Unavailable
}
