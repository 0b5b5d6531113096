// Package firestore shows live documents through Firestore.
//
// Rules of the service that shape it: an outage is silent, since a Listen that
// lost its server gives no error and comes back by itself at some time, so the
// document is also read now and then; a connection carries 100 streams, so one
// Listen per document serves all who watch it in this process; a document id
// has no slash and is not "." or "__x__", so ids are encoded.
package firestore

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"sync"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/live"
)

const (
	callTime    = 10 * time.Second
	maxID       = 1500 // bytes that Firestore takes
	connections = 4    // of 100 streams each

	// A connection that died without a word, as while the process was frozen, is noticed:
	// its streams would be silent for ever. Google's own client for Python asks as often.
	// One without streams is left alone.
	pingAfter  = 30 * time.Second
	pongWithin = 20 * time.Second
)

// Config says where the documents are.
type Config struct {
	Project    string
	Database   string        `env:"FIRESTORE_DATABASE"` // id of the Firestore database that progress is shown through; empty: (default)
	Collection string        // empty: "live"; its field "expires" has the TTL policy, its field "body" no index
	Reread     time.Duration // how often a watched document is read beside listening; 0: 30 s
}

// Board is a live.Board on Firestore. It is safe for concurrent use.
type Board struct {
	client     *firestore.Client
	collection *firestore.CollectionRef
	reread     time.Duration

	mu     sync.Mutex
	topics map[string]*topic // by document id; those that somebody watches
}

var _ live.Board = (*Board)(nil)

// entry is a document as it is stored.
type entry struct {
	ID      string    `firestore:"id"`
	Version int64     `firestore:"version"`
	Body    []byte    `firestore:"body"`
	Expires time.Time `firestore:"expires"`
}

// Open makes the client with the ambient credentials, or against
// FIRESTORE_EMULATOR_HOST when that is set. It connects at first use.
func Open(ctx context.Context, cfg Config, opts ...option.ClientOption) (*Board, error) {
	if cfg.Project == "" {
		return nil, fault.New(fault.Invalid, "The project of the Firestore database is missing.")
	}
	opts = append([]option.ClientOption{option.WithGRPCConnectionPool(connections)}, opts...)
	if os.Getenv("FIRESTORE_EMULATOR_HOST") == "" { // which takes it for an attack
		opts = append(opts, option.WithGRPCDialOption(grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pongWithin})))
	}
	client, err := firestore.NewClientWithDatabase(ctx, cfg.Project, cmp.Or(cfg.Database, firestore.DefaultDatabaseID), opts...)
	if err != nil {
		return nil, fmt.Errorf("make the client of Firestore: %w", err)
	}
	return &Board{
		client: client, collection: client.Collection(cmp.Or(cfg.Collection, "live")),
		reread: cmp.Or(cfg.Reread, 30*time.Second), topics: make(map[string]*topic),
	}, nil
}

// Close lets go of the connections; who watches hears no more.
func (b *Board) Close() error { return b.client.Close() }

// Publish implements live.Board. The newer version wins by preconditions: no
// lock is held, and of two that meet one looks again.
func (b *Board) Publish(ctx context.Context, d live.Document) error {
	if err := live.Check(d); err != nil {
		return err
	}
	ref, err := b.ref(d.ID)
	if err != nil {
		return err
	}
	calling, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	e := entry{ID: d.ID, Version: d.Version, Body: d.Body, Expires: d.Expires}
	for {
		done, err := replace(calling, ref, e)
		switch {
		case err != nil:
			return failed(ctx, "publish", err)
		case done:
			return nil
		}
	}
}

// replace tries once; it is not done when somebody else wrote in between.
func replace(ctx context.Context, ref *firestore.DocumentRef, e entry) (done bool, err error) {
	present, err := ref.Get(ctx)
	if status.Code(err) == codes.NotFound {
		_, err = ref.Create(ctx, e)
		return met(err)
	}
	if err != nil {
		return false, err
	}
	if version, ok := present.Data()["version"].(int64); ok && version >= e.Version {
		return true, nil
	}
	_, err = ref.Update(ctx, []firestore.Update{
		{Path: "id", Value: e.ID}, {Path: "version", Value: e.Version}, {Path: "body", Value: e.Body}, {Path: "expires", Value: e.Expires},
	}, firestore.LastUpdateTime(present.UpdateTime))
	return met(err)
}

// met tells whether a precondition held.
func met(err error) (bool, error) {
	switch status.Code(err) {
	case codes.AlreadyExists, codes.FailedPrecondition, codes.NotFound, codes.Aborted:
		return false, nil
	}
	return err == nil, err
}

// Remove implements live.Board.
func (b *Board) Remove(ctx context.Context, id string) error {
	ref, err := b.ref(id)
	if err != nil {
		return err
	}
	calling, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if _, err := ref.Delete(calling); err != nil {
		return failed(ctx, "remove", err)
	}
	return nil
}

// ref encodes an id: a first "=" keeps it from being "." or "__x__".
func (b *Board) ref(id string) (*firestore.DocumentRef, error) {
	encoded := "=" + url.QueryEscape(id)
	if id == "" || len(encoded) > maxID {
		return nil, fault.New(fault.Invalid, "A live document's id is empty or too long.")
	}
	return b.collection.Doc(encoded), nil
}

// failed gives err a kind. caller is the context of the caller, whose end is the caller's own affair.
func failed(caller context.Context, verb string, err error) error {
	if cause := caller.Err(); cause != nil {
		return fmt.Errorf("%s: %w", verb, cause)
	}
	switch status.Code(err) {
	case codes.PermissionDenied, codes.InvalidArgument, codes.Unauthenticated, codes.Unimplemented:
		return fmt.Errorf("%s a live document: %w", verb, err)
	}
	return fault.Wrap(fault.Unavailable, err, "The progress cannot be shown right now.")
}
