package edge

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// secretParameters are those whose values are never logged: links in letters carry
// a token, signed URLs a signature.
var secretParameters = []string{"token", "access_token", "secret", "password", "key", "signature", "x-goog-signature"}

// loggedURL is the path and query without secrets, at most 2 KiB.
func loggedURL(u *url.URL) string {
	if u.RawQuery == "" {
		return shorten(u.RequestURI(), 2048)
	}
	pairs := strings.FieldsFunc(u.RawQuery, func(c rune) bool { return c == '&' || c == ';' })
	for i, pair := range pairs {
		raw, _, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(raw)
		if err != nil {
			pairs[i] = "[malformed]" // it could be anything
		} else if slices.Contains(secretParameters, strings.ToLower(strings.TrimSpace(name))) {
			pairs[i] = raw + "=[secret]"
		}
	}
	shown := url.URL{Scheme: u.Scheme, Opaque: u.Opaque, Host: u.Host, Path: u.Path, RawPath: u.RawPath, RawQuery: strings.Join(pairs, "&")}
	return shorten(shown.RequestURI(), 2048)
}

// loggedAddress is an address as text; empty when there is none.
func loggedAddress(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	return addr.String()
}

// shorten cuts text at most at limit bytes, between characters.
func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "…"
}
