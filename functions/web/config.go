package web

import (
	"fmt"
	"net/url"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/gcp/telemetry"
)

// Config is what web reads from its environment. URLs are absolute, such as
// https://courses-abc123.run.app, without a path.
type Config struct {
	CoursesURL  string `env:"COURSES_URL, required"` // where functions/courses answers
	AuthURL     string `env:"AUTH_URL, required"`    // where functions/auth answers
	ChatURL     string `env:"CHAT_URL"`              // where functions/chat answers; empty: there is no tutor, and neither /v1/chat/ nor /v1/models is served
	MediaOrigin string `env:"MEDIA_ORIGIN"`          // origin that videos are played from and documents are sent to, such as https://storage.googleapis.com; empty: this one
	Front       edge.Front
	Telemetry   telemetry.Settings
}

// origin checks that raw is scheme and host alone; an empty raw gives nil.
func origin(name, raw string) (*url.URL, error) {
	if raw == "" {
		return nil, nil
	}
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("%s: %q is not an address such as https://host", name, raw)
	}
	u.Path = ""
	return u, nil
}
