package access

import (
	"encoding/base64"
	"errors"
	"strings"
)

// maxAuthorization bounds the header, in bytes: a session token has about 250, a
// secret that an operator chose at most 1 KiB.
const maxAuthorization = 4 << 10

// authorization is what an Authorization header says: a session token, or an API
// credential.
type authorization struct {
	token          string
	authID, secret string
}

// parseAuthorization reads the header's values. It wants exactly one, and says why
// it does not take another; no part of the value is in the error.
func parseAuthorization(values []string) (a authorization, err error) {
	if len(values) != 1 {
		return a, errors.New("more than one Authorization header")
	}
	if len(values[0]) > maxAuthorization {
		return a, errors.New("a very long Authorization header")
	}
	kind, value, ok := strings.Cut(values[0], " ")
	value = strings.TrimLeft(value, " ")
	if !ok || value == "" || strings.ContainsFunc(value, unprintable) {
		return a, errors.New("an Authorization header that is not a scheme and a token")
	}
	switch {
	case strings.EqualFold(kind, "Bearer"):
		// A session token has no dot in it, an auth_id neither.
		if authID, secret, ok := strings.Cut(value, "."); ok {
			return credential(authID, secret)
		}
		a.token = value
		return a, nil
	case strings.EqualFold(kind, "Basic"):
		pair, err := base64.StdEncoding.Strict().DecodeString(value)
		if err != nil {
			return a, errors.New("Basic without base64")
		}
		authID, secret, _ := strings.Cut(string(pair), ":")
		return credential(authID, secret)
	}
	return a, errors.New("an Authorization scheme that is not taken here")
}

func credential(authID, secret string) (authorization, error) {
	if authID == "" || secret == "" {
		return authorization{}, errors.New("an auth_id or a secret is missing")
	}
	return authorization{authID: authID, secret: secret}, nil
}

// unprintable tells what no token68 of RFC 9110 and no secret of ours holds.
func unprintable(c rune) bool { return c <= ' ' || c > '~' }
