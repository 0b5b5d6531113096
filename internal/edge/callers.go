package edge

import "net/http"

// Callers stand before a function that only the platform may call. They belong to
// the function, like a Gate.
type Callers interface {
	// Admit says Unauthenticated or Denied when somebody else calls, and Unavailable
	// when that cannot be told right now.
	Admit(r *http.Request) error
}

// CallersFunc is a function that implements Callers.
type CallersFunc func(r *http.Request) error

// Admit calls the function.
func (f CallersFunc) Admit(r *http.Request) error { return f(r) }

// Private lets only the callers reach the handler. Who is refused is told with 401
// or 403, before anything is read of the request's body; a queue tries again later.
func Private(callers Callers, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := callers.Admit(r); err != nil {
			failing(err).ServeHTTP(w, r)
			return
		}
		if q := requestOf(r.Context()); q != nil {
			q.private = true
		}
		next.ServeHTTP(w, r)
	})
}
