package firestore

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/api/option"
	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/fault"
)

// F84: whatever an id is, its document lies directly in the collection, under a
// name that Firestore takes; two ids never share one.
func TestNoIDLeavesTheCollection(t *testing.T) {
	t.Parallel()
	b, err := Open(t.Context(), Config{Project: "demo-paths"}, option.WithoutAuthentication(), option.WithEndpoint("127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close() //nolint:errcheck // it has never connected
	reserved := regexp.MustCompile(`^__.*__$`)
	folder := b.collection.Path + "/"
	nasty := rapid.OneOf(
		rapid.SampledFrom([]string{"", "/", "//", ".", "..", "../..", "a/../b", "__x__", "____", "live/job_1", "%2F", "%2e%2e", "\x00", "\xff", "=", "=job_1", " ", "é", "e\u0301", strings.Repeat("/", 600)}),
		rapid.StringMatching(`[./_%=a]{1,12}`),
		rapid.String(),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	)
	names := map[string]string{} // by document
	rapid.Check(t, func(rt *rapid.T) {
		id := nasty.Draw(rt, "id")
		ref, err := b.ref(id)
		if err != nil {
			if !fault.Is(err, fault.Invalid) || id != "" && len(id) < 500 {
				rt.Fatalf("%q: %v", id, err)
			}
			return
		}
		name, inside := strings.CutPrefix(ref.Path, folder)
		if !inside || strings.Contains(name, "/") || name == "" || name == "." || name == ".." || reserved.MatchString(name) ||
			len(name) > 1500 || !utf8.ValidString(name) || ref.Parent.Path != b.collection.Path {
			rt.Fatalf("%q lies at %q", id, ref.Path)
		}
		if other, taken := names[name]; taken && other != id {
			rt.Fatalf("%q and %q lie at %q", id, other, ref.Path)
		}
		names[name] = id
	})
}
