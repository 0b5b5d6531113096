package house_test

import (
	"net/http"
	"strings"
	"testing"

	"lectern.dev/lectern/functions/local/house"
)

// A page whose name leads here after it was opened is of no origin of ours.
func TestNamesOfOthersAreNotAnswered(t *testing.T) {
	t.Parallel()
	h := open(t, house.Options{})
	port := h.URL()[strings.LastIndexByte(h.URL(), ':'):]
	for host, want := range map[string]int{
		"evil.example" + port: 421, "evil.example": 421, "EVIL.EXAMPLE." + port: 421, "127.0.0.1.evil.example" + port: 421, "localhost.evil.example" + port: 421, "test.evil" + port: 421,
		"127.0.0.1" + port: 201, "[::1]" + port: 201, "localhost" + port: 201, "LOCALHOST" + port: 201, "lectern.localhost" + port: 201, "lectern.test": 201, "laptop" + port: 201, "laptop.local" + port: 201,
	} {
		email := strings.NewReplacer(":", "-", "[", "", "]", "").Replace("ann." + strings.Trim(host, ".") + "@example.com")
		for _, to := range []string{h.URL(), h.Inside("/auth").String()} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to+"/v1/auth/sign-up",
				strings.NewReader(`{"email":"`+email+`","password":"nine owls on a fence","name":"Ann","organization":"Owls"}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Host = host
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Origin", "http://"+host)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("%s: %s, want %d", host, res.Status, want)
			}
		}
	}
}
