package house

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// keepSweeping is the scheduler: it calls the sweep now, which sends again the
// tasks that the last exit lost, and then at intervals.
func (h *House) keepSweeping(ctx context.Context) error {
	every := time.NewTicker(cmp.Or(h.opts.Sweep, 30*time.Second))
	defer every.Stop()
	for {
		if err := h.sweepOnce(ctx); err != nil && ctx.Err() == nil {
			slog.WarnContext(ctx, "the sweep failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
	}
}

func (h *House) sweepOnce(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.inside("/sweep/").String(), nil)
	if err != nil {
		return err
	}
	res, err := h.issuer.Client(nil, schedulerAccount, h.audience()).Do(req)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		err = errors.New(res.Status) // why is in the log
	}
	return errors.Join(err, res.Body.Close())
}
