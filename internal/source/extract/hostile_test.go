package extract

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lectern.dev/lectern/internal/fault"
)

// roomy are limits that tests meet only where they mean to: the race detector
// multiplies memory and time.
var roomy = Limits{Wall: 10 * time.Minute, Silence: 10 * time.Minute, Memory: 4 << 30}

// Each kind of unreadable document has its own reason.
func TestRefusals(t *testing.T) {
	t.Parallel()
	scan := pdfFile{pages: make([][]ink, 3)}
	many := pdfFile{pages: make([][]ink, MaxPages+1)}
	encrypted := book(false)
	encrypted.trailer = "/Encrypt << /Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O <" + strings.Repeat("41", 32) + "> /U <" + strings.Repeat("42", 32) + "> >> /ID [<01> <01>]"
	whole := book(true).bytes()
	word := docxOf(wordParagraph("x", "text"))
	for name, c := range map[string]struct {
		format Format
		data   []byte
		reason string
	}{
		"empty file":           {PDF, nil, "no text in this document"},
		"white space":          {Text, []byte(" \n\t\n"), "no text in this document"},
		"only headings":        {Markdown, []byte("# One\n\n# Two\n"), "no text in this document"},
		"empty Word document":  {DOCX, docxOf(""), "no text in this document"},
		"no slides":            {PPTX, pptxOf(), "no text in this document"},
		"scanned PDF":          {PDF, scan.bytes(), "scanned"},
		"encrypted PDF":        {PDF, encrypted.bytes(), "password"},
		"encrypted Word":       {DOCX, []byte(ole + strings.Repeat("\x00", 600) + "E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00k\x00a\x00g\x00e\x00"), "password"},
		"too many pages":       {PDF, many.bytes(), "more than 2,000 pages"},
		"too many slides":      {PPTX, pptxOf(make([][2]string, MaxPages+1)...), "more than 2,000 pages"},
		"too large":            {Text, bytes.Repeat([]byte("word "), MaxBytes/5+1), "larger than 50 MB"},
		"too much text":        {Text, bytes.Repeat([]byte(strings.Repeat("a word and another one ", 100)+"\n\n"), maxText/2300+100), "more text than"},
		"truncated PDF":        {PDF, whole[:300], "damaged"},
		"truncated Word":       {DOCX, word[:len(word)/2], "damaged"},
		"old Word":             {DOCX, []byte(ole + strings.Repeat("\x00", 600)), "before 2007"},
		"Word as PowerPoint":   {PPTX, word, "another kind of ZIP archive"},
		"PDF as Word":          {DOCX, whole, "it is a PDF file"},
		"PDF as text":          {Text, whole, "it is a PDF file"},
		"PNG as PDF":           {PDF, []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), "it is a PNG image"},
		"PNG as Markdown":      {Markdown, []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), "it is a PNG image"},
		"text as PDF":          {PDF, []byte("just words"), "it is a text file"},
		"program as HTML":      {HTML, []byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00"), "it is a program"},
		"ZIP as text":          {Text, word, "it is a ZIP archive"},
		"binary as text":       {Text, []byte("\x01\x02\x03\x04\x05\x06\x00\x00\x10 abc"), "binary data"},
		"XML with a DTD":       {DOCX, zipOf(map[string]string{docxMain: `<!DOCTYPE x [<!ENTITY a "b">]><w:document><w:body><w:p><w:r><w:t>&a;</w:t></w:r></w:p></w:body></w:document>`}), "damaged"},
		"XML with a far DTD":   {DOCX, zipOf(map[string]string{docxMain: `<!DOCTYPE x SYSTEM "http://127.0.0.1/x"><w:document><w:body><w:p><w:r><w:t>a</w:t></w:r></w:p></w:body></w:document>`}), "damaged"},
		"part that is no XML":  {DOCX, zipOf(map[string]string{docxMain: "<w:document><w:body>"}), "damaged"},
		"presentation without": {PPTX, zipOf(map[string]string{pptxMain: `<p:presentation xmlns:r="r"><p:sldIdLst><p:sldId r:id="rId9"/></p:sldIdLst></p:presentation>`}), "no text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := extractBytes(t, c.format, c.data, roomy)
			refused(t, err)
			if !strings.Contains(fault.Message(err), c.reason) {
				t.Errorf("the reason is %q", fault.Message(err))
			}
		})
	}
}

