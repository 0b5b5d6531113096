package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"lectern.dev/lectern/functions/local/commission"
	"lectern.dev/lectern/functions/local/house"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/source/sample"
)

// sampleFile, in the data folder, holds the sample course's id until it is done. Then
// it is empty: the folder has had its sample course.
const sampleFile = "sample"

// writeSample writes the sample course the first time that a folder is served, by the
// way that every document takes, or goes on with it when the last start did not get far.
func writeSample(ctx context.Context, h *house.House, data string) {
	progress := commission.NewProgress(os.Stdout)
	token, err := h.Token(ctx, account.Local.User)
	var done bool
	if err == nil {
		maker := &commission.Maker{URL: h.URL(), Token: token, Show: progress.Show, Leave: true}
		done, err = makeSample(ctx, h, maker, filepath.Join(data, sampleFile))
		err = errors.Join(err, h.EndToken(context.WithoutCancel(ctx), token)) // the owner's list of devices shall hold their own
	}
	progress.End()
	switch {
	case ctx.Err() != nil: // told to stop; the next start goes on
	case err != nil:
		slog.ErrorContext(ctx, "the sample course was not written", "error", err)
	case done:
		fmt.Println("the sample course is ready:", h.URL())
	}
}

// makeSample tells whether there was anything to do.
func makeSample(ctx context.Context, h *house.House, maker *commission.Maker, note string) (done bool, err error) {
	begun, err := os.ReadFile(note)
	id := string(begun)
	if errors.Is(err, fs.ErrNotExist) { // there may be courses all the same: by -from
		if id, err = maker.Begin(ctx, []commission.Document{document()}, commission.Brief{}); err != nil {
			return false, err
		}
		if err := os.WriteFile(note, []byte(id), 0o600); err != nil {
			return false, err
		}
	} else if err != nil || id == "" {
		return false, err
	} else if err := course.Exists(ctx, h.Pool(), account.Local.Organization, id); fault.Is(err, fault.NotFound) {
		return false, os.WriteFile(note, nil, 0o600) // deleted before it was done: nobody wants it
	}
	if err := maker.Finish(ctx, id, commission.Brief{}); err != nil {
		return false, err
	}
	return true, os.WriteFile(note, nil, 0o600)
}

func document() commission.Document {
	return commission.Document{
		Name: sample.Name, Type: "text/markdown", Size: int64(len(sample.Document)),
		Content: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(sample.Document)), nil },
	}
}
