package house

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/gcp/firestore"
	"lectern.dev/lectern/internal/gcp/tasks"
	tasksemulator "lectern.dev/lectern/internal/gcp/tasks/emulator"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/queue"
)

// ErrInUse says that another process has the data folder.
var ErrInUse = errors.New("is used by another Lectern that is running; stop it or choose another -data folder")

// lockData keeps a second process out of the folder. The lock ends with the process.
func (h *House) lockData(context.Context) error {
	if err := os.MkdirAll(h.opts.Data, 0o755); err != nil {
		return fmt.Errorf("the data folder cannot be made: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(h.opts.Data, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("the data folder cannot be used: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("the data folder %s %w", h.opts.Data, ErrInUse)
		}
		return fmt.Errorf("the data folder cannot be locked: %w", err)
	}
	h.closing(file.Close)
	return nil
}

// openTracing sends spans to the collector that the environment names, if it names one.
func (h *House) openTracing(ctx context.Context) error {
	if h.tracing = h.opts.Tracing; h.tracing.Tracers != nil {
		return nil
	}
	tracing, err := h.models.Telemetry.Open(ctx, "lectern")
	h.tracing = edge.Tracing(tracing)
	return err
}

// openQueue starts the queues with the limits of one machine. Tasks are in memory
// only: what a restart loses the first sweep sends again.
func (h *House) openQueue(ctx context.Context) error {
	cores := runtime.GOMAXPROCS(0)
	limits := func(atOnce int) tasksemulator.QueueOptions {
		return tasksemulator.QueueOptions{MaxConcurrent: atOnce, MaxAttempts: -1, MinBackoff: time.Second, MaxBackoff: 30 * time.Second}
	}
	opts := h.opts.Tasks
	opts.Issuer = h.issuer
	opts.Queues = map[string]tasksemulator.QueueOptions{
		string(queue.Generate): limits(2 * cores), // these wait for a model
		string(queue.Ingest):   limits(cores),
		string(queue.Render):   limits(max(1, cores/2)), // a film uses several cores by itself
	}
	service, err := tasksemulator.Start(opts)
	if err != nil {
		return err
	}
	h.closing(func() error { service.Close(); return nil })
	workers := make(map[queue.Target]tasks.Function)
	for _, target := range []queue.Target{queue.Generate, queue.Ingest, queue.Render} {
		workers[target] = tasks.Function{URL: h.inside("/" + string(target) + "/").String(), Deadline: 30 * time.Minute}
	}
	if h.queue, err = service.Open(ctx, tasks.Config{Functions: workers, ServiceAccount: queueAccount}); err != nil {
		return err
	}
	h.closing(h.queue.Close)
	return nil
}

// openBoard uses Firestore's emulator when the environment names one.
func (h *House) openBoard(ctx context.Context) error {
	if os.Getenv("FIRESTORE_EMULATOR_HOST") == "" {
		h.board = new(live.Memory)
		return nil
	}
	board, err := firestore.Open(ctx, firestore.Config{Project: "demo-lectern"})
	if err != nil {
		return err
	}
	h.board = board
	h.closing(board.Close)
	return nil
}
