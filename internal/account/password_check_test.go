package account_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/fault"
)

func TestPasswordsThatAreTaken(t *testing.T) {
	t.Parallel()
	for _, password := range []string{
		"correct horse battery staple", "8zeichen", "пароль для дома", "密碼密碼不好猜對吧", "zwölf Katzen",
		strings.Repeat("ab1 ", 63) + "end.", strings.Repeat("ä#", 127) + "xy", "tab\tand\x00nul", "\U0001F980\U0001F40B\U0001F433\U0001F419\U0001F991\U0001F990\U0001F99E\U0001F41A",
		"abcdefgi", "aaaaaaab",
	} {
		if err := account.CheckPassword(password, "erika@example.org", "Erika Muster"); err != nil {
			t.Errorf("%q: %v", password, err)
		}
	}
}

func TestPasswordsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ password, want string }{
		"empty":                     {"", "at least 8"},
		"seven characters":          {"xK3#pQ9", "at least 8"},
		"seven of many bytes":       {"密碼不好猜對吧", "at least 8"},
		"257 characters":            {strings.Repeat("ab1x.", 51) + "xy", "at most 256"},
		"not UTF-8":                 {"correct\xffhorse", "not valid"},
		"common":                    {"password1", "first that are tried"},
		"common, in capitals":       {"PassWord1", "first that are tried"},
		"one character":             {strings.Repeat("a", 40), "first that are tried"},
		"two in turn":               {"xyxyxyxyx", "first that are tried"},
		"four in turn":              {"1a2b1a2b1a2b", "first that are tried"},
		"digits upwards":            {"456789012345", "first that are tried"},
		"digits downwards":          {"3210987654", "first that are tried"},
		"the alphabet":              {"abcdefghijklmnop", "first that are tried"},
		"the address":               {"Erika@Example.org", "your own"},
		"before its @":              {"erika.muster", "your own"},
		"the name":                  {"Erika Muster", "your own"},
		"the name, run together":    {"erikamuster", "your own"},
		"the name, with other sign": {"erika-muster!", "your own"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := []string{"erika@example.org", "Erika Muster"}
			if name == "before its @" {
				own = []string{"erika.muster@example.org", ""}
			}
			err := account.CheckPassword(c.password, own...)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Message(err), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// Every line of the list is found, and the list is as the search needs it.
func TestEveryCommonPasswordIsRefused(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("password_common.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) < 10_000 || !slices.IsSorted(lines) || len(slices.Compact(slices.Clone(lines))) != len(lines) {
		t.Fatalf("%d lines, sorted: %t", len(lines), slices.IsSorted(lines))
	}
	for _, line := range lines {
		if line != strings.ToLower(line) || len(line) < account.ShortestPassword {
			t.Errorf("%q is never asked for", line)
		}
		if err := account.CheckPassword(line); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func BenchmarkCheckPassword(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := account.CheckPassword("correct horse battery staple"); err != nil {
			b.Fatal(err)
		}
	}
}
