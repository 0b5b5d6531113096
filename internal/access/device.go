package access

import (
	"net/http"
	"time"

	"github.com/gorilla/securecookie"
)

// deviceLifetime is the longest that browsers keep a cookie.
const deviceLifetime = 400 * 24 * time.Hour

// deviceName tells the cookie of a device from that of a sign-in: neither is taken
// for the other.
func (t Tokens) deviceName() string { return t.name() + "-device" }

// NewDevice gives the cookie by which a device is known again on which somebody has
// signed in (account.Session). It stays when they sign out, and opens nothing.
func (t Tokens) NewDevice(device string) (*http.Cookie, error) {
	value, err := securecookie.EncodeMulti(t.deviceName(), []byte(device), t.devices...)
	c := t.cookie(value)
	c.Name, c.MaxAge = t.deviceName(), int(deviceLifetime/time.Second)
	return c, err
}

// Device reads it; "" where there is none that we have written.
func (t Tokens) Device(r *http.Request) string {
	c, err := r.Cookie(t.deviceName())
	if err != nil {
		return ""
	}
	var device []byte
	if securecookie.DecodeMulti(t.deviceName(), c.Value, &device, t.devices...) != nil {
		return ""
	}
	return string(device)
}
