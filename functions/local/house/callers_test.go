package house_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"lectern.dev/lectern/functions/local/house"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/gcp/issuer"
)

// Every private function, called by everybody but who may: nothing runs.
func TestPrivateFunctionsKnowTheirCallers(t *testing.T) {
	t.Parallel()
	h := open(t, house.Options{Sweep: time.Hour})
	secret, err := account.Begin(t.Context(), h.Pool(), account.Local.User, "")
	if err != nil {
		t.Fatal(err)
	}
	cookie, err := h.Tokens().NewCookie(secret)
	if err != nil {
		t.Fatal(err)
	}
	audience := h.Inside("").String()
	stranger := &issuer.Issuer{URL: audience}
	sign := func(by *issuer.Issuer, email string, changed map[string]any) string {
		t.Helper()
		claims := map[string]any{
			"iss": h.Issuer().URL, "aud": audience, "email": email, "email_verified": true,
			"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		}
		maps.Copy(claims, changed)
		token, err := by.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	post := func(path, token string, cookie *http.Cookie) (int, string) {
		t.Helper()
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.Inside(path).String(), strings.NewReader(`{"job":"job_none","step":"x","attempt":1}`))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Content-Type", "application/json")
		for name, value := range map[string]string{
			"X-CloudTasks-TaskName": "t", "X-CloudTasks-QueueName": "generate", "X-CloudScheduler": "true", "User-Agent": "Google-Cloud-Tasks",
			"Ce-Id": "1", "Ce-Specversion": "1.0", "Ce-Type": "google.cloud.storage.object.v1.finalized", "Ce-Source": "//storage.googleapis.com/x",
		} {
			q.Header.Set(name, value) // anybody can send these
		}
		if token != "" {
			q.Header.Set("Authorization", "Bearer "+token)
		}
		if cookie != nil {
			q.AddCookie(cookie)
		}
		res, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	for path, caller := range map[string]string{
		"/generate/": "queue@lectern.invalid", "/ingest/": "queue@lectern.invalid", "/render/": "queue@lectern.invalid",
		"/finalize/": "events@lectern.invalid", "/sweep/": "scheduler@lectern.invalid",
	} {
		right := sign(h.Issuer(), caller, nil)
		if status, body := post(path, right, nil); status != http.StatusOK {
			t.Errorf("%s: its caller gets %d %s", path, status, body)
		}
		other := "scheduler@lectern.invalid"
		if path == "/sweep/" {
			other = "events@lectern.invalid"
		}
		unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + strings.Split(right, ".")[1] + "."
		for name, c := range map[string]struct {
			token  string
			cookie *http.Cookie
			want   int
		}{
			"nobody":                 {"", nil, 401},
			"a person's cookie":      {"", cookie, 401},
			"a person's token":       {token(t, h), cookie, 401},
			"an API credential":      {"cred_1.secret", nil, 401},
			"another audience":       {sign(h.Issuer(), caller, map[string]any{"aud": "https://other.invalid"}), nil, 401},
			"another issuer":         {sign(h.Issuer(), caller, map[string]any{"iss": "https://accounts.google.com"}), nil, 401},
			"another key":            {sign(stranger, caller, nil), nil, 401},
			"expired":                {sign(h.Issuer(), caller, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}), nil, 401},
			"not valid yet":          {sign(h.Issuer(), caller, map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}), nil, 401},
			"not verified":           {sign(h.Issuer(), caller, map[string]any{"email_verified": false}), nil, 401},
			"alg none":               {unsigned, nil, 401},
			"a removed signature":    {strings.Join(strings.Split(right, ".")[:2], ".") + ".SIGNATURE_REMOVED_BY_GOOGLE", nil, 401},
			"another account":        {sign(h.Issuer(), "web@lectern.invalid", nil), nil, 403},
			"another of its callers": {sign(h.Issuer(), other, nil), nil, 403},
		} {
			status, body := post(path, c.token, c.cookie)
			if status != c.want {
				t.Errorf("%s: %s gets %d %s", path, name, status, body)
			}
			var problem struct{ Status int }
			if json.Unmarshal([]byte(body), &problem) != nil || problem.Status != status {
				t.Errorf("%s: %s is told %s", path, name, body)
			}
		}
	}
}
