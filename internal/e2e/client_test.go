package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lectern.dev/lectern/internal/job"
)

// client is a person with a patient browser: what meets a broken connection or a
// 5xx is sent again, under the same Idempotency-Key, until ctx ends.
type client struct {
	url  string
	data string // folder of the server, where it leaves a token at every start
}

// makeCourse does the whole job on a document, and gives the course's id.
func (c client) makeCourse(ctx context.Context, path string, lessons int) (string, error) {
	made, err := post[struct {
		ID string `json:"id"`
	}](ctx, c, "/v1/courses", map[string]string{"title": "Tea", "language": "en"})
	if err != nil {
		return "", err
	}
	if err := c.upload(ctx, made.ID, path); err != nil {
		return "", err
	}
	if err := c.do(ctx, "/v1/courses/"+made.ID+"/generations", map[string]int{"lessons": lessons}); err != nil {
		return "", err
	}
	return made.ID, c.do(ctx, "/v1/courses/"+made.ID+"/renders", nil)
}

func (c client) upload(ctx context.Context, course, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s, err := post[struct {
		Source struct {
			ID string `json:"id"`
		} `json:"source"`
		Upload struct {
			URL     string            `json:"url"`
			Method  string            `json:"method"`
			Headers map[string]string `json:"headers"`
		} `json:"upload"`
	}](ctx, c, "/v1/courses/"+course+"/sources", map[string]any{"name": "tea.md", "content_type": "text/markdown", "size": len(content)})
	if err != nil {
		return err
	}
	_, err = c.send(ctx, s.Upload.Method, s.Upload.URL, content, s.Upload.Headers)
	if err != nil && !errors.Is(err, errThere) { // a PUT whose answer was lost
		return err
	}
	return c.await(ctx, "/v1/courses/"+course+"/sources", func(answer []byte) (bool, error) {
		var list struct {
			Items []struct {
				State, Reason string
			} `json:"items"`
		}
		if err := json.Unmarshal(answer, &list); err != nil {
			return false, err
		}
		if list.Items[0].State == "failed" {
			return false, errors.New(list.Items[0].Reason)
		}
		return list.Items[0].State == "ready", nil
	})
}

// do starts a job and waits until it has succeeded.
func (c client) do(ctx context.Context, path string, body any) error {
	j, err := c.start(ctx, path, body)
	if err != nil {
		return err
	}
	return c.follow(ctx, j.ID)
}

func (c client) start(ctx context.Context, path string, body any) (job.Job, error) {
	started, err := post[struct {
		Job job.Job `json:"job"`
	}](ctx, c, path, body)
	return started.Job, err
}

func (c client) follow(ctx context.Context, id string) error {
	return c.await(ctx, "/v1/jobs/"+id, func(answer []byte) (bool, error) {
		var j job.Job
		if err := json.Unmarshal(answer, &j); err != nil {
			return false, err
		}
		if j.State == job.Failed || j.State == job.Canceled {
			return false, fmt.Errorf("job %s is %s: %s", j.ID, j.State, j.Error)
		}
		return j.State == job.Succeeded, nil
	})
}

func (c client) await(ctx context.Context, path string, done func([]byte) (bool, error)) error {
	for {
		answer, err := c.send(ctx, http.MethodGet, c.url+path, nil, nil)
		if err != nil {
			return err
		}
		if ok, err := done(answer); ok || err != nil {
			return err
		}
		if !pause(ctx) {
			return ctx.Err()
		}
	}
}

func post[T any](ctx context.Context, c client, path string, body any) (out T, err error) {
	encoded := []byte("{}")
	if body != nil {
		if encoded, err = json.Marshal(body); err != nil {
			return out, err
		}
	}
	answer, err := c.send(ctx, http.MethodPost, c.url+path, encoded, map[string]string{
		"Content-Type": "application/json", "Idempotency-Key": rand.Text(),
	})
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(answer, &out)
}

// errThere says that an upload was there before.
var errThere = errors.New("the object is there already")

func (c client) send(ctx context.Context, method, url string, body []byte, headers map[string]string) ([]byte, error) {
	for {
		if strings.HasPrefix(url, c.url+"/v1/") {
			token, err := os.ReadFile(filepath.Join(c.data, tokenFile))
			if err != nil || len(token) == 0 { // the server is not that far yet
				if !pause(ctx) {
					return nil, ctx.Err()
				}
				continue
			}
			headers = maps.Clone(headers)
			if headers == nil {
				headers = map[string]string{}
			}
			headers["Authorization"] = "Bearer " + string(token)
		}
		answer, again, err := try(ctx, method, url, body, headers)
		if err == nil || !again {
			return answer, err
		}
		if !pause(ctx) {
			return nil, err
		}
	}
}

func try(ctx context.Context, method, url string, body []byte, headers map[string]string) (answer []byte, again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, false, err
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, true, err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err = io.ReadAll(res.Body)
	switch {
	case err != nil:
		return nil, true, err
	case res.StatusCode == http.StatusPreconditionFailed:
		return nil, false, errThere
	case res.StatusCode >= 500:
		return nil, true, fmt.Errorf("%s %s: %s: %s", method, url, res.Status, answer)
	case res.StatusCode >= 300:
		return nil, false, fmt.Errorf("%s %s: %s: %s", method, url, res.Status, answer)
	}
	return answer, false, nil
}

// pause waits a moment; false when ctx is over.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(50 * time.Millisecond):
		return true
	}
}
