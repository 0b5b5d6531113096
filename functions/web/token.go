package web

import "net/http"

// secretPage answers with a page whose address carries the token of a letter's
// link: it works once, for half an hour, and until then it is as good as a password.
// The page tells nobody its address, neither other sites nor the rest of this one
// (the access log leaves the token out by itself), and puts it into a hidden field
// only. Looking at it changes nothing, so that a mail scanner's visit does no harm.
//
// It does name its origin: with no-referrer browsers would call that "null" when the
// form is sent, which is refused where they say nothing better, over plain http.
func (s *site) secretPage(view func(token string) enterPage) http.Handler {
	return originOnly(s.page(func(r *http.Request) (string, any, error) {
		return "enter", view(r.URL.Query().Get("token")), nil
	}))
}

func originOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Referrer-Policy", "strict-origin")
		next.ServeHTTP(w, r)
	})
}
