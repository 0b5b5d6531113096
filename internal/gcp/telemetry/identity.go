package telemetry

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
)

// identity finds out who this process is when a token is first wanted, and again until it
// is known. To find out at the start is to wait there for the metadata server, which may
// be slow or down.
type identity struct {
	ctx context.Context // of the process

	mu     sync.Mutex
	source oauth2.TokenSource // nil: not known yet
}

// Token implements oauth2.TokenSource.
func (i *identity) Token() (*oauth2.Token, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.source == nil {
		found, err := google.DefaultTokenSource(i.ctx, googleScope)
		if err != nil {
			return nil, fmt.Errorf("TELEMETRY_PROJECT: %w", err)
		}
		i.source = oauth2.ReuseTokenSource(nil, found)
	}
	return i.source.Token()
}
