package budget_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/offline"
	"lectern.dev/lectern/internal/openai"
)

func TestPricesThatLecternComesWith(t *testing.T) {
	t.Parallel()
	prices, err := budget.LoadPrices("")
	if err != nil {
		t.Fatal(err)
	}
	for model, kind := range map[string]budget.Kind{
		offline.Model{}.Name(): budget.Tokens, openai.DefaultModel: budget.Tokens, openai.DefaultModel + "-2024-07-18": budget.Tokens,
		openai.DefaultSpeechModel: budget.Speech, "espeak-ng": budget.Speech, "cloud-run": budget.Render,
	} {
		if _, err := prices.Of(kind, model); err != nil {
			t.Error(err)
		}
	}
	for name, p := range prices {
		if _, err := time.Parse(time.DateOnly, p.Read); err != nil || p.Source == "" {
			t.Errorf("%s does not say where and when its price was read", name)
		}
	}
}

func TestOtherPrices(t *testing.T) {
	t.Parallel()
	const more = `{"mine": {"kind": "tokens", "input": 0, "output": 0}, "gpt-4o-mini": {"kind": "tokens", "input": 9, "output": 9}}`
	file := filepath.Join(t.TempDir(), "prices.json")
	if err := os.WriteFile(file, []byte(more), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, setting := range []string{more, file} {
		prices, err := budget.LoadPrices(setting)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := prices.Of(budget.Tokens, "mine"); err != nil || p.Output != 0 {
			t.Errorf("%+v, %v", p, err)
		}
		if p, err := prices.Of(budget.Tokens, "gpt-4o-mini"); err != nil || p.Input != 9 {
			t.Errorf("%+v, %v", p, err)
		}
		if _, err := prices.Of(budget.Tokens, "gpt-4o"); err != nil {
			t.Error(err)
		}
	}
	for name, wrong := range map[string]string{
		"no file":       "/none/prices.json",
		"no kind":       `{"m": {"input": 1, "output": 1}}`,
		"no output":     `{"m": {"kind": "tokens", "input": 1}}`,
		"no input":      `{"m": {"kind": "speech", "output": 1}}`,
		"negative":      `{"m": {"kind": "tokens", "input": -1, "output": 1}}`,
		"too much":      `{"m": {"kind": "tokens", "input": 1e9, "output": 1}}`,
		"a typo":        `{"m": {"kind": "tokens", "input": 1, "output": 1, "outptu": 1}}`,
		"no JSON":       `{`,
		"endless reply": `{"m": {"kind": "tokens", "input": 1, "output": 1, "max_output": -1}}`,
	} {
		if _, err := budget.LoadPrices(wrong); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := (budget.Prices{}).Of(budget.Tokens, "m"); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for _, wrong := range []budget.Settings{{Prices: "{"}, {SoftMicros: 2, HardMicros: 1}, {HardMicros: -1}, {CallsPerJob: -1}} {
		if _, err := wrong.Open(nil); err == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
	if _, err := (budget.Settings{SoftMicros: 1, HardMicros: 2}).Open(nil); err != nil {
		t.Error(err)
	}
}
