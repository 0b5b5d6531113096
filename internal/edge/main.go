package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// settings are what the platform gives every function.
type settings struct {
	Port     string     `env:"PORT, default=8080"`      // what is listened on, on every address; set by the platform
	LogLevel slog.Level `env:"LOG_LEVEL, default=INFO"` // the least that is logged: DEBUG, INFO, WARN or ERROR
	Project  string     `env:"GOOGLE_CLOUD_PROJECT"`    // prefix of trace names in the log; empty: no trace links
}

// Main is a function's whole main: it keeps to the memory of its container, builds the
// handler, serves it on $PORT until SIGTERM, lets requests in flight finish, and exits. A
// wrong setting or a port that is taken ends the process with code 1 before anything is
// served.
func Main(build Build) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	limitMemory()
	if err := run(ctx, build); err != nil {
		fmt.Fprintln(os.Stderr, "cannot start:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, build Build) error {
	var s settings
	if err := Load(ctx, &s); err != nil {
		return err
	}
	slog.SetDefault(Logger(os.Stdout, s.LogLevel, s.Project))
	handler, err := build(ctx)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("", s.Port))
	if err != nil {
		return err
	}
	return Serve(ctx, listener, handler)
}

// sendBuffer is what the system keeps of an answer for a client that does not take it,
// in bytes: it makes up to 4 MB of it by itself, a thousand times for a thousand slow
// readers. The system doubles it, for what it needs beside the bytes.
const sendBuffer = 32 << 10

// bound bounds what is kept for a connection.
func bound(ctx context.Context, c net.Conn) context.Context {
	if c, ok := c.(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = c.SetWriteBuffer(sendBuffer) // a connection that is gone is found so soon enough
	}
	return ctx
}

// Serve answers on the listener until ctx ends, then drains: it accepts nothing
// new, closes Draining, waits at most 8 s for requests in flight and for the
// handler's Drain (see Options), cancels what is left, and has the spans of what has ended
// sent (see Traced). HTTP/1 and cleartext HTTP/2 are both spoken. A drain that had to cut
// something is logged, not returned: the process was told to stop and did.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	going := context.WithoutCancel(ctx)
	draining, drain := context.WithCancel(going)
	defer drain()
	going, cut := context.WithCancel(going)
	defer cut()
	streams := &lines{cut: going}
	base := context.WithValue(context.WithValue(going, drainKey{}, draining), linesKey{}, streams)
	server := &http.Server{
		Handler:           handler,
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		Protocols:         new(http.Protocols),
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
		ConnContext:       bound,
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	drain()
	limit, cancel := context.WithTimeout(base, drainTimeout)
	defer cancel()
	var finishing sync.WaitGroup
	if d, ok := handler.(interface{ Drain(context.Context) }); ok {
		finishing.Go(func() { d.Drain(limit) })
	}
	err := server.Shutdown(limit)
	if err == nil {
		err = streams.wait(limit)
	}
	finishing.Wait()
	if errors.Is(err, context.DeadlineExceeded) {
		slog.WarnContext(ctx, "requests were cut at the end of the drain", "limit", drainTimeout.String())
		cut()
		err = server.Close()
	}
	if f, ok := handler.(interface{ Flush(context.Context) }); ok {
		f.Flush(base)
	}
	return err
}
