package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"lectern.dev/lectern/internal/fault"
)

// Foreign says how operations of another's wire format behave.
type Foreign struct {
	Dialect Dialect
	// Long is for answers that may take longer than any other operation's. The
	// gate is asked all the while whether who asks may stay, and the server's timeouts do
	// not hold: the handler bounds its writes, as a DataStream does.
	Long bool
}

// RegisterForeign adds an operation whose wire format is another's: the handler
// writes the answer as that wants it, and returns an error as long as it has
// written nothing. All the rest is as with Register: who is not admitted does not
// reach it, its body is an I and is held against the schema of one, and it stands in
// the document, with op.Responses. Errors, the edge's own too, are told in the dialect.
// An I without fields takes no body.
func RegisterForeign[I any](a *API, need Policy, op huma.Operation, f Foreign, handler func(w http.ResponseWriter, r *http.Request, in *I) error) {
	declare[struct{}](&op)
	schema := declareForeign(a.OpenAPI().Components.Schemas, &op, reflect.TypeFor[I](), f.Dialect)
	need.declare(&op)
	a.OpenAPI().AddOperation(&op)
	allowNull(a.OpenAPI(), op)
	a.dialects.add(op.Path, f.Dialect)
	a.mux.HandleFunc(op.Method+" "+op.Path, func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(speaking(r.Context(), f.Dialect))
		w.Header().Set("Cache-Control", "no-store") // unless the operation says otherwise
		ctx, err := a.gate.Admit(r, need)
		if err != nil {
			need.challenge(w, r, err)
			return
		}
		in := new(I)
		if err := errors.Join(checkQuery(ctx, r.URL, op.Parameters), checkHeader(ctx, r.Header, op.Parameters)); err != nil {
			refuse(ctx, w, err)
			return
		}
		if schema != nil {
			if err := decode(r, a.OpenAPI().Components.Schemas, schema, in); err != nil {
				refuse(ctx, w, err)
				return
			}
		}
		ctx, release := f.span(ctx, w, a.gate)
		defer release()
		if err := handler(w, r.WithContext(ctx), in); err != nil {
			refuse(ctx, w, err)
		}
	})
}

// span gives the context of an answer.
func (f Foreign) span(ctx context.Context, w http.ResponseWriter, gate Gate) (context.Context, context.CancelFunc) {
	if f.Long {
		LongLived(w)
		return gate.Hold(ctx)
	}
	return context.WithTimeout(ctx, requestTimeout)
}

func refuse(ctx context.Context, w http.ResponseWriter, err error) {
	cause := err
	if p, ok := errors.AsType[*Problem](err); ok && p.reason != nil {
		cause = p.reason
	}
	Failed(ctx, cause)
	writeProblem(ctx, w, err)
}

// declareForeign completes op by its body and its errors, and gives the body's schema.
func declareForeign(registry huma.Registry, op *huma.Operation, in reflect.Type, tell Dialect) (schema *huma.Schema) {
	if op.Method != http.MethodGet {
		op.Errors = append(op.Errors, http.StatusPaymentRequired)
	}
	if in.NumField() > 0 {
		op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
		schema = registry.Schema(in, true, in.Name())
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}
	}
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	for _, p := range op.Parameters {
		if p.In == "path" {
			op.Errors = append(op.Errors, http.StatusNotFound)
		}
	}
	for _, status := range op.Errors {
		told, example := tell(&Problem{Status: status}, http.Header{})
		t := reflect.TypeOf(example)
		op.Responses[strconv.Itoa(told)] = &huma.Response{
			Description: http.StatusText(told),
			Content:     map[string]*huma.MediaType{"application/json": {Schema: registry.Schema(t, true, t.Name())}},
		}
	}
	return schema
}

// checkQuery refuses what the operation does not take.
func checkQuery(ctx context.Context, u *url.URL, declared []*huma.Param) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return foreignProblem(ctx, http.StatusUnprocessableEntity, "The query of the address cannot be read.", err)
	}
	for name := range query {
		if !slices.ContainsFunc(declared, func(p *huma.Param) bool { return p.In == "query" && p.Name == name }) {
			return foreignProblem(ctx, http.StatusUnprocessableEntity, "The request has a parameter that is not known here.", &huma.ErrorDetail{Location: "query." + name, Message: "unknown query parameter"})
		}
	}
	return nil
}

// checkHeader refuses a header that is there twice, since one of them would be hidden,
// and one that its schema does not allow.
func checkHeader(ctx context.Context, h http.Header, declared []*huma.Param) error {
	for _, p := range declared {
		if p.In != "header" {
			continue
		}
		values := h.Values(p.Name)
		if len(values) > 1 {
			return foreignProblem(ctx, http.StatusUnprocessableEntity, "A header of the request is there more than once.", &huma.ErrorDetail{Location: "header." + p.Name, Message: "expected one value"})
		}
		if most := p.Schema.MaxLength; most != nil && len(values) == 1 && len(values[0]) > *most {
			return foreignProblem(ctx, http.StatusUnprocessableEntity, "A header of the request is too long.",
				&huma.ErrorDetail{Location: "header." + p.Name, Message: fmt.Sprintf("expected length <= %d", *most)})
		}
	}
	return nil
}

// decode reads a body strictly, as huma does for the operations that are ours.
func decode(r *http.Request, registry huma.Registry, schema *huma.Schema, in any) error {
	ctx := r.Context()
	if kind := r.Header.Get("Content-Type"); kind != "" {
		media, parameters, err := mime.ParseMediaType(kind)
		if err != nil || media != "application/json" || parameters["charset"] != "" && parameters["charset"] != "utf-8" {
			return foreignProblem(ctx, http.StatusUnsupportedMediaType, "The body has to be JSON, sent as application/json.")
		}
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return unreadable(ctx, err)
	}
	var whole any
	if err := strictJSON.Unmarshal(data, &whole); err != nil {
		return foreignProblem(ctx, http.StatusBadRequest, "The body is not valid JSON: "+jsonReason(err), err)
	}
	path, result := huma.NewPathBuffer(nil, 0), &huma.ValidateResult{}
	huma.Validate(registry, schema, path, huma.ModeWriteToServer, whole, result)
	if len(result.Errors) > 0 {
		return foreignProblem(ctx, http.StatusUnprocessableEntity, "The request does not have the form that is expected here.", result.Errors...)
	}
	if err := json.Unmarshal(data, in); err != nil {
		return foreignProblem(ctx, http.StatusUnprocessableEntity, "The request does not have the form that is expected here.", err)
	}
	return nil
}

// jsonReason says in one line what is wrong with a JSON text.
func jsonReason(err error) string {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("at byte %d, %v.", e.Offset, e)
	}
	return err.Error() + "."
}

// unreadable is the error of a body that did not come to its end.
func unreadable(ctx context.Context, err error) error {
	status := unread(http.StatusInternalServerError, []error{err})
	if e, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok && e.Timeout() {
		status = http.StatusRequestTimeout
	}
	switch status {
	case http.StatusRequestEntityTooLarge:
		if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return tooLarge(e.Limit)
		}
	case http.StatusBadRequest, http.StatusRequestTimeout:
		return foreignProblem(ctx, status, "The body of the request did not arrive as a whole.", err)
	}
	return fault.Wrap(fault.Internal, err, "read the body")
}

// foreignProblem is a problem of a request's form, with what the log is told.
func foreignProblem(ctx context.Context, status int, detail string, errs ...error) *Problem {
	p := validationProblem(ctx, status, detail, errs)
	p.Detail = detail
	p.reason = p.cause(detail, errs)
	return p
}
