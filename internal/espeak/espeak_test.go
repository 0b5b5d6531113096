package espeak_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/espeak"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/speech"
	"lectern.dev/lectern/internal/speech/speechtest"
)

func TestSpeaker(t *testing.T) {
	t.Parallel()
	need(t)
	speechtest.Run(t, espeak.Speaker{})
}

// A machine without the program will not have it at the next try either.
func TestMissingProgram(t *testing.T) {
	t.Parallel()
	_, err := espeak.Speaker{Program: "no-such-espeak"}.Speak(t.Context(), speech.Request{Text: "Hello.", Language: "en"})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Message(err), "not installed") {
		t.Error(err)
	}
}

// Every voice that we ask for exists in the installed program.
func TestVoicesExist(t *testing.T) {
	t.Parallel()
	need(t)
	out, err := exec.CommandContext(t.Context(), "espeak-ng", "--voices").Output()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 1 {
			known[f[1]] = true
		}
	}
	for _, lang := range strings.Fields(espeak.Languages()) {
		v := strings.Split(espeak.Speaker{}.Voice(lang), "/")[1]
		if !known[v] {
			t.Errorf("language %s: espeak-ng has no voice %q", lang, v)
		}
	}
}

func TestVoice(t *testing.T) {
	t.Parallel()
	for lang, want := range map[string]string{
		"en": "en-us", "en-GB": "en-gb", "en-ZA": "en-us", "pt-BR": "pt-br", "pt-PT": "pt", "zh-Hant": "cmn",
		"de-AT": "de", "tlh": "en-us", "": "en-us", "-": "en-us", "../x": "en-us", "a b": "en-us",
	} {
		if got := (espeak.Speaker{}).Voice(lang); got != "espeak-ng/"+want+"/160" {
			t.Errorf("%s: got %s, want %s", lang, got, want)
		}
	}
}

func need(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("espeak-ng"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}
