package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"lectern.dev/lectern/internal/fault"
)

// Problem is how every error is told to a client, by RFC 9457.
type Problem struct {
	Title     string         `json:"title" example:"Not Found" doc:"The status in words"`
	Status    int            `json:"status" example:"404" doc:"The HTTP status code"`
	Detail    string         `json:"detail" example:"There is no such course." doc:"What went wrong and what can be done, for a person"`
	RequestID string         `json:"request_id,omitempty" doc:"The X-Request-Id of the response: tell it to support"`
	Errors    []ProblemField `json:"errors,omitempty" doc:"The fields that are wrong"`

	header http.Header
	reason error // what the log is told; nil: the problem itself
}

// ProblemField is one wrong field.
type ProblemField struct {
	Location string `json:"location" example:"body.title" doc:"Where it is"`
	Message  string `json:"message" doc:"What is wrong with it"`
}

// Error gives the text for people.
func (p *Problem) Error() string { return p.Detail }

// GetStatus, GetHeaders and ContentType are what huma asks an error for.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders gives Retry-After, where there is one.
func (p *Problem) GetHeaders() http.Header { return p.header }

// ContentType gives the media type of a problem.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// statuses is the one table from kinds to HTTP.
var statuses = map[fault.Kind]int{
	fault.Internal:           http.StatusInternalServerError,
	fault.Invalid:            http.StatusUnprocessableEntity,
	fault.Unauthenticated:    http.StatusUnauthorized,
	fault.Denied:             http.StatusForbidden,
	fault.NotFound:           http.StatusNotFound,
	fault.Conflict:           http.StatusConflict,
	fault.PreconditionFailed: http.StatusPreconditionFailed,
	fault.TooLarge:           http.StatusRequestEntityTooLarge,
	fault.Exhausted:          http.StatusTooManyRequests,
	fault.PaymentRequired:    http.StatusPaymentRequired,
	fault.Unavailable:        http.StatusServiceUnavailable,
}

// ProblemOf turns an error into what the client is told. Nothing of an Internal
// error but the request id gets out.
func ProblemOf(ctx context.Context, err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	status := statuses[fault.KindOf(err)]
	p := &Problem{
		Title:     http.StatusText(status),
		Status:    status,
		Detail:    fault.Message(err),
		RequestID: RequestID(ctx),
		header:    http.Header{},
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		for _, f := range e.Fields {
			p.Errors = append(p.Errors, ProblemField(f))
		}
		if e.RetryAfter > 0 {
			p.header.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
		}
	}
	if status == http.StatusServiceUnavailable && p.header.Get("Retry-After") == "" {
		p.header.Set("Retry-After", "5")
	}
	if status == http.StatusUnauthorized {
		p.header.Set("WWW-Authenticate", bearerChallenge)
	}
	return p
}

// writeProblem answers with err where huma does not.
func writeProblem(ctx context.Context, w http.ResponseWriter, err error) {
	p := ProblemOf(ctx, err)
	for k, v := range p.header {
		w.Header()[k] = v
	}
	w.Header().Set("Cache-Control", "no-store")
	if q := requestOf(ctx); q != nil && q.dialect != nil {
		q.dialect.writeAs(w, p)
		return
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client may be gone
}

// huma's settings are variables of its package: the errors of its own validation,
// and the schema of errors in the OpenAPI, are made with the two functions.
func init() {
	huma.DefaultArrayNullable = false // a list that is empty is [], in both directions
	huma.ValidateStrictCasing = true  // a merge patch of "Title" would otherwise pass and change no title
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return validationProblem(context.Background(), status, message, errs)
	}
	huma.NewErrorWithContext = func(c huma.Context, status int, message string, errs ...error) huma.StatusError {
		p := validationProblem(c.Context(), unread(status, errs), message, errs)
		Failed(c.Context(), p.cause(message, errs))
		return p
	}
}

// unread corrects the status of a body that could not be read: huma calls it our
// mistake, but it was too large for limitBody, or the client went away while sending.
func unread(status int, errs []error) int {
	err := errors.Join(errs...)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled) {
		return http.StatusBadRequest
	}
	return status
}

// maxFields is how many wrong fields are told at once: a hundred thousand help nobody.
const maxFields = 1000

// maxLogged is how many of them the log has: a line of it costs money, and who sends
// them does not pay it.
const maxLogged = 10

func validationProblem(ctx context.Context, status int, message string, errs []error) *Problem {
	p := &Problem{Title: http.StatusText(status), Status: status, Detail: message, RequestID: RequestID(ctx)}
	switch {
	case status >= 500:
		p.Detail = fault.Message(nil)
		return p
	case len(errs) > 0:
		p.Detail = "The request does not have the form that is expected here; see errors."
	}
	for _, err := range errs[:min(len(errs), maxFields)] {
		var f ProblemField
		if d, ok := err.(huma.ErrorDetailer); ok { // its Error would echo the value
			f.Location, f.Message = d.ErrorDetail().Location, d.ErrorDetail().Message
		} else {
			f.Message = err.Error()
		}
		p.Errors = append(p.Errors, f)
	}
	return p
}

// cause gives the log the kind and the reasons of a validation problem. What was sent
// stays out: huma's own texts repeat it, passwords and tokens too.
func (p *Problem) cause(message string, errs []error) error {
	if p.Status >= 500 {
		return errors.Join(errors.New(message), errors.Join(errs...))
	}
	var reasons []error
	for _, f := range p.Errors[:min(len(p.Errors), maxLogged)] {
		reasons = append(reasons, fmt.Errorf("%s: %s", f.Location, f.Message))
	}
	return fault.Wrap(fault.Invalid, errors.Join(reasons...), "%s", message)
}
