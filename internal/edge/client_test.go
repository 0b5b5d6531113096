package edge

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const gatewayKey = "a key that only the gateway and we know"

// seen gives the client's address as a handler behind f sees it.
func seen(t *testing.T, f Front, r *http.Request) (addr netip.Addr, network netip.Prefix) {
	t.Helper()
	call(t, HTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		addr, network = ClientAddress(r.Context()), ClientNetwork(r.Context())
	}), Options{Front: f}), r)
	return addr, network
}

// Nothing that a client sends makes it somebody else.
func TestAClientCannotChooseItsAddress(t *testing.T) {
	t.Parallel()
	const direct, platform = "192.0.2.1", "203.0.113.9"
	forged := http.Header{
		"X-Forwarded-Host": {"8.8.8.8"}, "Forwarded": {"for=8.8.8.8"}, "X-Real-Ip": {"8.8.8.8"}, "True-Client-Ip": {"8.8.8.8"}, "Cf-Connecting-Ip": {"8.8.8.8"},
		"X-Cloud-Trace-Context": {"8.8.8.8"}, "X-Cloudtasks-Queuename": {"8.8.8.8"}, "X-Appengine-User-Ip": {"8.8.8.8"}, "X-Client-Ip": {"8.8.8.8"},
		"X-Lectern-Client": {"9999999999,8.8.8.8,AAAA"},
	}
	for name, c := range map[string]struct {
		hops int
		sent []string // X-Forwarded-For as it arrives: what the client wrote, then what the platform added
		want string
	}{
		"no proxy, nothing sent":       {0, nil, direct},
		"no proxy, a forged header":    {0, []string{"8.8.8.8"}, direct},
		"the platform alone":           {1, []string{platform}, platform},
		"a forged entry before it":     {1, []string{"8.8.8.8, " + platform}, platform},
		"a forged header before it":    {1, []string{"8.8.8.8", platform}, platform},
		"many of them":                 {1, []string{strings.Repeat("8.8.8.8,", 500) + platform}, platform},
		"a balancer before it":         {2, []string{"8.8.8.8, " + platform + ", 35.191.0.1"}, platform},
		"fewer entries than hops":      {2, []string{"8.8.8.8"}, direct},
		"no header behind a proxy":     {1, nil, direct},
		"an entry that is no address":  {1, []string{"8.8.8.8, unknown"}, direct},
		"an empty entry":               {1, []string{"8.8.8.8, "}, direct},
		"with a port":                  {1, []string{platform + ":4711"}, platform},
		"IPv6 with a port":             {1, []string{"[2001:db8::7]:4711"}, "2001:db8::7"},
		"IPv4 in IPv6":                 {1, []string{"::ffff:" + platform}, platform},
		"a zone, which is of no host":  {1, []string{"fe80::1%8.8.8.8"}, "fe80::1"},
		"a line break":                 {1, []string{"8.8.8.8\r\n" + platform}, direct},
		"an address that is too short": {1, []string{"8.8.8"}, direct},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host, r.RemoteAddr = "8.8.8.8", direct+":1234"
		for header, values := range forged {
			r.Header[header] = values
		}
		for _, value := range c.sent {
			r.Header.Add("X-Forwarded-For", value)
		}
		if addr, _ := seen(t, Front{TrustedHops: c.hops, GatewayKeys: []string{gatewayKey}}, r); addr.String() != c.want {
			t.Errorf("%s: %s, want %s", name, addr, c.want)
		}
	}
}

func TestAnIPv6ClientIsItsNetwork(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.1:1": "192.0.2.1/32", "[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64", "[::ffff:192.0.2.1]:1": "192.0.2.1/32", "@": "invalid Prefix",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = addr
		if _, network := seen(t, Front{}, r); network.String() != want {
			t.Errorf("%s: %s, want %s", addr, network, want)
		}
	}
	if ClientAddress(t.Context()).IsValid() || ClientNetwork(t.Context()).IsValid() {
		t.Error("there is a client without a request")
	}
}

