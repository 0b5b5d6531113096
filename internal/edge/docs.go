package edge

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsHTML string

// docsOperation is one operation as the page shows it.
type docsOperation struct {
	Method, Path string
	*huma.Operation
	Body, Answer string // names of schemas
	Errors       []string
}

// serveDocs shows the OpenAPI document as a page that needs no script and no
// other host.
func (a *API) serveDocs(w http.ResponseWriter, r *http.Request) {
	document := a.huma.OpenAPI()
	view := struct {
		*huma.OpenAPI
		Operations []docsOperation
		Schemas    map[string]*huma.Schema
	}{document, operations(document), document.Components.Schemas.Map()}
	var page bytes.Buffer
	// Parsed at each visit, of which there are a few a day. A variable that held it
	// would link html/template, and with it every method of every SDK, into functions
	// that have no such page.
	if err := template.Must(template.New("docs").Parse(docsHTML)).Execute(&page, view); err != nil {
		failing(err).ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = page.WriteTo(w) // the client may be gone
}

// operations lists them by path, and by method as one would use them.
func operations(document *huma.OpenAPI) []docsOperation {
	var list []docsOperation
	for path, item := range document.Paths {
		for _, o := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if o == nil {
				continue
			}
			d := docsOperation{Method: o.Method, Path: path, Operation: o}
			if o.RequestBody != nil {
				d.Body = schemaName(o.RequestBody.Content)
			}
			for status, response := range o.Responses {
				if strings.HasPrefix(status, "2") {
					d.Answer = strings.TrimSpace(status + " " + schemaName(response.Content))
				} else {
					d.Errors = append(d.Errors, status)
				}
			}
			slices.Sort(d.Errors)
			list = append(list, d)
		}
	}
	slices.SortStableFunc(list, func(a, b docsOperation) int { return strings.Compare(a.Path, b.Path) })
	return list
}

func schemaName(content map[string]*huma.MediaType) string {
	for media, c := range content {
		if c.Schema != nil && c.Schema.Ref != "" {
			return c.Schema.Ref[strings.LastIndexByte(c.Schema.Ref, '/')+1:]
		}
		return media
	}
	return ""
}
