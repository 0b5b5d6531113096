package edge

import (
	"context"
	"encoding/json"
	"net/http"

	"lectern.dev/lectern/internal/trail"
)

// Dialect tells a problem in the form that the clients of an operation know: it gives
// the status, and the body, which is sent as JSON and always of one type. It may
// add to the header.
type Dialect func(p *Problem, h http.Header) (status int, body any)

// speaking gives a context in which errors are told in a dialect; nil: in our own form.
func speaking(ctx context.Context, tell Dialect) context.Context {
	q := requestOf(ctx)
	if q == nil { // the handler stands alone, without HTTP around it
		q = new(request)
		ctx = trail.Carry(ctx, q)
	}
	q.dialect = tell
	return ctx
}

// writeAs answers with a problem in a dialect.
func (tell Dialect) writeAs(w http.ResponseWriter, p *Problem) {
	status, body := tell(p, w.Header())
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}

// dialects knows which addresses are not answered in our own form: before a request
// reaches its operation, or when it reaches none, its errors are told in it too.
type dialects struct {
	paths *http.ServeMux // patterns of paths, without methods
	by    map[string]Dialect
}

func newDialects() dialects { return dialects{http.NewServeMux(), map[string]Dialect{}} }

func (d dialects) add(path string, tell Dialect) {
	if _, known := d.by[path]; !known {
		d.paths.Handle(path, http.NotFoundHandler())
	}
	d.by[path] = tell
}

// of gives the dialect of an address; nil: ours.
func (d dialects) of(r *http.Request) Dialect {
	if len(d.by) == 0 {
		return nil
	}
	_, pattern := d.paths.Handler(r)
	return d.by[pattern]
}

// speak has all errors of a request to handler told in the dialect of its address, also
// those that come before it.
func speak(handler, next http.Handler) http.Handler {
	a, ok := handler.(*API)
	if !ok {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tell := a.dialects.of(r); tell != nil {
			r = r.WithContext(speaking(r.Context(), tell))
		}
		next.ServeHTTP(w, r)
	})
}
