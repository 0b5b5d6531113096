package auth

import (
	"log/slog"
	"os"
	"testing"
)

// Thousands of requests would each write a line.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}
