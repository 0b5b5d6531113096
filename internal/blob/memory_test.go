package blob_test

import (
	"errors"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/blob/blobtest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(*testing.T) blobtest.Harness { return blobtest.Harness{Bucket: new(blob.Memory)} })
}

func TestMemoryFails(t *testing.T) {
	t.Parallel()
	var m blob.Memory
	down := errors.New("down")
	m.Fail(down)
	if _, err := m.Write(t.Context(), "k", strings.NewReader("x"), blob.WriteOptions{}); !errors.Is(err, down) {
		t.Errorf("write: %v", err)
	}
	m.Fail(nil)
	if _, err := m.Stat(t.Context(), "k"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("stat: %v", err)
	}
}
