package extract

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"golang.org/x/net/html/charset"
)

// The limits of an Office file, which is a ZIP archive of XML parts.
const (
	maxParts    = 10000
	maxDeclared = 2 << 30   // bytes that all parts claim to unpack to; pictures count, but are never unpacked
	maxUnpacked = 192 << 20 // bytes of XML that are really unpacked
	maxRatio    = 200       // of a part; XML of real documents stays below 60
	maxDepth    = 256       // of elements
)

// archive is an Office file whose parts are read under a common budget.
type archive struct {
	parts  map[string]*zip.File
	budget int64 // bytes that may still be unpacked
}

func openArchive(r io.ReaderAt, size int64) (*archive, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, errors.Join(errBroken, err)
	}
	if len(z.File) > maxParts {
		return nil, errExpands
	}
	a := &archive{parts: make(map[string]*zip.File, len(z.File)), budget: maxUnpacked}
	var declared uint64
	type span struct{ start, end int64 }
	var spans []span
	for _, f := range z.File {
		declared += f.UncompressedSize64
		if declared > maxDeclared {
			return nil, errExpands
		}
		start, err := f.DataOffset()
		if err != nil {
			return nil, errors.Join(errBroken, err)
		}
		spans = append(spans, span{start, start + int64(f.CompressedSize64)})
		a.parts[strings.TrimPrefix(path.Clean("/"+f.Name), "/")] = f
	}
	// Parts that share bytes are how a small file claims to hold gigabytes.
	slices.SortFunc(spans, func(a, b span) int { return int(a.start - b.start) })
	for i := 1; i < len(spans); i++ {
		if spans[i].start < spans[i-1].end {
			return nil, errExpands
		}
	}
	return a, nil
}

// part opens one part for reading as XML; ok is false when there is none.
func (a *archive) part(name string) (d *decoder, ok bool, err error) {
	f, ok := a.parts[name]
	if !ok {
		return nil, false, nil
	}
	if f.Flags&1 != 0 {
		return nil, false, errEncrypted
	}
	r, err := f.Open()
	if err != nil {
		return nil, false, errors.Join(errBroken, err)
	}
	x := xml.NewDecoder(&budgeted{r: r, archive: a, allowed: int64(f.CompressedSize64)*maxRatio + 1<<20})
	x.CharsetReader = charset.NewReaderLabel
	return &decoder{x}, true, nil
}

// budgeted stops a part that unpacks to more than its size allows, whatever its
// header claims.
type budgeted struct {
	r       io.Reader
	archive *archive
	allowed int64
}

func (b *budgeted) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.allowed -= int64(n)
	b.archive.budget -= int64(n)
	if b.allowed < 0 || b.archive.budget < 0 {
		return 0, errExpands
	}
	return n, err
}

// element is a piece of XML in memory. OOXML has text in leaves only, so the order
// of text among children does not matter. Namespaces are left out: the local names
// that are read here occur once.
type element struct {
	name     string
	attrs    []xml.Attr
	children []*element
	text     string
}

// attr gives an attribute by its local name, or "".
func (e *element) attr(name string) string {
	for _, a := range e.attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// at follows a path of children; nil when it leads nowhere. A nil element has no children.
func (e *element) at(names ...string) *element {
	for _, name := range names {
		if e == nil {
			return nil
		}
		i := slices.IndexFunc(e.children, func(c *element) bool { return c.name == name })
		if i < 0 {
			return nil
		}
		e = e.children[i]
	}
	return e
}

// value gives the val attribute of the element that a path leads to, or "".
func (e *element) value(names ...string) string {
	if e = e.at(names...); e == nil {
		return ""
	}
	return e.attr("val")
}

// all visits e's descendants in document order, without those below an element
// for which visit gives false.
func (e *element) all(visit func(*element) bool) {
	for _, c := range e.children {
		if visit(c) {
			c.all(visit)
		}
	}
}

// decoder reads XML without entities of its own, without a DTD, to a limited depth.
type decoder struct{ *xml.Decoder }

// next gives the next token; io.EOF at the end.
func (d *decoder) next() (xml.Token, error) {
	t, err := d.Token()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, errExpands):
		return nil, err
	case err != nil:
		return nil, errors.Join(errBroken, err)
	}
	if _, ok := t.(xml.Directive); ok {
		return nil, errBroken // a DTD: no Office program writes one
	}
	return t, nil
}

// element reads the element that start has begun.
func (d *decoder) element(start xml.StartElement) (*element, error) { return d.read(start, 0) }

func (d *decoder) read(start xml.StartElement, depth int) (*element, error) {
	if depth > maxDepth {
		return nil, errBroken
	}
	e := &element{name: start.Name.Local, attrs: slices.Clone(start.Attr)}
	for {
		t, err := d.next()
		if errors.Is(err, io.EOF) {
			return nil, errBroken
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			c, err := d.read(t, depth+1)
			if err != nil {
				return nil, err
			}
			e.children = append(e.children, c)
		case xml.CharData:
			e.text += string(t)
		case xml.EndElement:
			return e, nil
		}
	}
}

// root reads a whole part; nil when there is none.
func (a *archive) root(name string) (*element, error) {
	d, ok, err := a.part(name)
	if err != nil || !ok {
		return nil, err
	}
	for {
		t, err := d.next()
		if errors.Is(err, io.EOF) {
			return nil, errBroken
		}
		if err != nil {
			return nil, err
		}
		if start, ok := t.(xml.StartElement); ok {
			return d.element(start)
		}
	}
}

// relation is a link from one part to another.
type relation struct{ kind, target string }

// relations reads the links of a part, by their ids.
func (a *archive) relations(part string) (map[string]relation, error) {
	dir, base := path.Split(part)
	root, err := a.root(dir + "_rels/" + base + ".rels")
	if err != nil || root == nil {
		return nil, err
	}
	links := make(map[string]relation)
	for _, r := range root.children {
		target := r.attr("Target")
		if r.attr("TargetMode") == "External" {
			continue
		}
		if !strings.HasPrefix(target, "/") {
			target = path.Join("/", dir, target)
		}
		links[r.attr("Id")] = relation{kind: path.Base(r.attr("Type")), target: strings.TrimPrefix(path.Clean(target), "/")}
	}
	return links, nil
}

// properties takes the title from an Office file's own description of itself.
func (a *archive) properties(b *builder) error {
	core, err := a.root("docProps/core.xml")
	if err != nil {
		return err
	}
	if title := core.at("title"); title != nil && b.title == "" {
		b.title = line(title.text)
	}
	if language := core.at("language"); language != nil && b.language == "" {
		b.language = language.text
	}
	return nil
}
