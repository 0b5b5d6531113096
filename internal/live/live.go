// Package live is the port to what people watch while work goes on: one small
// document per job, always the newest, never the truth (that is Postgres).
package live

import (
	"context"
	"encoding/json"
	"time"
)

// Board shows documents.
type Board interface {
	// Publish replaces the document unless a newer version is there already; then it does nothing.
	Publish(ctx context.Context, d Document) error
	// Watch gives the present document at once, when there is one, and each newer one after
	// it. Versions between may be skipped. The channel is closed when ctx ends; a silent
	// outage looks like no news, so the caller re-reads the truth now and then.
	Watch(ctx context.Context, id string) (<-chan Document, error)
	// Remove takes the document down.
	Remove(ctx context.Context, id string) error
}

// Document is what is shown: at most 64 KiB.
type Document struct {
	ID      string
	Version int64 // from the database row; rises with every change
	Body    json.RawMessage
	Expires time.Time // after this it may vanish by itself
}
