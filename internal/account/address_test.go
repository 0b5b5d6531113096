package account_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
)

func TestParseEmail(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"ann@example.com":                  "ann@example.com",
		" Ann.Lee+owls@EXAMPLE.com ":       "ann.lee+owls@example.com",
		"o'neil@example.com":               "o'neil@example.com",
		"ann@localhost":                    "ann@localhost",
		"jos\u00e9@example.com":            "jos\u00e9@example.com",
		"JOSE\u0301@example.com":           "jos\u00e9@example.com", // another way to type the same
		"ann@b\u00fccher.example":          "ann@b\u00fccher.example",
		strings.Repeat("a", 64) + "@b.com": strings.Repeat("a", 64) + "@b.com",
	} {
		if e, err := account.ParseEmail(text); err != nil || e.Address != want || e.Shown != strings.TrimSpace(text) {
			t.Errorf("%q: %q, %v", text, e.Address, err)
		}
	}
	for _, text := range []string{
		"", "ann", "@example.com", "ann@", "ann@@example.com", "ann@example.com bob@example.com", "ann@example.com,bob@example.com",
		"Ann <ann@example.com>", "<ann@example.com>", "ann@example.com (Ann)", `"ann"@example.com`, `"a\nb"@example.com`,
		"ann@[192.0.2.1]", "ann@example.com\n", "ann\n@example.com", "ann\u200b@example.com", "ann\u202e@example.com", "ann\x00@example.com",
		"\u212aelvin@example.com", "adm\u0130n@example.com", "ann@\u212aelvin.example", // signs that are folded to plain letters
		"ann@exam ple.com", "\xff@example.com", ".ann@example.com", "ann.@example.com", "a..b@example.com", "ann@.com", "ann@example..com",
		strings.Repeat("a", 65) + "@b.com", "a@" + strings.Repeat("b", 254), "mailto:ann@example.com", "undisclosed:;",
	} {
		e, err := account.ParseEmail(text)
		if trimmed := strings.TrimSpace(text); trimmed != text && err == nil && e.Shown == trimmed {
			continue // a line break around it is none in it
		}
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%q is taken as %q: %v", text, e.Address, err)
		}
	}
}

// Whatever is taken for an address is one word, short enough, and compared in a form
// that stays what it is.
func TestAddressesAreStable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[\pL\pM\pN.+_'-]{1,20}@[\pL\pM\pN.-]{1,20}`)).Draw(t, "text")
		e, err := account.ParseEmail(text)
		if err != nil {
			return
		}
		if strings.ContainsAny(e.Shown+e.Address, " \r\n\t\x00<>(),;:\"") || len(e.Address) > 254 || strings.Count(e.Address, "@") != 1 || !utf8.ValidString(e.Address) {
			t.Fatalf("%q is taken as %q", text, e.Address)
		}
		if again, err := account.ParseEmail(e.Address); err != nil || again.Address != e.Address {
			t.Fatalf("%q becomes %q, and then %q, %v", text, e.Address, again.Address, err)
		}
	})
}
