package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// document is an OpenAPI 3.1 document, as JSON has it.
type document = map[string]any

// wholeAPI joins the documents of all functions into one.
func (s *site) wholeAPI(r *http.Request) (document, error) {
	functions := []struct {
		name string
		at   *url.URL
	}{{"Courses", s.deps.Courses}, {"Auth", s.deps.Auth}, {"Chat", s.deps.Chat}}
	parts := make([]document, len(functions))
	group, ctx := errgroup.WithContext(r.Context())
	for i, f := range functions {
		if f.at == nil {
			continue
		}
		group.Go(func() (err error) {
			parts[i], err = get[document](ctx, api{s.client, f.at, r}, "/openapi.json")
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	whole := document{
		"openapi":    "3.1.0",
		"info":       document{"title": "Lectern", "version": "1", "description": "Courses with narrated videos, written from documents."},
		"paths":      document{},
		"components": document{},
	}
	for i, part := range parts {
		join(whole, part, functions[i].name)
	}
	return whole, nil
}

// join adds part's paths and components to whole. A component whose name is taken
// by a different one gets the function's name before its own.
func join(whole, part document, function string) {
	components := objectAt(whole, "components")
	for kind := range objectAt(part, "components") {
		taken := objectAt(components, kind)
		components[kind] = taken
		renamed := map[string]string{}
		added := objectAt(objectAt(part, "components"), kind)
		for name, component := range added {
			if there, ok := taken[name]; ok && !reflect.DeepEqual(there, component) {
				renamed["#/components/"+kind+"/"+name] = "#/components/" + kind + "/" + function + name
			}
		}
		redirect(part, renamed)
		for name, component := range added {
			if _, ok := renamed["#/components/"+kind+"/"+name]; ok {
				name = function + name
			}
			taken[name] = component
		}
	}
	for path, operations := range objectAt(part, "paths") {
		objectAt(whole, "paths")[path] = operations
	}
}

// redirect replaces references throughout node.
func redirect(node any, renamed map[string]string) {
	switch n := node.(type) {
	case document:
		if to, ok := renamed[stringAt(n, "$ref")]; ok {
			n["$ref"] = to
		}
		for _, child := range n {
			redirect(child, renamed)
		}
	case []any:
		for _, child := range n {
			redirect(child, renamed)
		}
	}
}

func (s *site) serveOpenAPI(w http.ResponseWriter, r *http.Request) {
	whole, err := s.wholeAPI(r)
	if err != nil {
		problem(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/openapi+json")
	_ = json.NewEncoder(w).Encode(whole) // the client may be gone
}

// operation is a line of the page about the API.
type operation struct {
	Method, Path, Summary, Description string
	Parameters                         []parameter
	Body                               string   // name of the type that is sent
	Answers                            []answer // by status
}

type parameter struct{ Name, In, Description string }

type answer struct{ Status, Type, Description string }

// apiSection is the operations on one kind of thing.
type apiSection struct {
	Name       string
	Operations []operation
}

func (s *site) showDocs(r *http.Request) (string, any, error) {
	whole, err := s.wholeAPI(r)
	if err != nil {
		return "", nil, err
	}
	sections := map[string][]operation{}
	for path, item := range objectAt(whole, "paths") {
		methods, _ := item.(document)
		for method := range methods {
			if !slices.Contains(methodOrder, method) {
				continue // parameters and descriptions of the whole path
			}
			operation, tag := describe(method, path, objectAt(methods, method))
			sections[tag] = append(sections[tag], operation)
		}
	}
	var view []apiSection
	for name, operations := range sections {
		slices.SortFunc(operations, func(a, b operation) int {
			return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(order(a.Method), order(b.Method)))
		})
		view = append(view, apiSection{name, operations})
	}
	slices.SortFunc(view, func(a, b apiSection) int { return cmp.Compare(a.Name, b.Name) })
	return "docs", view, nil
}

var methodOrder = []string{"get", "post", "put", "patch", "delete"}

func order(method string) int { return slices.Index(methodOrder, strings.ToLower(method)) }

// describe reads an operation, and the section it belongs to: its first tag, or
// the first word of its path.
func describe(method, path string, o document) (op operation, section string) {
	op = operation{
		Method: strings.ToUpper(method), Path: path, Summary: stringAt(o, "summary"), Description: stringAt(o, "description"),
		Body: typeName(objectAt(o, "requestBody")),
	}
	for _, p := range arrayAt(o, "parameters") {
		if p, ok := p.(document); ok {
			op.Parameters = append(op.Parameters, parameter{stringAt(p, "name"), stringAt(p, "in"), stringAt(p, "description")})
		}
	}
	for status, response := range objectAt(o, "responses") {
		if response, ok := response.(document); ok {
			op.Answers = append(op.Answers, answer{status, typeName(response), stringAt(response, "description")})
		}
	}
	slices.SortFunc(op.Answers, func(a, b answer) int { return cmp.Compare(a.Status, b.Status) })
	if tags := arrayAt(o, "tags"); len(tags) > 0 {
		return op, fmt.Sprint(tags[0])
	}
	section, _, _ = strings.Cut(strings.TrimPrefix(path, "/v1/"), "/")
	return op, section
}

// typeName names what a body or a response holds: a type, or else a media type.
func typeName(holder document) string {
	for media, content := range objectAt(holder, "content") {
		content, _ := content.(document)
		if ref := stringAt(objectAt(content, "schema"), "$ref"); ref != "" {
			return ref[strings.LastIndexByte(ref, '/')+1:]
		}
		return media
	}
	return ""
}

func objectAt(d document, key string) document {
	o, ok := d[key].(document)
	if !ok {
		return document{}
	}
	return o
}

func arrayAt(d document, key string) []any {
	a, _ := d[key].([]any)
	return a
}

func stringAt(d document, key string) string {
	s, _ := d[key].(string)
	return s
}
