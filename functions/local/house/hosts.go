package house

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// atHome answers only requests for names that nobody on the internet can own, where
// the listener is for this machine alone. Any page could otherwise have its own name
// lead here after it was opened, and would be of the same origin as the house for the
// browser: it could sign up, and spend what the owner pays models for (DNS rebinding).
// Who opens the house to others, with -addr, does so to whatever names it has there.
func atHome(l net.Listener, next http.Handler) http.Handler {
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok || !addr.IP.IsLoopback() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ownable(r.Host) {
			next.ServeHTTP(w, r)
			return
		}
		http.Error(w, "This Lectern is for this machine alone and does not answer to that name. Open http://"+addr.String()+" here, or start it with another -addr.", http.StatusMisdirectedRequest)
	})
}

// reserved are domains that the internet's DNS never holds.
// https://www.iana.org/assignments/special-use-domain-names
var reserved = []string{"localhost", "test", "local", "internal", "home.arpa"}

// ownable tells whether somebody could own the name in a Host header.
func ownable(host string) bool {
	name := host
	if bare, _, err := net.SplitHostPort(host); err == nil {
		name = bare
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if _, err := netip.ParseAddr(name); err == nil {
		return false
	}
	return strings.Contains(name, ".") && !slices.ContainsFunc(reserved, func(domain string) bool { return strings.HasSuffix(name, "."+domain) })
}
