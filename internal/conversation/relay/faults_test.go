package relay_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"lectern.dev/lectern/internal/postgres"
)

// process is the way of a process to its database. It can be frozen and go on, as
// with SIGSTOP and SIGCONT, and it can be killed: then nothing it asks for comes
// back.
type process struct {
	postgres.Beginner
	mu     sync.Mutex
	frozen chan struct{} // closed when it goes on; nil: it runs
	killed bool
	// cut, when set, is asked about each append: true loses its outcome, not the
	// events. It can wait until they are there.
	cut func(wait func()) bool

	looks atomic.Int64 // at answers of other processes, that came to something
}

func (p *process) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = make(chan struct{})
}

func (p *process) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.frozen)
	p.frozen = nil
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killed = true
}

func (p *process) gone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.killed
}

// alive waits while the process is frozen. A killed one never hears anything.
func (p *process) alive() error {
	for {
		p.mu.Lock()
		frozen, killed := p.frozen, p.killed
		p.mu.Unlock()
		switch {
		case killed:
			return postgres.Fault(context.Canceled) // nobody is there to see it
		case frozen == nil:
			return nil
		}
		<-frozen
	}
}

// awake is ctx as the process feels it: while it is frozen its time does not pass.
func (p *process) awake(ctx context.Context) context.Context {
	felt, end := context.WithCancelCause(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() {
		_ = p.alive()
		end(context.Cause(ctx))
	})
	return felt
}

func (p *process) Exec(ctx context.Context, sql string, args ...any) (tag pgconn.CommandTag, err error) {
	if err := p.alive(); err != nil {
		return tag, err
	}
	return p.Beginner.Exec(ctx, sql, args...)
}

func (p *process) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := p.alive(); err != nil {
		return nil, err
	}
	return p.Beginner.Query(ctx, sql, args...)
}

func (p *process) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if err := p.alive(); err != nil {
		return noRow{err}
	}
	return p.Beginner.QueryRow(ctx, sql, args...)
}

func (p *process) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if err := p.alive(); err != nil {
		return pgx.FailedBatchResults(b, err)
	}
	results := p.Beginner.SendBatch(p.awake(ctx), b)
	if err := p.alive(); err != nil { // it went between the commit and our hearing of it
		_ = results.Close()
		return pgx.FailedBatchResults(b, err)
	}
	last := b.QueuedQueries[len(b.QueuedQueries)-1].SQL
	if strings.Contains(last, "CROSS JOIN LATERAL") && strings.Contains(last, "stream_events s") {
		return &looking{results, p}
	}
	p.mu.Lock()
	cut := p.cut != nil && strings.Contains(last, "INSERT INTO stream_events") && p.cut(func() { _ = results.Close() })
	p.mu.Unlock()
	if cut {
		_ = results.Close()
		return pgx.FailedBatchResults(b, context.DeadlineExceeded)
	}
	return results
}

// looking is a look at answers of other processes.
type looking struct {
	pgx.BatchResults
	p *process
}

func (l *looking) Close() error {
	err := l.BatchResults.Close()
	if err == nil {
		l.p.looks.Add(1)
	}
	return err
}
