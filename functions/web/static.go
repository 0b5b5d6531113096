package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"lectern.dev/lectern/internal/fault"
)

//go:embed static
var staticFiles embed.FS

// mediaTypes are those that a minimal container's mime table does not know.
var mediaTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml", ".woff2": "font/woff2", ".txt": "text/plain; charset=utf-8",
}

// assets are the static files under names that carry the hash of their content:
// "app.css" is served as /static/app.1a2b3c4d5e6f.css and may be kept for ever.
type assets struct {
	byName map[string]*asset // "app.css"
	byPath map[string]*asset // "/static/app.1a2b3c4d5e6f.css"
}

type asset struct {
	path    string
	etag    string
	kind    string
	content []byte
	gzipped func() []byte // nil when it would not help
}

// readAssets reads the embedded files, once for all sites of a process.
var readAssets = sync.OnceValue(func() *assets {
	a := &assets{byName: map[string]*asset{}, byPath: map[string]*asset{}}
	entries, err := fs.ReadDir(staticFiles, "static")
	if err != nil {
		panic(err) // embedded: it cannot be missing
	}
	for _, e := range entries {
		a.add(e.Name())
	}
	return a
})

// naming is where a file names another: style sheets name fonts as url("inter.woff2"),
// scripts name modules as from "./prose.js".
var naming = regexp.MustCompile(`(url\("|from ")(?:\./)?([\w.-]+)"`)

// add reads a file after those that it names, whose hashed paths it gets; none names
// one that names it.
func (a *assets) add(name string) *asset {
	if f := a.byName[name]; f != nil {
		return f
	}
	content, err := staticFiles.ReadFile("static/" + name)
	if err != nil {
		panic(err) // it was listed, or is missing where a file names it
	}
	ext := path.Ext(name)
	if ext == ".css" || ext == ".js" {
		content = naming.ReplaceAllFunc(content, func(found []byte) []byte {
			parts := naming.FindSubmatch(found)
			return slices.Concat(parts[1], []byte(a.add(string(parts[2])).path), []byte(`"`))
		})
	}
	sum := sha256.Sum256(content)
	hash := hex.EncodeToString(sum[:6])
	f := &asset{
		path:    "/static/" + strings.TrimSuffix(name, ext) + "." + hash + ext,
		etag:    hash,
		kind:    mediaTypes[ext],
		content: content,
	}
	if ext != ".woff2" {
		f.gzipped = sync.OnceValue(func() []byte { return compress(content) })
	}
	a.byName[name], a.byPath[f.path] = f, f
	return f
}

// url gives the address of a file, for templates; a name that does not exist is a
// mistake in a template and fails its test.
func (a *assets) url(name string) string { return a.byName[name].path }

func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := a.byPath[r.URL.Path]
	if !ok {
		problem(w, r, fault.New(fault.NotFound, "There is no such file."))
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	f.serve(w, r)
}

func (f *asset) serve(w http.ResponseWriter, r *http.Request) {
	h, content, etag := w.Header(), f.content, f.etag
	if f.gzipped != nil {
		h.Set("Vary", "Accept-Encoding")
		if takesGzip(r) {
			h.Set("Content-Encoding", "gzip")
			content, etag = f.gzipped(), etag+"-gzip"
		}
	}
	h.Set("ETag", `"`+etag+`"`)
	h.Set("Content-Type", f.kind)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// takesGzip tells whether the client takes gzip; "gzip;q=0" says it does not.
func takesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		coding, parameters, err := mime.ParseMediaType("x/" + strings.TrimSpace(part))
		if err == nil && coding == "x/gzip" {
			return strings.Trim(parameters["q"], "0.") != "" || parameters["q"] == ""
		}
	}
	return false
}

func compress(content []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(content) // a buffer takes everything
	_ = z.Close()
	return b.Bytes()
}
