package extract

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/fault"
)

func TestMain(m *testing.M) {
	ChildMain()
	os.Exit(m.Run())
}

// needPoppler skips a test where it is not installed, but in CI.
func needPoppler(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("pdftohtml"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// extractBytes reads a document in a child process, as it is done for people.
func extractBytes(t *testing.T, format Format, data []byte, limits Limits) (*Document, error) {
	t.Helper()
	if format == PDF {
		needPoppler(t)
	}
	path := filepath.Join(t.TempDir(), "document")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return Extract(t.Context(), path, format, limits, nil)
}

// parseBytes reads a document in this process, where a panic fails the test.
func parseBytes(t *testing.T, format Format, data []byte) (*Document, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "document")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return read(context.Background(), path, format, &builder{progress: func(int, int) {}})
}

// refused fails the test unless err is for the person who uploaded the document.
func refused(t *testing.T, err error) {
	t.Helper()
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("not refused with a reason: %v", err)
	}
}

// render writes blocks in a form that is easy to compare: "kind level: text".
func render(doc *Document) string {
	var out strings.Builder
	for _, b := range doc.Blocks {
		out.WriteString(string(b.Kind))
		if b.Level > 0 {
			fmt.Fprintf(&out, " %d", b.Level)
		}
		if b.Language != "" {
			out.WriteString(" " + b.Language)
		}
		if b.Page > 0 {
			fmt.Fprintf(&out, " p%d", b.Page)
		}
		out.WriteString(": " + b.Text + "\n")
	}
	return out.String()
}

// zipOf makes an archive of named parts.
func zipOf(parts map[string]string) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		part, err := w.Create(name)
		if err == nil {
			_, err = part.Write([]byte(parts[name]))
		}
		if err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

const wordNamespace = `xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"`

// docxOf makes a Word document of the XML of a body.
func docxOf(body string) []byte {
	return zipOf(docxParts(body))
}

func docxParts(body string) map[string]string {
	return map[string]string{
		"[Content_Types].xml": `<Types/>`,
		"word/document.xml":   `<?xml version="1.0"?><w:document ` + wordNamespace + `><w:body>` + body + `<w:sectPr/></w:body></w:document>`,
		"word/styles.xml": `<w:styles ` + wordNamespace + `>
			<w:docDefaults><w:rPrDefault><w:rPr><w:lang w:val="en-GB"/></w:rPr></w:rPrDefault></w:docDefaults>
			<w:style w:styleId="Titel"><w:name w:val="Title"/></w:style>
			<w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>
			<w:style w:styleId="Kapitel"><w:name w:val="Kapitel"/><w:basedOn w:val="berschrift1"/></w:style>
			<w:style w:styleId="Eigen"><w:name w:val="Mine"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
			<w:style w:styleId="Verzeichnis1"><w:name w:val="toc 1"/></w:style>
			<w:style w:styleId="Zitat"><w:name w:val="Quote"/></w:style>
			<w:style w:styleId="Quelltext"><w:name w:val="HTML Preformatted"/></w:style>
			<w:style w:styleId="Ring"><w:name w:val="ring"/><w:basedOn w:val="Ring"/></w:style>
		</w:styles>`,
		"word/numbering.xml": `<w:numbering ` + wordNamespace + `>
			<w:abstractNum w:abstractNumId="7"><w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/></w:lvl><w:lvl w:ilvl="1"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum>
			<w:num w:numId="3"><w:abstractNumId w:val="7"/></w:num>
		</w:numbering>`,
		"docProps/core.xml": `<cp:coreProperties xmlns:cp="cp" xmlns:dc="dc"><dc:title>From the properties</dc:title></cp:coreProperties>`,
	}
}

// wordParagraph is a paragraph of one run in a style.
func wordParagraph(style, text string) string {
	return `<w:p><w:pPr><w:pStyle w:val="` + style + `"/></w:pPr><w:r><w:t>` + text + `</w:t></w:r></w:p>`
}

// pptxOf makes a presentation; a slide is the XML of its shapes and its notes.
func pptxOf(slides ...[2]string) []byte {
	return zipOf(pptxParts(slides...))
}

func pptxParts(slides ...[2]string) map[string]string {
	const namespaces = `xmlns:p="p" xmlns:a="a" xmlns:r="r"`
	parts := map[string]string{}
	var list, links strings.Builder
	for i, s := range slides {
		n := i + 1
		fmt.Fprintf(&list, `<p:sldId id="%d" r:id="rId%d"/>`, 255+n, n)
		fmt.Fprintf(&links, `<Relationship Id="rId%d" Type="http://x/slide" Target="slides/slide%d.xml"/>`, n, n)
		parts[fmt.Sprintf("ppt/slides/slide%d.xml", n)] = `<p:sld ` + namespaces + `><p:cSld><p:spTree>` + s[0] + `</p:spTree></p:cSld></p:sld>`
		if s[1] != "" {
			parts[fmt.Sprintf("ppt/slides/_rels/slide%d.xml.rels", n)] = fmt.Sprintf(`<Relationships><Relationship Id="rId1" Type="http://x/notesSlide" Target="../notesSlides/notes%d.xml"/></Relationships>`, n)
			parts[fmt.Sprintf("ppt/notesSlides/notes%d.xml", n)] = `<p:notes ` + namespaces + `><p:cSld><p:spTree>` + slideShape("body", s[1]) + slideShape("sldNum", "7") + `</p:spTree></p:cSld></p:notes>`
		}
	}
	parts["ppt/presentation.xml"] = `<p:presentation ` + namespaces + `><p:sldIdLst>` + list.String() + `</p:sldIdLst></p:presentation>`
	parts["ppt/_rels/presentation.xml.rels"] = `<Relationships>` + links.String() + `</Relationships>`
	return parts
}

// slideShape is a placeholder with a paragraph a line.
func slideShape(kind, text string) string {
	var paragraphs strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		level := len(line) - len(strings.TrimLeft(line, "\t"))
		fmt.Fprintf(&paragraphs, `<a:p><a:pPr lvl="%d"/><a:r><a:t>%s</a:t></a:r></a:p>`, level, strings.TrimSpace(line))
	}
	return `<p:sp><p:nvSpPr><p:nvPr><p:ph type="` + kind + `"/></p:nvPr></p:nvSpPr><p:txBody>` + paragraphs.String() + `</p:txBody></p:sp>`
}
