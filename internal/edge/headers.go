package edge

import "net/http"

// secure sets what every answer carries, errors included. Who serves pages replaces
// the content security policy, which allows nothing at all.
func secure(h http.Header, r *http.Request) {
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin") // trusted origins ask with CORS, which it does not concern
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Referrer-Policy", "strict-origin-when-cross-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	if encrypted(r) {
		h.Set("Strict-Transport-Security", "max-age=63072000; includeSubDomains") // two years
	}
}

// encrypted tells whether the browser speaks https with us or with the platform. A
// client that lies about it fools itself only.
func encrypted(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
}
