// Package commission does the whole job for somebody who has documents and wants a
// course: it hands the documents to the API, waits until they are read, the course
// is written and its lessons are filmed, and puts all of it into a folder.
package commission

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/source"
)

// contentTypes are the documents that can be read, by the end of their names.
var contentTypes = map[string]string{
	".md":   "text/markdown",
	".txt":  "text/plain",
	".html": "text/html",
	".pdf":  "application/pdf",
	".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}

const (
	maxFile = 50 << 20 // bytes of a document
	beat    = 250 * time.Millisecond
)

// Brief says what course is wanted; what is absent comes from the documents.
type Brief struct {
	Title    string `json:"title,omitempty"`
	Audience string `json:"audience,omitempty"`
	Language string `json:"language,omitempty"` // BCP 47
	Lessons  int    `json:"lessons,omitempty"`
	// TitleFromSource lets the document give the title when there is none.
	TitleFromSource bool `json:"title_from_source,omitempty"`
}

// Document is something to make a course from.
type Document struct {
	Name    string // file name with a known ending
	Type    string // content type
	Size    int64  // bytes
	Content func() (io.ReadCloser, error)
}

// File checks that a file can be a source and describes it.
func File(path string) (Document, error) {
	name := filepath.Base(path)
	contentType, ok := contentTypes[strings.ToLower(filepath.Ext(name))]
	if !ok {
		return Document{}, fmt.Errorf("%s is not a document that can be read: .md, .txt, .html, .pdf, .docx or .pptx", path)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return Document{}, fmt.Errorf("%s cannot be read: %w", path, unwrapPath(err))
	case !info.Mode().IsRegular():
		return Document{}, fmt.Errorf("%s is not a file", path)
	case info.Size() == 0:
		return Document{}, fmt.Errorf("%s is empty", path)
	case info.Size() > maxFile:
		return Document{}, fmt.Errorf("%s has %d MB; at most %d MB are read", path, info.Size()>>20, maxFile>>20)
	}
	return Document{Name: name, Type: contentType, Size: info.Size(), Content: func() (io.ReadCloser, error) { return os.Open(path) }}, nil
}

// Maker makes courses through the API.
type Maker struct {
	URL    string       // of the API: "http://host:port"
	Token  string       // who asks: a bearer token
	Client *http.Client // nil: http.DefaultClient
	Show   Show         // hears what goes on; nil: nobody
	// Leave lets a job go on when ctx ends while it is followed; else it is canceled.
	Leave bool
}

// Show hears how far a stage is. total 0 means that nobody knows; left is an
// estimate of what remains of the stage, nil when there is none.
type Show func(stage, message string, done, total int64, left *time.Duration)

// Begin makes a course and hands over its documents.
func (m *Maker) Begin(ctx context.Context, documents []Document, brief Brief) (id string, err error) {
	title := brief.Title
	if title == "" {
		title = strings.TrimSuffix(documents[0].Name, filepath.Ext(documents[0].Name))
	}
	made, err := call[course.Course](ctx, m, http.MethodPost, "/v1/courses", course.Fields{Title: title, Language: brief.Language})
	if err != nil {
		return "", err
	}
	for i, d := range documents {
		m.show("Reading", "Handing over "+d.Name, int64(i), int64(len(documents)), nil)
		if err := m.upload(ctx, made.ID, d); err != nil {
			return "", fmt.Errorf("%s: %w", d.Name, err)
		}
	}
	return made.ID, nil
}

// Finish waits until the documents are read, then lets the course be written and
// filmed. It may be called again: what is done is not done twice.
func (m *Maker) Finish(ctx context.Context, id string, brief Brief) error {
	if err := m.Read(ctx, id); err != nil {
		return err
	}
	path := "/v1/courses/" + url.PathEscape(id)
	brief.TitleFromSource = brief.Title == ""
	if err := m.do(ctx, "Writing", path+"/generations", brief); err != nil {
		return err
	}
	return m.do(ctx, "Filming", path+"/renders", nil)
}

// upload puts a document into the bucket by the URL that the API signs, as a browser does.
func (m *Maker) upload(ctx context.Context, course string, d Document) error {
	type signed struct {
		URL     string            `json:"url"`
		Method  string            `json:"method"`
		Headers map[string]string `json:"headers"`
	}
	answer, err := call[struct {
		Upload signed `json:"upload"`
	}](ctx, m, http.MethodPost, "/v1/courses/"+url.PathEscape(course)+"/sources",
		map[string]any{"name": d.Name, "content_type": d.Type, "size": d.Size})
	if err != nil {
		return err
	}
	content, err := d.Content()
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	req, err := http.NewRequestWithContext(ctx, answer.Upload.Method, answer.Upload.URL, content)
	if err != nil {
		return err
	}
	req.ContentLength = d.Size
	for name, value := range answer.Upload.Headers {
		req.Header.Set(name, value)
	}
	res, err := m.client().Do(req)
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the bucket did not take it: %s", res.Status)
	}
	return nil
}

// Read waits until every source is read; one that cannot be is an error with its reason.
func (m *Maker) Read(ctx context.Context, course string) error {
	for {
		all, err := call[items[source.Source]](ctx, m, http.MethodGet, "/v1/courses/"+url.PathEscape(course)+"/sources?limit=100", nil)
		if err != nil {
			return err
		}
		ready, message := int64(0), ""
		for _, s := range all.Items {
			switch s.State {
			case source.Ready:
				ready++
			case source.Failed:
				return fmt.Errorf("%s: %s", s.Name, s.Reason)
			default:
				message = s.Name
			}
		}
		m.show("Reading", message, ready, int64(len(all.Items)), nil)
		if ready == int64(len(all.Items)) {
			return nil
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// do starts a job and follows it to its end.
func (m *Maker) do(ctx context.Context, stage, path string, body any) error {
	started, err := call[struct {
		Job job.Job `json:"job"`
	}](ctx, m, http.MethodPost, path, body)
	if err != nil {
		return err
	}
	at := "/v1/jobs/" + url.PathEscape(started.Job.ID)
	for j := started.Job; ; {
		m.show(stage, j.Message, j.Done, j.Total, seconds(j.SecondsLeft))
		switch j.State {
		case job.Succeeded:
			return nil
		case job.Failed:
			return errors.New(j.Error)
		case job.Canceled:
			return errors.New("the work was canceled")
		case job.Waiting:
			if !m.Leave { // nobody is there who could raise the budget
				return errors.New(j.Message)
			}
		}
		if err := pause(ctx); err != nil {
			return m.leave(ctx, at, err)
		}
		if j, err = call[job.Job](ctx, m, http.MethodGet, at, nil); err != nil {
			return m.leave(ctx, at, err)
		}
	}
}

// leave gives the reason on, having canceled the job if need be.
func (m *Maker) leave(ctx context.Context, at string, reason error) error {
	if ctx.Err() == nil || m.Leave {
		return reason
	}
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if _, err := call[job.Job](leaving, m, http.MethodDelete, at, nil); err != nil {
		slog.WarnContext(ctx, "the job was not canceled", "job", at, "error", err)
	}
	return errors.New("stopped before the course was done")
}

func (m *Maker) show(stage, message string, done, total int64, left *time.Duration) {
	if m.Show != nil {
		m.Show(stage, message, done, total, left)
	}
}

func seconds(s *float64) *time.Duration {
	if s == nil {
		return nil
	}
	d := time.Duration(*s * float64(time.Second))
	return &d
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(beat):
		return nil
	}
}
