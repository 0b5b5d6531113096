package house

import (
	"net"
	"net/url"

	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/postgres"
)

// ledger opens the ledger of this machine. A model whose server runs on the machine
// itself costs nothing, unless there is a price for it; any other needs one.
func (m Models) ledger(db postgres.Querier) (*budget.Ledger, error) {
	settings := budget.Settings{Prices: m.Prices, SoftMicros: m.SoftMicros, HardMicros: m.HardMicros, CallsPerJob: m.CallsPerJob}
	ledger, err := settings.Open(db)
	if err != nil {
		return nil, err
	}
	for _, own := range []struct {
		server, model string
		kind          budget.Kind
	}{
		{m.Writer.BaseURL, m.Writer.Model, budget.Tokens},
		{m.Writer.BackupBaseURL, m.Writer.BackupModel, budget.Tokens},
		{m.Writer.BaseURL, m.SpeechModel, budget.Speech},
	} {
		if _, err := ledger.Prices.Of(own.kind, own.model); err != nil && own.model != "" && here(own.server) {
			ledger.Prices[own.model] = budget.Price{Kind: own.kind, Source: "runs on this machine"}
		}
	}
	return ledger, nil
}

// here tells whether a server runs on this machine.
func here(server string) bool {
	u, err := url.Parse(server)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
