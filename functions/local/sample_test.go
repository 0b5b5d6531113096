package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"lectern.dev/lectern/functions/local/commission"
	"lectern.dev/lectern/functions/local/house"
)

// A sample course that was deleted before it was done is not asked for again at
// every start.
func TestADeletedSampleIsForgotten(t *testing.T) {
	t.Parallel()
	needPostgres(t)
	data := dataFolder(t)
	h, err := house.Open(t.Context(), house.Options{Addr: "127.0.0.1:0", Data: data, Throwaway: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	note := filepath.Join(data, sampleFile)
	if err := os.WriteFile(note, []byte("crs_deleted"), 0o600); err != nil {
		t.Fatal(err)
	}
	done, err := makeSample(t.Context(), h, &commission.Maker{URL: h.URL()}, note)
	if done || err != nil {
		t.Errorf("%v, %v", done, err)
	}
	if _, err := os.Stat(note); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the note is still there: %v", err)
	}
}
