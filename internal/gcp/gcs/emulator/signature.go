package emulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	signingTime  = "20060102T150405Z"
	longestValid = 7 * 24 * time.Hour
)

// verify checks the V4 signature of a request: that it is ours, for this method,
// path, query and headers, and not expired.
// https://cloud.google.com/storage/docs/authentication/canonical-requests
func (e *Emulator) verify(r *http.Request, now time.Time) error {
	query := r.URL.Query()
	signature, err := hex.DecodeString(query.Get("X-Goog-Signature"))
	if err != nil || len(signature) == 0 {
		return errSignature
	}
	signedAt, err := time.Parse(signingTime, query.Get("X-Goog-Date"))
	if err != nil {
		return errors.New("the X-Goog-Date parameter is missing or malformed")
	}
	seconds, err := strconv.Atoi(query.Get("X-Goog-Expires"))
	valid := time.Duration(seconds) * time.Second
	if err != nil || valid < 0 || valid > longestValid {
		return errors.New("the X-Goog-Expires parameter is missing or malformed")
	}
	if now.After(signedAt.Add(valid)) || now.Before(signedAt.Add(-15*time.Minute)) {
		return errors.New("the request signature has expired")
	}
	headers := strings.Split(query.Get("X-Goog-SignedHeaders"), ";")
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-goog-") && !slices.Contains(headers, lower) {
			return fmt.Errorf("the header %s is not part of the signature", lower)
		}
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet // who may get may ask
	}
	if !hmac.Equal(signature, e.signature([]byte(stringToSign(r, method, query, headers)))) {
		return errSignature
	}
	return nil
}

func stringToSign(r *http.Request, method string, query url.Values, headers []string) string {
	query.Del("X-Goog-Signature")
	var canonical strings.Builder
	fmt.Fprintf(&canonical, "%s\n%s\n%s\n", method, escapePath(r.URL.Path), strings.ReplaceAll(query.Encode(), "+", "%20"))
	for _, name := range headers {
		fmt.Fprintf(&canonical, "%s:%s\n", name, headerValue(r, name))
	}
	fmt.Fprintf(&canonical, "\n%s\nUNSIGNED-PAYLOAD", strings.Join(headers, ";"))
	hash := sha256.Sum256([]byte(canonical.String()))

	_, scope, _ := strings.Cut(query.Get("X-Goog-Credential"), "/")
	return fmt.Sprintf("GOOG4-RSA-SHA256\n%s\n%s\n%x", query.Get("X-Goog-Date"), scope, hash)
}

// escapePath escapes each part as a query parameter would be, but a space as %20.
func escapePath(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(url.QueryEscape(part), "+", "%20")
	}
	return strings.Join(parts, "/")
}

func headerValue(r *http.Request, name string) string {
	if name != "host" {
		return strings.Join(strings.Fields(strings.Join(r.Header.Values(name), ",")), " ")
	}
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		return host // the Go client signs the host without its port
	}
	return r.Host
}
