package secretmanager

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/api/option"

	"lectern.dev/lectern/internal/gcp/secretmanager/emulator"
)

// F34: a service that is silent or down is asked again for a bounded time, and then told
// of by a sentence; one that comes back is read.
func TestServiceThatIsSlowOrDown(t *testing.T) { // not parallel: it has no time
	defer func(a, b, c time.Duration) { readTime, tryTime, pause = a, b, c }(readTime, tryTime, pause)
	readTime, tryTime, pause = 2*time.Second, 100*time.Millisecond, 10*time.Millisecond

	silent, down := emulator.New(t), emulator.New(t)
	silent.FallSilent()
	down.Fail(1 << 30)
	for name, options := range map[string][]option.ClientOption{
		"silent": silent.Options(), "down": down.Options(),
		"refused": {option.WithEndpoint("127.0.0.1:1"), option.WithoutAuthentication()},
	} {
		t.Run(name, func(t *testing.T) {
			one, two := "sm://projects/p/secrets/one", "sm://projects/p/secrets/two"
			begun := time.Now()
			err := Resolve(t.Context(), []*string{&one, &two}, options...)
			if err == nil || strings.Count(err.Error(), "was not to be had within 2s; nothing has been changed, start again later. The last try: ") != 2 {
				t.Errorf("%v", err)
			}
			if one != "sm://projects/p/secrets/one" {
				t.Error("a setting was changed")
			}
			if took := time.Since(begun); took > 30*time.Second { // two seconds for both together
				t.Errorf("it took %s", took)
			}
		})
	}

	back := emulator.New(t)
	back.Set("projects/p/secrets/one/versions/latest", "here")
	back.Fail(5)
	readTime = time.Minute
	one := "sm://projects/p/secrets/one"
	if err := Resolve(t.Context(), []*string{&one}, back.Options()...); err != nil || one != "here" {
		t.Errorf("%q, %v", one, err)
	}
}
