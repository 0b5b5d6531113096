package chat

import (
	"context"
	"net/http"
	"strings"

	"lectern.dev/lectern/internal/edge"
)

// apiError is how OpenAI's API tells every error.
// https://platform.openai.com/docs/guides/error-codes
type apiError struct {
	Error apiErrorBody `json:"error"`
}

type apiErrorBody struct {
	Message string  `json:"message" doc:"What went wrong and what can be done, for a person"`
	Type    string  `json:"type"`
	Param   *string `json:"param" doc:"The parameter that is wrong"`
	Code    *string `json:"code"`
}

// kindOfError says what OpenAI's API calls an error, and whether its clients should
// come again. They do after 408, 409, 429 and 5xx unless they are told otherwise.
type kindOfError struct {
	kind, code string
	retry      string // X-Should-Retry; "": as clients do by themselves
}

var kindsOfError = map[int]kindOfError{
	http.StatusBadRequest:            {kind: "invalid_request_error"},
	http.StatusUnauthorized:          {kind: "invalid_request_error", code: "invalid_api_key"},
	http.StatusPaymentRequired:       {kind: "insufficient_quota", code: "insufficient_quota", retry: "false"},
	http.StatusForbidden:             {kind: "invalid_request_error", code: "permission_denied"},
	http.StatusNotFound:              {kind: "invalid_request_error", code: "not_found"},
	http.StatusMethodNotAllowed:      {kind: "invalid_request_error", code: "method_not_allowed"},
	http.StatusRequestTimeout:        {kind: "invalid_request_error", code: "timeout"},
	http.StatusConflict:              {kind: "invalid_request_error", code: "conflict", retry: "false"},
	http.StatusRequestEntityTooLarge: {kind: "invalid_request_error", code: "request_too_large", retry: "false"},
	http.StatusUnsupportedMediaType:  {kind: "invalid_request_error", code: "unsupported_media_type"},
	http.StatusTooManyRequests:       {kind: "requests", code: "rate_limit_exceeded"},
	http.StatusInternalServerError:   {kind: "server_error"},
	http.StatusServiceUnavailable:    {kind: "server_error", code: "service_unavailable"},
}

// Locations of problems that have a code of their own.
const (
	modelField     = "model"
	sessionField   = "header." + sessionHeader
	answeringField = "session.answering" // whose message is the answer that is being made
)

// inOpenAIsWords is the dialect of the compatible endpoints.
func inOpenAIsWords(p *edge.Problem, h http.Header) (status int, body any) {
	status = p.Status
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest
	}
	kind, known := kindsOfError[status]
	if !known {
		kind = kindsOfError[http.StatusInternalServerError]
	}
	e := apiErrorBody{Message: messageOf(p), Type: kind.kind}
	if status == http.StatusUnauthorized { // "sign in" helps no client
		e.Message = "The API key is missing, or not valid any more. Send an API credential, <auth_id>.<secret>, as the key."
	}
	if len(p.Errors) > 0 {
		switch location := strings.TrimPrefix(p.Errors[0].Location, "body."); {
		case location == answeringField: // the answer may be done when the client comes again
			kind.code, kind.retry = "session_busy", "true"
		case status == http.StatusNotFound && location == modelField:
			kind.code = "model_not_found"
			e.Param = new(location)
		case status == http.StatusNotFound && location == sessionField:
			kind.code = "session_not_found"
			e.Param = new(strings.TrimPrefix(location, "header."))
		default:
			if location, _ = missing(location, p.Errors[0].Message); location != "" {
				e.Param = new(location)
			}
		}
	}
	if kind.code != "" {
		e.Code = new(kind.code)
	}
	if kind.retry != "" {
		h.Set("X-Should-Retry", kind.retry)
	}
	return status, apiError{e}
}

// messageOf says what is wrong in OpenAI's one sentence, where ours have a list.
func messageOf(p *edge.Problem) string {
	var unknown, others []string
	for _, f := range p.Errors {
		location, absent := missing(strings.TrimPrefix(f.Location, "body."), f.Message)
		switch {
		case absent:
			others = append(others, "'"+location+"': it is required")
		case f.Message == "unexpected property":
			unknown = append(unknown, location)
		case location == "" || location == answeringField || p.Status == http.StatusNotFound:
		default:
			others = append(others, "'"+location+"': "+f.Message)
		}
	}
	var parts []string
	switch {
	case len(unknown) == 1:
		parts = append(parts, "Unrecognized request argument supplied: "+unknown[0]+".")
	case len(unknown) > 1:
		parts = append(parts, "Unrecognized request arguments supplied: "+strings.Join(unknown, ", ")+".")
	}
	if len(others) > 0 {
		parts = append(parts, "Invalid "+strings.Join(others, "; ")+".")
	}
	if len(parts) == 0 {
		return p.Detail
	}
	return strings.Join(parts, " ")
}

// missing names the parameter that is not there, of which the edge names the parent.
func missing(location, message string) (string, bool) {
	name, ok := strings.CutPrefix(message, "expected required property ")
	if !ok {
		return location, false
	}
	name = strings.TrimSuffix(name, " to be present")
	return strings.TrimPrefix(location+"."+name, "."), true
}

// toldOf is an error that comes when the status has been sent.
func toldOf(ctx context.Context, err error) apiError {
	_, body := inOpenAIsWords(edge.ProblemOf(ctx, err), http.Header{})
	return body.(apiError)
}
