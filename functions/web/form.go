package web

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
)

// form is a form as a page shows it: empty, or with what was entered and what is
// wrong with it.
type form struct {
	Name    string // unique on its page: the ids in it begin so
	Action  string
	Submit  string // what the button says
	Hidden  []hidden
	Inputs  []input
	Problem string // what is wrong with it as a whole
	Wait    string // when to try again
}

type hidden struct {
	Name, Value  string
	Autocomplete string // "username": password managers are told whose password it is
}

// input is a field of a form.
type input struct {
	Name, Label  string
	APIName      string // what the API calls it, where that is something else
	Type         string // of HTML; also "select" and "checkboxes"
	Hint         string
	Autocomplete string
	Required     bool
	Least        int // characters, when > 0
	Most         int // characters, when > 0. Not for passwords: browsers would cut what is pasted
	Value        string
	Options      []option // of a select or checkboxes
	Wrong        string
	Focus        bool
	form         string
}

type option struct {
	Value, Label, Hint string
	Chosen             bool
}

// ID is the input's own on its page.
func (i input) ID() string { return i.form + "-" + i.Name }

// Described lists the ids of what explains the input.
func (i input) Described() string {
	var ids []string
	if i.Hint != "" {
		ids = append(ids, i.ID()+"-hint")
	}
	if i.Wrong != "" {
		ids = append(ids, i.ID()+"-wrong")
	}
	return strings.Join(ids, " ")
}

// newForm ties the inputs to their form.
func newForm(name, action, submit string, inputs ...input) form {
	for i := range inputs {
		inputs[i].form = name
		if inputs[i].Type == "" {
			inputs[i].Type = "text"
		}
	}
	return form{Name: name, Action: action, Submit: submit, Inputs: inputs}
}

// with adds a value that is sent along unseen.
func (f form) with(name, value string) form {
	f.Hidden = append(slices.Clone(f.Hidden), hidden{Name: name, Value: value})
	return f
}

// keep takes over what was entered, but no password.
func (f *form) keep(entered url.Values) {
	f.Inputs = slices.Clone(f.Inputs)
	for i := range f.Inputs {
		in := &f.Inputs[i]
		if in.Type != "password" {
			in.Value = entered.Get(in.Name)
		}
		in.Options = slices.Clone(in.Options)
		for o := range in.Options {
			in.Options[o].Chosen = slices.Contains(entered[in.Name], in.Options[o].Value)
		}
	}
}

// wrong says what is wrong with a field; the first of those on the page gets the
// focus.
func (f *form) wrong(name, message string) (known bool) {
	if name == "" {
		return false
	}
	first := true
	for i := range f.Inputs {
		in := &f.Inputs[i]
		if in.Name == name || in.APIName == name {
			in.Wrong, known = message, true
		}
		in.Focus = in.Wrong != "" && first
		first = first && in.Wrong == ""
	}
	return known
}

// refuse shows on the form why the API refused it, and gives the page's status. It
// gives the error back when a form is not the place to tell it.
func (f *form) refuse(w http.ResponseWriter, r *http.Request, err error) (status int, unfit error) {
	if fault.Is(err, fault.Internal) {
		return 0, err
	}
	edge.Failed(r.Context(), err)
	p := edge.ProblemOf(r.Context(), err)
	f.keep(r.PostForm)
	var elsewhere []string
	for _, e := range p.Errors {
		name := e.Location[strings.LastIndexAny(e.Location, ".[")+1:]
		if !f.wrong(name, sentence(e.Message)) {
			elsewhere = append(elsewhere, sentence(e.Message))
		}
	}
	switch {
	case len(p.Errors) == 0:
		f.Problem = p.Detail
	case len(elsewhere) > 0:
		f.Problem = strings.Join(elsewhere, " ")
	}
	f.Wait = tellWait(w, err)
	return p.Status, nil
}

// Opened tells whether it was sent and shall be seen again.
func (f form) Opened() bool {
	return f.Problem != "" || slices.ContainsFunc(f.Inputs, func(in input) bool { return in.Wrong != "" })
}

// Focused lets the problem as a whole have the focus when no field is to blame.
func (f form) Focused() bool {
	return f.Problem != "" && !slices.ContainsFunc(f.Inputs, func(in input) bool { return in.Focus })
}

// sentence makes "expected length >= 8" read like what the rest of the page says.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return "This is not right."
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	return s
}

// tellWait tells a client when to try again, and gives the words for people; "" when
// the API does not ask to wait.
func tellWait(w http.ResponseWriter, err error) string {
	wait := retryAfter(err)
	if wait <= 0 {
		return ""
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	return "You can try again in " + lasting(wait) + "."
}

// retryAfter gives how long the API asks to wait; 0 when it does not say.
func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

// lasting writes a time to wait in words, rounded up.
func lasting(d time.Duration) string {
	switch {
	case d <= time.Minute:
		return plural(max(1, int(math.Ceil(d.Seconds()))), "second", "seconds")
	case d <= 2*time.Hour:
		return plural(int(math.Ceil(d.Minutes())), "minute", "minutes")
	case d <= 48*time.Hour:
		return plural(int(math.Ceil(d.Hours())), "hour", "hours")
	}
	return plural(int(math.Ceil(d.Hours()/24)), "day", "days")
}

// ago writes when something happened, seen from now.
func ago(t, now time.Time) string {
	switch d := now.Sub(t); {
	case d < 2*time.Minute:
		return "just now"
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f minutes ago", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f hours ago", d.Hours())
	case d < 60*24*time.Hour:
		return fmt.Sprintf("%.0f days ago", d.Hours()/24)
	}
	return "on " + t.UTC().Format("2 January 2006")
}
