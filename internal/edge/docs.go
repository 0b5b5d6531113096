package edge

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// docsOperation is one operation as the page shows it.
type docsOperation struct {
	Method, Path string
	*huma.Operation
	Body, Answer string // names of schemas
	Errors       []string
}

// serveDocs shows the OpenAPI document as a page that needs no script and no
// other host. html/template would be the usual means; a program that links it keeps
// every exported method of every SDK, 15 MB and 15 ms of start here.
func (a *API) serveDocs(w http.ResponseWriter, _ *http.Request) {
	document := a.huma.OpenAPI()
	var p page
	p.put(docsHead, document.Info.Title, document.Info.Title, document.Info.Description, document.OpenAPI)
	for _, o := range operations(document) {
		p.operation(o)
	}
	p.put("<h2>Types</h2>\n")
	schemas := document.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		p.schema(name, schemas[name])
	}
	p.put("</main>\n</html>\n")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = p.WriteTo(w) // the client may be gone
}

// page is HTML in the making.
type page struct{ bytes.Buffer }

// put writes a constant format, and the arguments as text: escaped.
func (p *page) put(format string, args ...string) {
	escaped := make([]any, len(args))
	for i, arg := range args {
		escaped[i] = html.EscapeString(arg)
	}
	fmt.Fprintf(p, format, escaped...)
}

func (p *page) operation(o docsOperation) {
	p.put(`<details id="%s"><summary><span class="method">%s</span> <code>%s</code> — %s</summary>`, o.OperationID, o.Method, o.Path, o.Summary)
	p.put("<p>%s</p>\n", o.Description)
	if len(o.Parameters) > 0 {
		p.put("<table><tr><th>Parameter<th>In<th>Meaning</tr>\n")
		for _, parameter := range o.Parameters {
			required := ""
			if parameter.Required {
				required = " (required)"
			}
			p.put("<tr><td><code>%s</code>%s<td>%s<td>%s</tr>\n", parameter.Name, required, parameter.In, parameter.Description)
		}
		p.put("</table>\n")
	}
	p.put("<p>")
	if o.Body != "" {
		p.put(`Body: <a href="#%s">%s</a>. `, o.Body, o.Body)
	}
	p.put("Answer: %s. Errors: %s.</p></details>\n", o.Answer, strings.Join(o.Errors, ", "))
}

func (p *page) schema(name string, schema *huma.Schema) {
	p.put("<details id=\"%s\"><summary><code>%s</code></summary><table>\n", name, name)
	for _, field := range slices.Sorted(maps.Keys(schema.Properties)) {
		property := schema.Properties[field]
		p.put("<tr><td><code>%s</code><td>%s<td>%s</tr>\n", field, cmp.Or(property.Type, property.Ref), property.Description)
	}
	p.put("</table></details>\n")
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

// docsHead wants title, title, description and version.
const docsHead = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s</title>
<style>
  :root { color-scheme: light dark }
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
  summary { cursor: pointer; padding: .4rem 0 }
  code { font-size: .95em } .method { display: inline-block; min-width: 4.5rem; font-weight: 700 }
  table { border-collapse: collapse; width: 100%% } td, th { text-align: start; vertical-align: top; padding: .2rem .8rem .2rem 0 }
  details > :not(summary) { margin-inline-start: 1rem }
</style>
<main>
<h1>%s</h1>
<p>%s</p>
<p>The whole description, for programs: <a href="openapi.json">openapi.json</a> (OpenAPI %s).</p>
<h2>Operations</h2>
`
