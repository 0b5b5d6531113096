package web

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
)

// maxAnswer bounds what is read of an answer of the API, in bytes: the longest
// lesson with its transcript stays far below.
const maxAnswer = 16 << 20

// api asks a function as the person whose request from is.
type api struct {
	site *site
	base *url.URL
	from *http.Request
}

// courses asks functions/courses.
func (s *site) courses(r *http.Request) api { return api{s, s.deps.Courses, r} }

// accounts asks functions/auth.
func (s *site) accounts(r *http.Request) api { return api{s, s.deps.Auth, r} }

// answer is what the API said, when that is a success.
type answer struct {
	header http.Header
	body   []byte
}

// list is how the API answers with lists.
type list[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor"`
}

// source is an uploaded document as far as pages show it. The noun's own type
// would link the parsers of every format.
type source struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Title  string `json:"title"`
	Size   int64  `json:"size"` // bytes
	State  string `json:"state"`
	Reason string `json:"reason"` // why it failed
	Pages  int    `json:"pages"`
}

// Label is what a reader knows the source by.
func (s source) Label() string {
	if s.Title != "" {
		return s.Title
	}
	return s.Name
}

// Arriving tells whether it is on its way and no job reads it yet.
func (s source) Arriving() bool { return s.State == "uploading" || s.State == "queued" }

// brief says what course the agents shall write.
type brief struct {
	Title    string `json:"title,omitempty"`
	Audience string `json:"audience,omitempty"`
	Language string `json:"language,omitempty"`
	Lessons  int    `json:"lessons,omitempty"`
}

func (a api) courses(ctx context.Context, cursor string) (list[course.Course], error) {
	query := url.Values{"limit": {"12"}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	return get[list[course.Course]](ctx, a, "/v1/courses?"+query.Encode())
}

func (a api) course(ctx context.Context, id string) (course.Course, error) {
	return get[course.Course](ctx, a, "/v1/courses/"+url.PathEscape(id))
}

func (a api) sources(ctx context.Context, course string) ([]source, error) {
	all, err := get[list[source]](ctx, a, "/v1/courses/"+url.PathEscape(course)+"/sources?limit=100")
	return all.Items, err
}

// jobs gives the newest jobs of a course, newest first.
func (a api) jobs(ctx context.Context, course string) ([]job.Job, error) {
	all, err := get[list[job.Job]](ctx, a, "/v1/courses/"+url.PathEscape(course)+"/jobs")
	return all.Items, err
}

func (a api) lesson(ctx context.Context, id string) (course.Lesson, error) {
	return get[course.Lesson](ctx, a, "/v1/lessons/"+url.PathEscape(id))
}

func (a api) slides(ctx context.Context, lesson string) ([]course.Slide, error) {
	all, err := get[list[course.Slide]](ctx, a, "/v1/lessons/"+url.PathEscape(lesson)+"/slides")
	return all.Items, err
}

func (a api) questions(ctx context.Context, lesson string) ([]course.Question, error) {
	all, err := get[list[course.Question]](ctx, a, "/v1/lessons/"+url.PathEscape(lesson)+"/questions")
	return all.Items, err
}

// write sends a change. The key makes a form that is sent twice one change.
func (a api) write(ctx context.Context, method, path, key string, body any) (answer, error) {
	if body == nil {
		return a.send(ctx, method, path, key, nil)
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		return answer{}, err
	}
	return a.send(ctx, method, path, key, bytes.NewReader(encoded))
}

func get[T any](ctx context.Context, a api, path string) (T, error) {
	got, err := a.send(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		var none T
		return none, err
	}
	return decode[T](got)
}

func decode[T any](a answer) (out T, err error) {
	err = json.Unmarshal(a.body, &out)
	return out, err
}

// allowed forgives that the person's role may not see a part of a page: it is left out.
func allowed(err error) error {
	if fault.Is(err, fault.Denied) {
		return nil
	}
	return err
}

// send asks and reads the whole answer; an answer that is no success is an error
// of the kind that its status stands for.
func (a api) send(ctx context.Context, method, path, key string, body io.Reader) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 25*time.Second)
	defer cancel()
	q, err := a.request(ctx, method, path, body)
	if err != nil {
		return answer{}, err
	}
	if key != "" {
		q.Header.Set("Idempotency-Key", key)
	}
	got, err := a.site.client.Do(q)
	if err != nil {
		return answer{}, unreachable(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(io.LimitReader(got.Body, maxAnswer))
	if err != nil {
		return answer{}, unreachable(err)
	}
	if got.StatusCode/100 == 2 {
		return answer{got.Header, text}, nil
	}
	return answer{}, refusal(got, text)
}

// request makes a request as the person who asks.
func (a api) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	q, err := http.NewRequestWithContext(ctx, method, a.base.String()+path, body)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"Cookie", "Authorization", "User-Agent"} {
		q.Header[name] = a.from.Header[name]
	}
	a.site.vouch(ctx, q, &url.URL{Path: q.URL.Path})
	pass(ctx, q.Header)
	q.Header.Set("Accept", "application/json")
	if body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	return q, nil
}

func unreachable(err error) error {
	return fault.Wrap(fault.Unavailable, err, "A part of Lectern does not answer right now. Try again in a minute.")
}

// kinds is edge's table read backwards.
var kinds = map[int]fault.Kind{
	http.StatusBadRequest:            fault.Invalid,
	http.StatusUnprocessableEntity:   fault.Invalid,
	http.StatusUnauthorized:          fault.Unauthenticated,
	http.StatusForbidden:             fault.Denied,
	http.StatusNotFound:              fault.NotFound,
	http.StatusConflict:              fault.Conflict,
	http.StatusPreconditionFailed:    fault.PreconditionFailed,
	http.StatusRequestEntityTooLarge: fault.TooLarge,
	http.StatusTooManyRequests:       fault.Exhausted,
	http.StatusPaymentRequired:       fault.PaymentRequired,
	http.StatusBadGateway:            fault.Unavailable,
	http.StatusServiceUnavailable:    fault.Unavailable,
	http.StatusGatewayTimeout:        fault.Unavailable,
}

// refusal turns an answer that is no success into an error with the problem's own
// sentence; edge.ProblemOf finds the whole problem in it again.
func refusal(answer *http.Response, body []byte) error {
	var p edge.Problem
	status := answer.StatusCode
	if status/100 == 3 { // a path with an id like "..", which the API would lead elsewhere
		return fault.New(fault.NotFound, "There is no page at this address.")
	}
	if json.Unmarshal(body, &p) != nil || p.Detail == "" {
		return unreachable(&edge.Problem{Status: status, Title: http.StatusText(status), Detail: "an answer that is no problem document"})
	}
	err := fault.Wrap(kinds[status], &p, "%s", p.Detail)
	if seconds, wrong := strconv.Atoi(answer.Header.Get("Retry-After")); wrong == nil && seconds > 0 {
		err.RetryAfter = time.Duration(seconds) * time.Second
	}
	return err
}
