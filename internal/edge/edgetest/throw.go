package edgetest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"pgregory.net/rapid"

	"lectern.dev/lectern/internal/edge"
)

// parameters are what programs and attackers send as one.
var parameters = []string{"", "1", "0", "-1", "1e99", "x", "\x00", "\xff", "*", `"1"`, "99999999999999999999", strings.Repeat("y", 250)}

// Thrower has a handler answer a request, as a rig's do.
type Thrower func(method, path string, body any, headers ...string) Answer

// Throw sends an operation a request that is wrong somewhere; ids are those of Path.
// The answer must be one that the document declares and never our fault, and a problem
// must say what is wrong.
func (g Sample) Throw(o *huma.Operation, ids map[string]string, send Thrower) Answer {
	path := g.Path(o, ids)
	values := url.Values{}
	var headers []string
	for _, p := range o.Parameters {
		if rapid.IntRange(0, 2).Draw(g.T, "absent") > 0 {
			continue
		}
		text := rapid.SampledFrom(append(parameters, g.Parameters...)).Draw(g.T, p.Name)
		switch p.In {
		case "query":
			values.Set(p.Name, text)
		case "header":
			headers = append(headers, p.Name, strings.Map(printable, text))
		}
	}
	body := g.Body(o)
	a := send(o.Method, path+"?"+values.Encode(), body, headers...)
	said := fmt.Sprintf("%s %s with %v %.2000v: %d %.500s", o.Method, path, headers, body, a.Code, a.Body)
	_, declared := o.Responses[strconv.Itoa(a.Code)]
	switch {
	case a.Code >= 500:
		g.T.Fatalf("our fault: %s", said)
	case !declared && a.Code != 404 && a.Code != 405 && a.Code != 307: // a path that is no longer this operation's
		g.T.Fatalf("not declared: %s", said)
	case a.Code >= 400:
		var p edge.Problem
		if err := json.Unmarshal(a.Body.Bytes(), &p); err != nil || p.Detail == "" {
			g.T.Fatalf("not a problem: %s", said)
		}
	}
	return a
}

func printable(c rune) rune {
	if c < ' ' || c > '~' {
		return -1
	}
	return c
}
