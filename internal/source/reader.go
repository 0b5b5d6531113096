package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/crash"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/source/extract"
)

// Reader does the one step of an ingest job: a file in the bucket becomes text and
// passages.
type Reader struct {
	DB      postgres.Querier
	Bucket  blob.Store
	Scratch string         // folder for one file of at most 50 MB while it is read; "" is the system's
	Limits  extract.Limits // the zero value is extract.DefaultLimits
}

// Read is a job.Work whose subject is the source. A document that cannot be read
// fails the step with the reason; see also IfFailed.
func (r *Reader) Read(ctx context.Context, run *job.Run) (job.Result, error) {
	s, err := Get(ctx, r.DB, run.Step.Organization, run.Step.Subject)
	if err != nil {
		return job.Result{}, err
	}
	doc, err := r.extract(ctx, s, func(page, pages int) {
		message := fmt.Sprintf("Reading page %d", page)
		if pages > 0 {
			message += fmt.Sprintf(" of %d", pages)
		}
		run.Progress(int64(page), int64(max(page, pages)), message)
	})
	if err != nil {
		return job.Result{}, err
	}
	passages := Cut(doc)
	_, err = r.Bucket.Write(ctx, TextKey(s.ID), strings.NewReader(doc.Text), blob.WriteOptions{ContentType: "text/plain; charset=utf-8"})
	if err != nil {
		return job.Result{}, err
	}
	crash.Point("source.read")
	return job.Result{
		Output: map[string]int{"passages": len(passages)},
		Apply:  func(ctx context.Context, tx pgx.Tx) error { return save(ctx, tx, s, doc, passages) },
	}, nil
}

// extract fetches the upload and reads it.
func (r *Reader) extract(ctx context.Context, s Source, progress func(page, pages int)) (*extract.Document, error) {
	format, ok := extract.FormatOf(s.ContentType, s.Name)
	if !ok {
		return nil, fault.New(fault.Invalid, "Files of this type cannot be read.")
	}
	dir, err := os.MkdirTemp(r.Scratch, "lectern-source-")
	if err != nil {
		return nil, fmt.Errorf("make a scratch folder: %w", err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "document")
	if err := r.fetch(ctx, s, path); err != nil {
		return nil, err
	}
	limits := r.Limits
	if limits == (extract.Limits{}) {
		limits = extract.DefaultLimits
	}
	return extract.Extract(ctx, path, format, limits, progress)
}

// fetch copies the upload into a file. What is larger than was declared is not
// read: its size was what the person was allowed to upload.
func (r *Reader) fetch(ctx context.Context, s Source, path string) error {
	body, info, err := r.Bucket.Open(ctx, s.Object, 0, -1)
	if errors.Is(err, blob.ErrNotFound) {
		return fault.Wrap(fault.Invalid, err, "The uploaded file is gone. Upload it again.")
	}
	if err != nil {
		return err
	}
	defer body.Close()
	if info.Size > s.Size {
		return fault.New(fault.Invalid, "The file is larger than declared: %d bytes came, %d were announced.", info.Size, s.Size)
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("make a scratch file: %w", err)
	}
	_, err = io.Copy(file, io.LimitReader(body, s.Size+1))
	if err = errors.Join(err, file.Close()); errors.Is(err, syscall.ENOSPC) {
		return fault.Wrap(fault.Unavailable, err, "There is not enough space to read the document right now. Try again later.")
	}
	return err
}
