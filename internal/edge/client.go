package edge

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Front says what stands between the internet and a function, so that a client's
// address is believed from nobody else. Its zero value is a function that is
// reached directly.
type Front struct {
	// TrustedHops is where in X-Forwarded-For the client's address stands, counted
	// from the end: everything before it is what the client itself has sent. 1 on
	// Cloud Run, 2 behind a load balancer, which adds its own address; 0: the header
	// is not looked at, the connection's address counts.
	TrustedHops int `env:"TRUSTED_HOPS, default=1"`
	// GatewayKeys are secrets that the function shares with the gateway in front of
	// it, at least 32 random characters each, the newest first; empty: no gateway.
	GatewayKeys []string `env:"GATEWAY_KEY"`
}

// check says what is wrong with the settings.
func (f Front) check() error {
	if f.TrustedHops < 0 {
		return errors.New("TRUSTED_HOPS is negative")
	}
	for _, key := range f.GatewayKeys {
		if len(key) < 32 {
			return errors.New("a GATEWAY_KEY is shorter than 32 characters")
		}
	}
	return nil
}

// ClientAddress gives the address of who sent the request in ctx: an IPv4 address is
// always in its short form. It is invalid outside a request, and where the
// connection has none.
func ClientAddress(ctx context.Context) netip.Addr {
	if q := requestOf(ctx); q != nil {
		return q.client
	}
	return netip.Addr{}
}

// ClientNetwork gives what counts as one client where they are throttled: an IPv4
// address, or the /64 that an IPv6 host picks its addresses from.
func ClientNetwork(ctx context.Context) netip.Prefix {
	addr := ClientAddress(ctx)
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	network, _ := addr.Prefix(bits) // of an invalid address: none
	return network
}

// client finds the address of who sent r.
func (f Front) client(r *http.Request) netip.Addr {
	if addr, ok := f.signed(r); ok {
		return addr
	}
	if f.TrustedHops > 0 {
		entries := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if at := len(entries) - f.TrustedHops; at >= 0 {
			if addr, ok := parseAddress(strings.TrimSpace(entries[at])); ok {
				return addr
			}
		}
	}
	addr, _ := parseAddress(r.RemoteAddr)
	return addr
}

// parseAddress reads an address with or without a port.
func parseAddress(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		var both netip.AddrPort
		both, err = netip.ParseAddrPort(s)
		addr = both.Addr()
	}
	return addr.Unmap().WithZone(""), err == nil
}

const (
	// clientHeader carries the client's address from the gateway to a function,
	// which anybody could call with an X-Forwarded-For of their own.
	clientHeader = "X-Lectern-Client"
	// signatureAge is how long a signature is taken, and how far two clocks may differ.
	signatureAge = time.Minute
)

// SignClient tells the function that req goes to whose request it is: for a gateway.
// It comes last, when method and URL are final. What a client sent in that header
// is replaced, or removed when there is no key or no address.
func SignClient(req *http.Request, key string, addr netip.Addr) {
	if key == "" || !addr.IsValid() {
		req.Header.Del(clientHeader)
		return
	}
	now := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set(clientHeader, now+","+addr.String()+","+clientSignature(key, req.Method, req.URL, now, addr.String()))
}

// signed reads what SignClient wrote; ok is false unless a gateway that has one of
// our keys wrote it, for this request and just now.
func (f Front) signed(r *http.Request) (addr netip.Addr, ok bool) {
	values := r.Header.Values(clientHeader)
	if len(f.GatewayKeys) == 0 || len(values) != 1 {
		return addr, false
	}
	parts := strings.Split(values[0], ",")
	if len(parts) != 3 {
		return addr, false
	}
	seconds, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > signatureAge {
		return addr, false
	}
	sent, err := url.ParseRequestURI(r.RequestURI) // r.URL may have lost a prefix on its way to us
	if err != nil {
		return addr, false
	}
	for _, key := range f.GatewayKeys {
		if hmac.Equal([]byte(parts[2]), []byte(clientSignature(key, r.Method, sent, parts[0], parts[1]))) {
			return parseAddress(parts[1])
		}
	}
	return addr, false
}

// clientSignature is bound to the method and the path, so that it is of no use for
// another request.
func clientSignature(key, method string, u *url.URL, seconds, addr string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(strings.Join([]string{"lectern client", method, u.EscapedPath(), seconds, addr}, "\n")))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