// bomb is n bytes of white space in an XML part, packed to a thousandth.
func bomb(n int) string {
	return "<w:document><w:body>" + strings.Repeat(" ", n) + "</w:body></w:document>"
}

// patch changes the central directory entry of the i-th part of an archive.
func patch(data []byte, i, offset int, value uint32) []byte {
	data = bytes.Clone(data)
	at := 0
	for ; i >= 0; i-- {
		at += bytes.Index(data[at:], []byte("PK\x01\x02")) + 4
	}
	binary.LittleEndian.PutUint32(data[at-4+offset:], value)
	return data
}

func TestArchiveBombs(t *testing.T) {
	t.Parallel()
	var entries bytes.Buffer
	w := zip.NewWriter(&entries)
	for i := range maxParts + 1 {
		if _, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	two := zipOf(map[string]string{docxMain: "<a>" + strings.Repeat("b", 100) + "</a>", "z": "<a>" + strings.Repeat("b", 100) + "</a>"})
	evil := docxParts(wordParagraph("x", "fine"))
	for _, name := range []string{"../../evil", "/etc/evil", `..\evil`, "word/media/inner.zip"} {
		evil[name] = string(zipOf(map[string]string{"a": strings.Repeat(" ", 1<<20)}))
	}
	slides := pptxParts([2]string{slideShape("title", "A"), ""})
	slides["ppt/slides/slide1.xml"] = bomb(2 << 20)
	for name, c := range map[string]struct {
		format Format
		data   []byte
		reason string // "" when it can be read
	}{
		"flat":           {DOCX, zipOf(map[string]string{docxMain: bomb(2 << 20)}), errExpands.Message},
		"in the styles":  {DOCX, zipOf(map[string]string{docxMain: "<w:document/>", "word/styles.xml": bomb(2 << 20)}), errExpands.Message},
		"in a slide":     {PPTX, zipOf(slides), errExpands.Message},
		"many entries":   {DOCX, entries.Bytes(), errExpands.Message},
		"overlapping":    {DOCX, patch(two, 1, 42, 0), errExpands.Message},
		"claims 4 GB":    {DOCX, patch(two, 0, 24, 0xfffffff0), errExpands.Message},
		"claims 3 bytes": {DOCX, patch(two, 0, 24, 3), errBroken.Message},
		"deep elements":  {DOCX, docxOf(wordParagraph("x", "a") + strings.Repeat("<w:p>", 1000) + strings.Repeat("</w:p>", 1000)), errBroken.Message},
		"strange names":  {DOCX, zipOf(evil), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := extractBytes(t, c.format, c.data, roomy)
			if c.reason == "" {
				if err != nil || doc.Text != "fine" {
					t.Errorf("%v, %v", doc, err)
				}
				return
			}
			if got := fault.Message(err); got != c.reason {
				t.Errorf("the reason is %q: %v", got, err)
			}
		})
	}
}

// flate packs a stream n times.
func flate(s string, n int) string {
	for range n {
		var out bytes.Buffer
		w := zlib.NewWriter(&out)
		_, _ = io.WriteString(w, s)
		_ = w.Close()
		s = out.String()
	}
	return s
}

