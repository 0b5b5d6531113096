package house

import (
	"testing"

	"lectern.dev/lectern/functions/generate"
	"lectern.dev/lectern/internal/fault"
)

func TestModelsOfThisMachineCostNothing(t *testing.T) {
	t.Parallel()
	for server, free := range map[string]bool{
		"http://127.0.0.1:11434/v1": true, "http://localhost:1/v1": true, "http://[::1]:1/v1": true,
		"https://models.example/v1": false, "https://localhost.example/v1": false, "http://10.0.0.1/v1": false,
	} {
		m := Models{Writer: generate.OpenAI{BaseURL: server, Model: "llama3.2"}, HardMicros: 1}
		ledger, err := m.ledger(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := generate.NewModel(m.Writer, ledger); free != (err == nil) || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", server, err)
		}
	}
	m := Models{Writer: generate.OpenAI{BaseURL: "http://127.0.0.1/v1", Model: "gpt-4o"}, HardMicros: 1}
	if ledger, err := m.ledger(nil); err != nil || ledger.Prices["gpt-4o"].Input == 0 {
		t.Errorf("a price that is known is forgotten: %v", err)
	}
}
