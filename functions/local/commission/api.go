package commission

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"
)

// items is how the API answers with lists.
type items[T any] struct {
	Items []T `json:"items"`
}

const tries = 5 // of one call that meets a 503 or a broken connection

// call asks the API; an answer that is no success becomes its own sentence. Every
// write has a key, so that it can be sent again.
func call[T any](ctx context.Context, m *Maker, method, path string, body any) (out T, err error) {
	var encoded []byte
	if body != nil {
		if encoded, err = json.Marshal(body); err != nil {
			return out, err
		}
	}
	key := rand.Text()
	for try := 1; ; try++ {
		answer, again, err := send(ctx, m, method, path, key, encoded)
		if err == nil {
			return out, json.Unmarshal(answer, &out)
		}
		if !again || try == tries || pause(ctx) != nil {
			return out, err
		}
	}
}

// send makes one request; again says that it may help to repeat it.
func send(ctx context.Context, m *Maker, method, path, key string, body []byte) (answer []byte, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, m.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, false, err
	}
	if m.Token != "" {
		req.Header.Set("Authorization", "Bearer "+m.Token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if method != http.MethodGet {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := m.client().Do(req)
	if err != nil {
		return nil, true, err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err = io.ReadAll(io.LimitReader(res.Body, 16<<20))
	switch {
	case err != nil:
		return nil, true, err
	case res.StatusCode >= 200 && res.StatusCode <= 299:
		return answer, false, nil
	}
	var problem struct {
		Detail string `json:"detail"`
		Errors []struct {
			Location string `json:"location"`
			Message  string `json:"message"`
		} `json:"errors"`
	}
	switch {
	case json.Unmarshal(answer, &problem) != nil || problem.Detail == "":
		problem.Detail = fmt.Sprintf("%s %s answered %s", method, path, res.Status)
	case len(problem.Errors) > 0 && strings.Contains(problem.Detail, "see errors"): // who reads it here cannot
		problem.Detail = fmt.Sprintf("The %s was not accepted: %s.", strings.TrimPrefix(problem.Errors[0].Location, "body."), problem.Errors[0].Message)
	}
	return nil, res.StatusCode == http.StatusServiceUnavailable, errors.New(problem.Detail)
}

func (m *Maker) client() *http.Client {
	if m.Client == nil {
		return http.DefaultClient
	}
	return m.Client
}

// unwrapPath leaves out the path, which the sentence has already.
func unwrapPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
