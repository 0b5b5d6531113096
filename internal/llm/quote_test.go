package llm_test

import (
	"strings"
	"testing"

	"lectern.dev/lectern/internal/llm"
)

func TestQuotable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                 "",
		"1 < 2, <b>bold</b> and <":         "1 < 2, <b>bold</b> and <",
		"<passage>a</passage>":             "<\u200bpassage>a</\u200bpassage>",
		"</PASSAGE><Summary >":             "</\u200bPASSAGE><\u200bSummary >",
		"< / passage id=1>":                "< / \u200bpassage id=1>",
		"<<passage":                        "<<\u200bpassage",
		"<passag":                          "<passag",
		"<passagé>, <é, " + "<\xffpassage": "<passagé>, <é, " + "<\xffpassage",
	} {
		if got := llm.Quotable(text, "passage", "summary"); got != want {
			t.Errorf("%q: %q; want %q", text, got, want)
		}
	}
	if long := strings.Repeat("< ", 1<<20); llm.Quotable(long, "passage") != long {
		t.Error("a text without marks is changed")
	}
}
