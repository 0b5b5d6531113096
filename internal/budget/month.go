package budget

import (
	"context"
	"fmt"
	"time"

	"lectern.dev/lectern/internal/postgres"
)

// Month is what an organisation may spend in the present month, and has spent.
type Month struct {
	Month string    `json:"month" example:"2026-11" doc:"in UTC"`
	Ends  time.Time `json:"ends" doc:"when the next month begins, with its whole budget"`
	Sums
	Use     []Use  `json:"use" doc:"what the month was used for; every kind is there"`
	Warning string `json:"warning,omitempty" doc:"there when the soft limit is passed"`
}

// Use is how much of a kind was used.
type Use struct {
	Kind   Kind   `json:"kind" enum:"tokens,embedding,speech,render" doc:"language models, search by meaning, narration, making videos"`
	Input  int64  `json:"input_units" doc:"tokens in, characters spoken, or seconds of one processor"`
	Output int64  `json:"output_units" doc:"tokens out, or seconds of sound"`
	Micros int64  `json:"micros" doc:"millionths of a US dollar"`
	USD    string `json:"usd" example:"0.0125"`
}

// Month reads how an organisation stands.
func (l *Ledger) Month(ctx context.Context, organization string) (Month, error) {
	var begins time.Time
	var warned bool
	var soft, hard, spent, reserved int64
	use := []Use{{Kind: Tokens}, {Kind: Embedding}, {Kind: Speech}, {Kind: Render}}
	err := l.DB.QueryRow(ctx, `
		WITH present AS (
			SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date AS month,
				coalesce(b.soft_micros, $2) AS soft, coalesce(b.hard_micros, $3) AS hard
			FROM (SELECT) AS one LEFT JOIN budgets b ON b.organization_id = $1
		)
		SELECT p.month, p.soft, p.hard, coalesce(m.spent_micros, 0), coalesce(m.reserved_micros, 0), m.warned_at IS NOT NULL,
			coalesce(m.tokens_in, 0), coalesce(m.tokens_out, 0), coalesce(m.tokens_micros, 0),
			coalesce(m.embedding_tokens, 0), coalesce(m.embedding_micros, 0),
			coalesce(m.speech_characters, 0), coalesce(m.speech_seconds, 0), coalesce(m.speech_micros, 0),
			coalesce(m.render_seconds, 0), coalesce(m.render_micros, 0)
		FROM present p LEFT JOIN ledger_months m ON m.organization_id = $1 AND m.month = p.month`,
		organization, l.Defaults.Soft, l.Defaults.Hard).
		Scan(&begins, &soft, &hard, &spent, &reserved, &warned,
			&use[0].Input, &use[0].Output, &use[0].Micros, &use[1].Input, &use[1].Micros,
			&use[2].Input, &use[2].Output, &use[2].Micros, &use[3].Input, &use[3].Micros)
	if err != nil {
		return Month{}, postgres.Fault(err)
	}
	for i := range use {
		use[i].USD = usd(use[i].Micros)
	}
	m := Month{Month: begins.Format("2006-01"), Ends: begins.AddDate(0, 1, 0), Sums: sumsOf(soft, hard, spent, reserved), Use: use}
	if warned && spent >= soft {
		m.Warning = fmt.Sprintf("$%s of this month's $%s are spent. When all is spent, jobs wait and chat stops until the operator raises the budget or a new month begins.",
			usd(spent), usd(hard))
	}
	return m, nil
}
