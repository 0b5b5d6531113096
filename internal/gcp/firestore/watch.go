package firestore

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"cloud.google.com/go/firestore"

	"lectern.dev/lectern/internal/live"
)

// topic is a document that is watched: one Listen, many watchers. Its fields are
// guarded by Board.mu.
type topic struct {
	watchers []chan live.Document
	last     live.Document // Version 0: none seen
	stop     context.CancelFunc
}

// Watch implements live.Board.
func (b *Board) Watch(ctx context.Context, id string) (<-chan live.Document, error) {
	ref, err := b.ref(id)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	t, ok := b.topics[id]
	if !ok {
		// The Listen outlives this watcher when others come.
		listening, stop := context.WithCancel(context.WithoutCancel(ctx))
		t = &topic{stop: stop}
		b.topics[id] = t
		go b.follow(listening, ref, t)
	}
	news := make(chan live.Document, 1)
	t.watchers = append(t.watchers, news)
	if t.last.Version > 0 {
		news <- t.last
	}
	context.AfterFunc(ctx, func() { b.leave(id, t, news) })
	return news, nil
}

func (b *Board) leave(id string, t *topic, news chan live.Document) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t.watchers = slices.DeleteFunc(t.watchers, func(c chan live.Document) bool { return c == news })
	close(news)
	if len(t.watchers) == 0 {
		t.stop()
		delete(b.topics, id)
	}
}

// follow listens until nobody watches any more. When nothing is heard for a
// while it reads the document; a Listen that missed what is there is replaced.
func (b *Board) follow(ctx context.Context, ref *firestore.DocumentRef, t *topic) {
	for ctx.Err() == nil {
		listening, stop := context.WithCancel(ctx)
		heard := make(chan *firestore.DocumentSnapshot)
		go listen(listening, ref, heard)
		b.relay(listening, ref, t, heard)
		stop()
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// relay hands on what is heard; it returns when the Listen ended or is deaf.
func (b *Board) relay(ctx context.Context, ref *firestore.DocumentRef, t *topic, heard <-chan *firestore.DocumentSnapshot) {
	for {
		select {
		case snapshot, open := <-heard:
			if !open {
				return
			}
			b.show(t, snapshot)
		case <-time.After(b.reread):
			if b.behind(ctx, ref, t) {
				slog.WarnContext(ctx, "a Firestore listener missed a change; it is replaced", "document", ref.ID)
				return
			}
		}
	}
}

// behind reads the document and tells whether the Listen should have told of it.
func (b *Board) behind(ctx context.Context, ref *firestore.DocumentRef, t *topic) bool {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	snapshot, err := ref.Get(ctx)
	return err == nil && b.show(t, snapshot)
}

// show tells the watchers of a newer version, and whether it was one. After a
// removal any version is new.
func (b *Board) show(t *topic, snapshot *firestore.DocumentSnapshot) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !snapshot.Exists() {
		t.last = live.Document{}
		return false
	}
	var e entry
	if err := snapshot.DataTo(&e); err != nil || e.Version <= t.last.Version {
		return false
	}
	t.last = live.Document{ID: e.ID, Version: e.Version, Body: e.Body, Expires: e.Expires}
	for _, news := range t.watchers {
		live.Offer(news, t.last)
	}
	return true
}

// listen gives every snapshot until the Listen fails for good or ctx ends.
func listen(ctx context.Context, ref *firestore.DocumentRef, heard chan<- *firestore.DocumentSnapshot) {
	defer close(heard)
	snapshots := ref.Snapshots(ctx)
	defer snapshots.Stop()
	for {
		snapshot, err := snapshots.Next()
		if err != nil {
			return
		}
		select {
		case heard <- snapshot:
		case <-ctx.Done():
			return
		}
	}
}
