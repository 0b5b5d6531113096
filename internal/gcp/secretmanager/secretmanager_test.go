package secretmanager_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"

	"lectern.dev/lectern/internal/gcp/secretmanager"
	"lectern.dev/lectern/internal/gcp/secretmanager/emulator"
)

func TestSettingsThatNameSecrets(t *testing.T) {
	t.Parallel()
	v := emulator.New(t)
	v.Set("projects/p/secrets/root/versions/latest", " spaces \u00e4 and sm://\n")
	v.Set("projects/p/secrets/client/versions/3", "third\n\n")
	v.Set("projects/p/secrets/client/versions/latest", "fourth")
	v.Fail(1) // the client tries again
	plain, empty, root, third, latest := "plain", "", "sm://projects/p/secrets/root", "sm://projects/p/secrets/client/versions/3", "sm://projects/p/secrets/client"
	if err := secretmanager.Resolve(t.Context(), []*string{&plain, &empty, &root, &third, &latest}, v.Options()...); err != nil {
		t.Fatal(err)
	}
	if plain != "plain" || empty != "" || root != " spaces \u00e4 and sm://" || third != "third\n" || latest != "fourth" {
		t.Errorf("%q, %q, %q, %q, %q", plain, empty, root, third, latest)
	}
}

func TestPlainSettingsNeedNoCloud(t *testing.T) {
	t.Parallel()
	plain := "plain"
	if err := secretmanager.Resolve(t.Context(), []*string{&plain}, option.WithEndpoint("127.0.0.1:1")); err != nil || plain != "plain" {
		t.Error(plain, err)
	}
}

// All that is wrong is told at once, and no secret with it.
func TestSecretsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	v := emulator.New(t)
	v.Set("projects/p/secrets/good/versions/latest", "a canary")
	v.Set("projects/p/secrets/empty/versions/latest", "\n")
	v.Refuse("projects/p/secrets/forbidden/versions/latest", codes.PermissionDenied)
	v.Refuse("projects/p/secrets/disabled/versions/latest", codes.FailedPrecondition)
	v.Refuse("projects/p/secrets/broken/versions/latest", codes.Internal)
	v.Damage("projects/p/secrets/damaged/versions/latest", "a canary")
	names := map[string]string{
		"sm://projects/p/secrets/missing":   "there is no secret projects/p/secrets/missing/versions/latest",
		"sm://projects/p/secrets/forbidden": "secretAccessor",
		"sm://projects/p/secrets/disabled":  "disabled or destroyed",
		"sm://projects/p/secrets/broken":    "read the secret projects/p/secrets/broken",
		"sm://projects/p/secrets/empty":     "is empty",
		"sm://projects/p/secrets/damaged":   "damaged on its way",
		"sm://projects/p":                   "sm://projects/p is not of the form",
		"sm://projects/p/secrets/../x/y":    "sm://projects/p/secrets/../x/y is not of the form",
	}
	good := "sm://projects/p/secrets/good"
	settings := []*string{&good}
	for value := range names {
		settings = append(settings, &value)
	}
	err := secretmanager.Resolve(t.Context(), settings, v.Options()...)
	if err == nil || strings.Contains(err.Error(), "canary") || good != "sm://projects/p/secrets/good" {
		t.Fatalf("%q, %v", good, err)
	}
	for value, want := range names {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q is missing in %v", value, want, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := secretmanager.Resolve(ctx, []*string{&good}, v.Options()...); err == nil {
		t.Error("it is read after the end")
	}
}