// Poppler may find something or nothing in these, but not take long or much, and
// nothing happens to us.
func TestMalformedPDF(t *testing.T) {
	t.Parallel()
	good := string(book(true).bytes())
	replace := func(old, new string) []byte {
		if !strings.Contains(good, old) {
			t.Fatalf("the book has no %q", old)
		}
		return []byte(strings.Replace(good, old, new, 1))
	}
	packed := flate(strings.Repeat("BT /F1 9 Tf (x) Tj ET ", 1<<20), 2)
	for name, data := range map[string][]byte{
		"huge xref":          replace("/Size", "/Size 1000000000 /Old"),
		"cyclic pages":       replace("/Kids [7 0 R", "/Kids [2 0 R"),
		"cyclic outline":     replace("/First 16 0 R", "/First 15 0 R"),
		"own next":           replace("/Next 17 0 R", "/Next 16 0 R"),
		"split contents":     replace("/Contents 8 0 R", "/Contents ["+strings.Repeat("8 0 R ", 10000)+"]"),
		"unterminated hex":   replace("(The Book of Networks) >>", "<414243"),
		"negative count":     replace("/Count 4", "/Count -2147483648"),
		"deep arrays":        replace("/Kids [", "/Kids "+strings.Repeat("[", 100_000)),
		"endless string":     replace("(1 Cables", strings.Repeat("(", 100_000)+"(1 Cables"),
		"recursive contents": replace("/Contents 8 0 R", "/Contents 7 0 R"),
		"packed twice":       replace("/Contents 8 0 R", fmt.Sprintf("/Contents %d 0 R", book(true).next())),
		"only a header":      []byte("%PDF-1.7\n"),
		"header at the end":  append(bytes.Repeat([]byte(" "), 1000), []byte("%PDF-1.7\n%%EOF")...),
	} {
		if name == "packed twice" {
			f := book(true)
			f.objects = []string{fmt.Sprintf("<< /Length %d /Filter [/FlateDecode /FlateDecode] >>\nstream\n%s\nendstream", len(packed), packed)}
			data = bytes.Replace(f.bytes(), []byte("/Contents 8 0 R"), fmt.Appendf(nil, "/Contents %d 0 R", f.next()), 1)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			_, err := extractBytes(t, PDF, data, Limits{Wall: 4 * time.Second, Silence: 4 * time.Second, Memory: 256 << 20})
			if err != nil {
				refused(t, err)
			}
			if took := time.Since(begun); took > 30*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// mutate changes a few places of a file: bytes flipped, stretches repeated, cut or
// swapped for numbers at the limits.
func mutate(r *rand.Rand, data []byte) []byte {
	data = bytes.Clone(data)
	for range 1 + r.IntN(8) {
		if len(data) < 16 {
			return data
		}
		at := r.IntN(len(data) - 8)
		n := 1 + r.IntN(min(64, len(data)-at))
		switch r.IntN(5) {
		case 0:
			data[at] ^= byte(1 << r.IntN(8))
		case 1:
			data = append(data[:at], data[at+n:]...)
		case 2:
			data = append(data[:at+n:at+n], append(bytes.Repeat(data[at:at+n], 1+r.IntN(50)), data[at+n:]...)...)
		case 3:
			copy(data[at:], []string{"-1", "4294967296", "\x00\x00\x00\x00", "\xff\xff\xff\xff", "<<", "]]"}[r.IntN(6)])
		case 4:
			data = data[:at]
		}
	}
	return data
}

func TestMutatedPDF(t *testing.T) {
	t.Parallel()
	good := book(true).bytes()
	for i := range 20 {
		_, err := extractBytes(t, PDF, mutate(rand.New(rand.NewPCG(1, uint64(i))), good), roomy)
		if err != nil {
			refused(t, err)
		}
	}
}

// What Poppler makes of a mutated file is read in this process, where a panic
// would show.
func TestMutatedPages(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "book.pdf")
	if err := os.WriteFile(path, book(true).bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	pages, err := exec.Command("pdftohtml", "-xml", "-i", "-noroundcoord", "-fontfullname", "-stdout", path).Output()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	for i := range 500 {
		b := &builder{progress: func(int, int) {}}
		doc, err := parsePDF(bytes.NewReader(mutate(rand.New(rand.NewPCG(3, uint64(i))), pages)), b)
		if err == nil {
			err = doc.blocks(b)
		}
		if err != nil {
			refused(t, err)
		}
	}
}

// The parsers written in Go are run in this process: a panic would show.
func TestMutatedDocuments(t *testing.T) {
	t.Parallel()
	packed := func(parts map[string]string, r *rand.Rand) []byte {
		for name, content := range parts { // inside the archive, where deflate would hide the change
			if r.IntN(2) == 0 {
				parts[name] = string(mutate(r, []byte(content)))
			}
		}
		return zipOf(parts)
	}
	html := []byte(`<html lang=en><ul><li>a<ol><li>b</ol><pre class="language-x">c</pre></ul><table><tr><td colspan=2>d<td>e</table><dl><dt>f<dd>g</dl><blockquote>h</blockquote>`)
	markdown := []byte("# a\n\n- b\n  1. c\n\n```x\nd\n```\n\n|e|f|\n|-|-|\n|g|h|\n\n> i\n\n<div>j</div>\n\nTerm\n: k\n\nl[^1]\n\n[^1]: m\n")
	text := []byte("TITLE\n\nA\n===\n\n- b\n  c\n\n    d\n\n1.2 Heading\n\f\nPage\n")
	for i := range 100 {
		r := rand.New(rand.NewPCG(2, uint64(i)))
		for format, data := range map[Format][]byte{
			DOCX:     packed(docxParts(wordParagraph("Kapitel", "a")+`<w:tbl><w:tr><w:tc><w:p/></w:tc></w:tr></w:tbl>`), r),
			PPTX:     packed(pptxParts([2]string{slideShape("title", "a") + slideShape("body", "b\n\tc"), "d"}), r),
			HTML:     mutate(r, html),
			Markdown: mutate(r, markdown),
			Text:     mutate(r, text),
		} {
			if _, err := parseBytes(t, format, data); err != nil && !fault.Is(err, fault.Invalid) {
				t.Errorf("%s %d: %v", format, i, err)
			}
		}
	}
}

// Documents that are slow or large to parse end the child, not its parent.
func TestLimits(t *testing.T) {
	t.Parallel()
	stars := bytes.Repeat([]byte("*a* `b` "), 1<<20)
	for name, c := range map[string]struct {
		limits Limits
		want   error
	}{
		"memory":  {Limits{Wall: time.Minute, Silence: time.Minute, Memory: 64 << 20}, errMemory},
		"wall":    {Limits{Wall: 300 * time.Millisecond, Silence: time.Minute, Memory: 4 << 30}, errTime},
		"silence": {Limits{Wall: time.Minute, Silence: 300 * time.Millisecond, Memory: 4 << 30}, errTime},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			_, err := extractBytes(t, Markdown, stars, c.limits)
			if !errors.Is(err, c.want) {
				t.Errorf("%v", err)
			}
			if took := time.Since(begun); took > 40*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// When the caller goes away, or a limit is met, Poppler goes with the child.
func TestNoProcessIsLeft(t *testing.T) {
	t.Parallel()
	needPoppler(t)
	f := book(true)
	for range 1500 {
		f.pages = append(f.pages, f.pages[1])
	}
	path := filepath.Join(t.TempDir(), "left-behind")
	if err := os.WriteFile(path, f.bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := Extract(ctx, path, PDF, roomy, func(page, pages int) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	for deadline := time.Now().Add(time.Minute); running(t, path) > 0; {
		if time.Now().After(deadline) {
			t.Fatal("processes are left")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// running counts the processes whose command line names path.
func running(t *testing.T, path string) int {
	t.Helper()
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range commands {
		if line, err := os.ReadFile(c); err == nil && bytes.Contains(line, []byte(path)) {
			n++
		}
	}
	return n
}

func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := errors.Join(os.Mkdir("in", 0o700), os.WriteFile("in/a.pdf", book(false).bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Extract(t.Context(), "in/a.pdf", PDF, roomy, nil); err != nil && !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
}

func TestWithoutPoppler(t *testing.T) {
	t.Setenv("PATH", "")
	path := filepath.Join(t.TempDir(), "document")
	if err := os.WriteFile(path, book(false).bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Extract(t.Context(), path, PDF, DefaultLimits, nil); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
}