// What the gateway says is believed when it is signed, for this request, now.
func TestTheGatewayTellsTheClient(t *testing.T) {
	t.Parallel()
	const other = "another key, which is long enough as well"
	client := netip.MustParseAddr("2001:db8::7")
	signed := func(method, path string) *http.Request {
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("X-Lectern-Client", "what a client sent")
		SignClient(r, gatewayKey, client)
		return r
	}
	replay := func(from *http.Request, method, path string) *http.Request {
		r := httptest.NewRequest(method, path, nil)
		r.Header["X-Lectern-Client"] = from.Header["X-Lectern-Client"]
		return r
	}
	changed := func(old, now string) *http.Request {
		r := signed("POST", "/v1/a")
		r.Header.Set("X-Lectern-Client", strings.Replace(r.Header.Get("X-Lectern-Client"), old, now, 1))
		return r
	}
	twice := signed("POST", "/v1/a")
	twice.Header["X-Lectern-Client"] = append(twice.Header["X-Lectern-Client"], twice.Header["X-Lectern-Client"]...)
	for name, c := range map[string]struct {
		keys []string
		r    *http.Request
		ok   bool
	}{
		"signed":                      {[]string{gatewayKey}, signed("POST", "/v1/a"), true},
		"with an odd path":            {[]string{gatewayKey}, signed("GET", "/v1/%2e%2F/é%20x?q=1"), true},
		"with the key before the new": {[]string{other, gatewayKey}, signed("POST", "/v1/a"), true},
		"with a key of somebody else": {[]string{other}, signed("POST", "/v1/a"), false},
		"without any key":             {nil, signed("POST", "/v1/a"), false},
		"for another path":            {[]string{gatewayKey}, replay(signed("POST", "/v1/a"), "POST", "/v1/b"), false},
		"for another method":          {[]string{gatewayKey}, replay(signed("GET", "/v1/a"), "DELETE", "/v1/a"), false},
		"with another address":        {[]string{gatewayKey}, changed("2001:db8::7", "8.8.8.8"), false},
		"without a signature":         {[]string{gatewayKey}, changed("2001:db8::7,", "2001:db8::7,,"), false},
		"said twice":                  {[]string{gatewayKey}, twice, false},
	} {
		c.r.RemoteAddr = "192.0.2.1:1234"
		want := "192.0.2.1"
		if c.ok {
			want = client.String()
		}
		if addr, _ := seen(t, Front{GatewayKeys: c.keys}, c.r); addr.String() != want {
			t.Errorf("%s: %s, want %s", name, addr, want)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Lectern-Client", "what a client sent")
	if SignClient(r, "", client); r.Header.Get("X-Lectern-Client") != "" {
		t.Error("a gateway without a key passes on what the client sent")
	}
}

func TestASignatureIsShortLived(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := httptest.NewRequest("GET", "/", nil)
		SignClient(r, gatewayKey, netip.MustParseAddr("203.0.113.9"))
		for _, want := range []bool{true, false} {
			if _, ok := (Front{GatewayKeys: []string{gatewayKey}}).signed(r); ok != want {
				t.Errorf("taken: %t, want %t", ok, want)
			}
			time.Sleep(61 * time.Second)
		}
	})
}

// The signature survives a real proxy and a real server.
func TestAGatewayOverTheWire(t *testing.T) {
	t.Parallel()
	var got netip.Addr
	inner := httptest.NewServer(http.StripPrefix("/inner", HTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = ClientAddress(r.Context())
	}), Options{Front: Front{TrustedHops: 1, GatewayKeys: []string{gatewayKey}}})))
	defer inner.Close()
	for _, path := range []string{"/", "/v1/a%2Fb/%C3%A9?x=1&y=%20", "/v1//a/./b", "/%7Efoo/(x)!'*"} {
		q, err := http.NewRequestWithContext(t.Context(), "POST", inner.URL+"/inner"+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("X-Forwarded-For", "8.8.8.8")
		SignClient(q, gatewayKey, netip.MustParseAddr("203.0.113.9"))
		answer, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if got.String() != "203.0.113.9" {
			t.Errorf("%s: %s", path, got)
		}
	}
}

func TestWrongSettingsStopTheStart(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"a short key":      {Front: Front{GatewayKeys: []string{gatewayKey, "short"}}},
		"negative hops":    {Front: Front{TrustedHops: -1}},
		"a wildcard":       {TrustedOrigins: []string{"https://*.example.com"}},
		"all":              {TrustedOrigins: []string{"*"}},
		"null":             {TrustedOrigins: []string{"null"}},
		"a path":           {TrustedOrigins: []string{"https://example.com/"}},
		"upper case":       {TrustedOrigins: []string{"https://Example.com"}},
		"no scheme":        {TrustedOrigins: []string{"example.com"}},
		"another scheme":   {TrustedOrigins: []string{"ftp://example.com"}},
		"somebody's name":  {TrustedOrigins: []string{"https://me@example.com"}},
		"a query":          {TrustedOrigins: []string{"https://example.com?x"}},
		"nothing":          {TrustedOrigins: []string{""}},
		"a scheme alone":   {TrustedOrigins: []string{"https://"}},
		"two in one entry": {TrustedOrigins: []string{"https://a.example,https://b.example"}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s is taken", name)
				}
			}()
			HTTP(ok, o)
		}()
	}
}
