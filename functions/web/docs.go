package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
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
			parts[i], err = get[document](ctx, api{s, f.at, r}, "/openapi.json")
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
	maps.Copy(objectAt(whole, "paths"), objectAt(part, "paths"))
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

// docsPage is the page about the API.
type docsPage struct {
	Sections []apiSection
	Types    []apiType
}

// operation is a line of it.
type operation struct {
	Method, Path, Summary, Description string
	Parameters                         []field
	Body                               string // name of the type that is sent
	Status, Answer                     string // of a success: the answer's type
	Errors                             []string
}

// field is a parameter of an operation or a field of a type.
type field struct{ Name, Kind, Description string }

// apiType is a type that bodies and answers hold.
type apiType struct {
	Name   string
	Fields []field
}

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
	for route, item := range objectAt(whole, "paths") {
		methods, _ := item.(document)
		for method := range methods {
			if !slices.Contains(methodOrder, method) {
				continue // parameters and descriptions of the whole path
			}
			operation, tag := describe(method, route, objectAt(methods, method))
			sections[tag] = append(sections[tag], operation)
		}
	}
	view := docsPage{Types: types(objectAt(objectAt(whole, "components"), "schemas"))}
	for name, operations := range sections {
		slices.SortFunc(operations, func(a, b operation) int {
			return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(order(a.Method), order(b.Method)))
		})
		view.Sections = append(view.Sections, apiSection{name, operations})
	}
	slices.SortFunc(view.Sections, func(a, b apiSection) int { return cmp.Compare(a.Name, b.Name) })
	return "docs", view, nil
}

// types lists the types and their fields by name.
func types(schemas document) []apiType {
	var all []apiType
	for name := range schemas {
		t := apiType{Name: name}
		properties := objectAt(objectAt(schemas, name), "properties")
		for property := range properties {
			p := objectAt(properties, property)
			t.Fields = append(t.Fields, field{property, kindOf(p), stringAt(p, "description")})
		}
		slices.SortFunc(t.Fields, func(a, b field) int { return cmp.Compare(a.Name, b.Name) })
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b apiType) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// kindOf says what a schema holds: a type's name, a JSON type, or a list of either.
func kindOf(schema document) string {
	if ref := stringAt(schema, "$ref"); ref != "" {
		return path.Base(ref)
	}
	kind := stringAt(schema, "type")
	for _, k := range arrayAt(schema, "type") { // what may be null has two types
		if k != "null" {
			kind = fmt.Sprint(k)
		}
	}
	if kind == "array" {
		return "list of " + kindOf(objectAt(schema, "items"))
	}
	return kind
}

var methodOrder = []string{"get", "post", "put", "patch", "delete"}

func order(method string) int { return slices.Index(methodOrder, strings.ToLower(method)) }

// describe reads an operation, and the section it belongs to: its first tag, or
// the first word of its path.
func describe(method, route string, o document) (op operation, section string) {
	op = operation{
		Method: strings.ToUpper(method), Path: route, Summary: stringAt(o, "summary"), Description: stringAt(o, "description"),
		Body: held(objectAt(o, "requestBody")),
	}
	for _, p := range arrayAt(o, "parameters") {
		if p, ok := p.(document); ok {
			op.Parameters = append(op.Parameters, field{stringAt(p, "name"), stringAt(p, "in"), stringAt(p, "description")})
		}
	}
	responses := objectAt(o, "responses")
	for _, status := range slices.Sorted(maps.Keys(responses)) {
		if strings.HasPrefix(status, "2") {
			op.Status, op.Answer = status, held(objectAt(responses, status))
		} else {
			op.Errors = append(op.Errors, status)
		}
	}
	if tags := arrayAt(o, "tags"); len(tags) > 0 {
		return op, fmt.Sprint(tags[0])
	}
	section, _, _ = strings.Cut(strings.TrimPrefix(route, "/v1/"), "/")
	return op, section
}

// held names what a body or a response holds: a type, or else a media type.
func held(holder document) string {
	for media, content := range objectAt(holder, "content") {
		content, _ := content.(document)
		if ref := stringAt(objectAt(content, "schema"), "$ref"); ref != "" {
			return path.Base(ref)
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
