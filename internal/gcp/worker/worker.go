// Package worker opens what every function stands on that queues, events or the
// scheduler call: who may, the database of all organisations, the queue and the board.
package worker

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/edge/oidc"
	"lectern.dev/lectern/internal/gcp/cloudsql"
	"lectern.dev/lectern/internal/gcp/firestore"
	"lectern.dev/lectern/internal/gcp/tasks"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/queue"
)

// Settings are what such a function reads from its environment.
type Settings struct {
	Database cloudsql.Settings
	Queue    tasks.Config
	Board    firestore.Config
	OIDC     oidc.Config // who may call this function
}

// Parts are what it works with.
type Parts struct {
	Callers edge.Callers
	DB      *pgxpool.Pool // sees every organisation
	Queue   queue.Queue
	Board   live.Board
}

// Open checks the settings and opens the parts; functions are where the tasks go that
// this one sends. Every wrong setting is in the error.
func (s Settings) Open(ctx context.Context, functions map[queue.Target]tasks.Function) (Parts, error) {
	callers, err1 := oidc.New(s.OIDC)
	db, err2 := s.Database.Open(ctx, postgres.Options{Role: postgres.System})
	s.Queue.Functions = functions
	line, err3 := tasks.Open(ctx, s.Queue)
	s.Board.Project = s.Queue.Project
	board, err4 := firestore.Open(ctx, s.Board)
	return Parts{callers, db, line, board}, errors.Join(err1, err2, err3, err4)
}
