package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"lectern.dev/lectern/internal/fault"
)

// API is an HTTP API whose types are its OpenAPI 3.1 document. Register adds
// operations; it serves them, /openapi.json and /docs.
type API struct {
	huma huma.API
	mux  *http.ServeMux
	gate Gate

	dialects dialects
}

// NewAPI makes an API without operations. Every operation stands behind the gate;
// the two documents are for everybody.
func NewAPI(title, description string, gate Gate) *API {
	config := huma.DefaultConfig(title, "1")
	config.Info.Description = description
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", "" // served below; huma's page needs a foreign host
	config.CreateHooks = nil                                             // no $schema in every answer
	config.RejectUnknownQueryParameters = true
	config.Formats = map[string]huma.Format{"application/json": strictJSON, "json": strictJSON}
	mux := http.NewServeMux()
	config.Components.SecuritySchemes = securitySchemes()
	a := &API{huma: humago.New(mux, config), mux: mux, gate: gate, dialects: newDialects()}
	mux.HandleFunc("GET /openapi.json", a.serveOpenAPI)
	mux.HandleFunc("GET /docs", a.serveDocs)
	return a
}

// OpenAPI gives the document, for tests and for who joins several.
func (a *API) OpenAPI() *huma.OpenAPI { return a.huma.OpenAPI() }

// ServeHTTP answers; what no operation matches is a problem document too.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, pattern := a.mux.Handler(r); pattern == "" {
		a.serveUnmatched(w, r)
		return
	}
	a.mux.ServeHTTP(w, r)
}

// serveUnmatched lets the mux tell 404 from 405, and says it in our form.
func (a *API) serveUnmatched(w http.ResponseWriter, r *http.Request) {
	probe := &recorder{ResponseWriter: discard{http.Header{}}}
	a.mux.ServeHTTP(probe, r)
	p := ProblemOf(r.Context(), fault.New(fault.NotFound, "There is nothing at this address."))
	if probe.status == http.StatusMethodNotAllowed {
		allow := probe.Header().Get("Allow")
		w.Header().Set("Allow", allow)
		p.Status, p.Title = probe.status, http.StatusText(probe.status)
		p.Detail = fmt.Sprintf("This address does not take %s; it takes %s.", r.Method, allow)
	}
	writeProblem(r.Context(), w, p)
}

// discard is a response that nobody sees.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func (a *API) serveOpenAPI(w http.ResponseWriter, r *http.Request) {
	document, err := json.Marshal(a.huma.OpenAPI())
	if err != nil {
		failing(err).ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/openapi+json")
	_, _ = w.Write(document) // the client may be gone
}

// guard lets only those that the policy admits reach the operation.
func (a *API) guard(op *huma.Operation, need Policy) {
	need.declare(op)
	op.Middlewares = append(op.Middlewares, func(c huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(c)
		w.Header().Set("Cache-Control", "no-store") // unless the operation says otherwise
		ctx, err := a.gate.Admit(r, need)
		if err != nil {
			need.challenge(w, r, err)
			return
		}
		next(huma.WithContext(c, ctx))
	})
}

// Register adds an operation for those that need admits. Errors of the handler become problems by their kind,
// and all that can happen is declared in the document: those common to every
// operation, those that follow from its parameters and body, and op.Errors.
func Register[I, O any](a *API, need Policy, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	declare[I](&op)
	a.guard(&op, need)
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		out, err := handler(ctx, in)
		if err != nil {
			Failed(ctx, err)
			return nil, ProblemOf(ctx, err)
		}
		return out, nil
	})
	allowNull(a.OpenAPI(), op)
}

// Producer sends events until it is done or ctx ends. A nil one means that nothing
// will come any more: the answer is 204, upon which browsers stop asking.
type Producer func(ctx context.Context, send func(Message) error) error

// RegisterStream adds an operation that answers with server-sent events. The
// handler checks and may fail like any other; the producer that it returns then
// sends, as long as the gate lets who asks stay. Events maps each event's name to an example of its data, for the document.
func RegisterStream[I any](a *API, need Policy, op huma.Operation, events map[string]any, handler func(context.Context, *I) (Producer, error)) {
	declare[I](&op)
	a.guard(&op, need)
	op.DefaultStatus = http.StatusOK
	op.Responses = map[string]*huma.Response{"200": {
		Description: "Server-sent events",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: eventSchema(a.OpenAPI().Components.Schemas, events)}},
	}, "204": {
		Description: "Nothing more will come",
	}}
	type answer struct{ Body func(huma.Context) }
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*answer, error) {
		produce, err := handler(ctx, in)
		if err != nil {
			Failed(ctx, err)
			return nil, ProblemOf(ctx, err)
		}
		return &answer{func(c huma.Context) {
			r, w := humago.Unwrap(c)
			if produce == nil {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			hold(w, r.WithContext(c.Context()), a.gate.Hold, produce)
		}}, nil
	})
	allowNull(a.OpenAPI(), op)
}

// eventSchema describes a stream as the list of its events.
func eventSchema(registry huma.Registry, events map[string]any) *huma.Schema {
	var kinds []*huma.Schema
	for name, data := range events {
		t := reflect.TypeOf(data)
		kinds = append(kinds, &huma.Schema{
			Type:     huma.TypeObject,
			Title:    name,
			Required: []string{"event", "data"},
			Properties: map[string]*huma.Schema{
				"id":    {Type: huma.TypeString, Description: "What to send as Last-Event-ID"},
				"event": {Type: huma.TypeString, Enum: []any{name}},
				"data":  registry.Schema(t, true, t.Name()),
			},
		})
	}
	slices.SortFunc(kinds, func(a, b *huma.Schema) int { return strings.Compare(a.Title, b.Title) })
	return &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{OneOf: kinds}}
}

// declare completes op with the errors that follow from its form.
func declare[I any](op *huma.Operation) {
	op.BodyReadTimeout = readTimeout // huma's own 5 s would go on to cancel the handler
	op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusForbidden,
		http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable)
	in := reflect.TypeFor[I]()
	for _, f := range reflect.VisibleFields(in) {
		if f.Anonymous && !f.IsExported() {
			panic("huma does not see the parameters in " + f.Name + " of " + op.OperationID + ": export it")
		}
		switch {
		case f.Tag.Get("path") != "":
			op.Errors = append(op.Errors, http.StatusNotFound)
		case f.Tag.Get("header") == "If-Match":
			op.Errors = append(op.Errors, http.StatusPreconditionFailed)
		case f.Tag.Get("header") == "If-None-Match":
			op.Responses = map[string]*huma.Response{"304": {Description: http.StatusText(http.StatusNotModified)}}
		case f.Name == "Body" || f.Name == "RawBody":
			op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusRequestTimeout,
				http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
		}
	}
	if op.Method != http.MethodGet {
		op.Errors = append(op.Errors, http.StatusForbidden, http.StatusConflict)
	}
	slices.Sort(op.Errors)
	op.Errors = slices.Compact(op.Errors)
}
