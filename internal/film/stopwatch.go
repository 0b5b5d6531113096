package film

import (
	"context"
	"log/slog"
	"os"
	"syscall"
	"time"

	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/tally"
)

// stopwatch measures how long a film takes to be made.
type stopwatch struct {
	began time.Time
	cpu   time.Duration
}

func startStopwatch() stopwatch { return stopwatch{time.Now(), processorTime()} }

// processorTime is what this process and the programs that it has run have used. Where one
// film is made at a time, as in production, what is added meanwhile is the film's.
func processorTime() time.Duration {
	var used time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			used += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return used
}

// log writes the one line about a film that was made and uploaded: ids and figures, and
// nothing of what it shows or says.
func (w stopwatch) log(ctx context.Context, step job.Step, film *Film, sums *tally.Tally) {
	wall := time.Since(w.began)
	attrs := []slog.Attr{
		slog.String("organization", step.Organization),
		slog.String("job", step.Job),
		slog.String("step", step.Name),
		slog.Int64("attempt", step.Attempt),
		slog.Int("slides", len(film.Chapters)),
		slog.Float64("lesson_seconds", film.Duration),
		slog.Float64("wall_seconds", wall.Seconds()),
		slog.Float64("cpu_seconds", (processorTime() - w.cpu).Seconds()),
		slog.Float64("realtime_factor", film.Duration/wall.Seconds()), // 10: a lesson of ten minutes takes one
	}
	if info, err := os.Stat(film.Video); err == nil {
		attrs = append(attrs, slog.Int64("bytes", info.Size()))
	}
	slog.LogAttrs(ctx, slog.LevelInfo, "film", append(attrs, sums.Attrs()...)...)
}
