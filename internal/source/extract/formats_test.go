package extract

import (
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

func TestFormats(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		format   Format
		data     []byte
		title    string
		language string
		want     string
	}{
		"markdown": {Markdown, []byte(`---
title: "Front matter"
---
# 1. First &amp; foremost

Some *words* in
two lines, with ` + "`code`" + ` and a [link](http://example.org). A footnote.[^1]

Chapter
=======

- one
- two

  more of two
  1. inner

         indented
- three

` + "```go\nfunc main() {\n\n\tx()\n}\n```" + `

| A | B \| C |
|---|---|
| 1 |   |

> Said by
> somebody.

<div><h3>Raw</h3><p>HTML &lt;kept&gt;</p><script>no()</script></div>

[^1]: dropped
`), "Front matter", "", `heading 1: First & foremost
prose: Some words in two lines, with code and a link. A footnote.
heading 1: Chapter
list: - one
- two more of two
  1. inner
code: indented
list: - three
code go: func main() {

	x()
}
table: | A | B \| C |
| --- | --- |
| 1 |  |
quote: Said by somebody.
heading 3: Raw
prose: HTML <kept>
`},
		"text": {Text, []byte(`THE TITLE

A paragraph that is
broken into lines, and that is of no interest to anybody who reads it.

1.2 A numbered section

- one
  goes on
- two

    indented code

    goes on

Underlined
----------
The end of it all.
`), "THE TITLE", "en", `heading 1: THE TITLE
prose: A paragraph that is broken into lines, and that is of no interest to anybody who reads it.
heading 2: A numbered section
list: - one goes on
- two
code: indented code

goes on
heading 2: Underlined
prose: The end of it all.
`},
		"text in pages": {Text, []byte("First page.\fSecond page."), "", "", "prose p1: First page.\nprose p2: Second page.\n"},
		"html": {HTML, []byte(`<!DOCTYPE html><html lang="de-AT"><head><title>Netze – Seite</title><script>x</script></head><body>
<nav><ul><li><a href="/">Start</a></li></ul></nav>
<header><h1>Netze</h1></header>
<div class="toc"><a href="#a">A</a></div>
<p>Ein <b>Netz</b><br>verbindet<sup><a href="#f1">1</a></sup> Ger&auml;te.
<ul><li>eins<ul><li>eins a</li></ul></li><li><p>zwei</p><p>noch zwei</p><pre><code class="language-sh">ping  -c 1</code></pre>danach</li></ul>
<ul><li><a href="1">Impressum</a></li><li><a href="2">Datenschutz</a></li><li><a href="3">Kontakt</a></li></ul>
<dl><dt>Router</dt><dd>verbindet Netze</dd></dl>
<table><caption>Adressen</caption><tr><th>Bereich</th><th>Ort</th></tr><tr><td>10/8</td><td>Firmen</td></tr></table>
<table role="presentation"><tr><td><h2>Im Raster</h2></td></tr><tr><td><p>Text im Raster</p></td></tr></table>
<blockquote><p>Gesagt.</p><p>Getan.</p></blockquote>
<div hidden>unsichtbar</div><p style="display: none">auch nicht</p>
<h3>Hinweis</h3><p>Merke das.</p>
<footer><p>Alle Rechte vorbehalten</p></footer></body></html>`), "Netze", "de", `heading 1: Netze
prose: Ein Netz verbindet Geräte.
list: - eins
  - eins a
- zwei noch zwei
code sh: ping  -c 1
prose: danach
list: - Router: verbindet Netze
prose: Adressen
table: | Bereich | Ort |
| --- | --- |
| 10/8 | Firmen |
heading 2: Im Raster
prose: Text im Raster
quote: Gesagt.
Getan.
prose: Hinweis: Merke das.
`},
		"docx": {DOCX, docxOf(
			wordParagraph("Titel", "Networks") +
				wordParagraph("Verzeichnis1", "Cables ... 2") +
				wordParagraph("Kapitel", "2.1 Cables") +
				`<w:p><w:r><w:t xml:space="preserve">A cable </w:t></w:r><w:del><w:r><w:delText>was</w:delText></w:r></w:del><w:ins><w:r><w:t>is</w:t></w:r></w:ins><w:r><w:instrText>PAGE</w:instrText><w:t xml:space="preserve"> fast</w:t><w:noBreakHyphen/><w:t>ish.</w:t></w:r></w:p>` +
				`<w:p><w:pPr><w:numPr><w:ilvl w:val="0"/><w:numId w:val="3"/></w:numPr></w:pPr><w:r><w:t>first</w:t></w:r></w:p>` +
				`<w:p><w:pPr><w:numPr><w:ilvl w:val="1"/><w:numId w:val="3"/></w:numPr></w:pPr><w:r><w:t>inner</w:t></w:r></w:p>` +
				`<w:p><w:pPr><w:numPr><w:ilvl w:val="0"/><w:numId w:val="3"/></w:numPr></w:pPr><w:r><w:t>second</w:t></w:r></w:p>` +
				wordParagraph("Eigen", "A level of my own") +
				wordParagraph("Quelltext", "if up:") + wordParagraph("Quelltext", "    ping()") +
				`<w:p><w:r><w:rPr><w:rFonts w:ascii="Courier New"/></w:rPr><w:t>done()</w:t></w:r></w:p>` +
				wordParagraph("Zitat", "It works.") +
				`<w:tbl><w:tr><w:tc><w:p><w:r><w:t>Range</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>Where</w:t></w:r></w:p></w:tc></w:tr><w:tr><w:tc><w:p><w:r><w:t>10/8</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>Firms</w:t></w:r></w:p></w:tc></w:tr></w:tbl>` +
				`<w:p><w:r><w:lastRenderedPageBreak/><mc:AlternateContent xmlns:mc="mc"><mc:Choice><w:drawing><w:txbxContent><w:p><w:r><w:t>In a box.</w:t></w:r></w:p></w:txbxContent></w:drawing></mc:Choice><mc:Fallback><w:pict><w:txbxContent><w:p><w:r><w:t>In a box.</w:t></w:r></w:p></w:txbxContent></w:pict></mc:Fallback></mc:AlternateContent></w:r></w:p>`,
		), "Networks", "en", `heading 1 p1: Networks
heading 1 p1: Cables
prose p1: A cable is fast-ish.
list p1: 1. first
  - inner
2. second
heading 2 p1: A level of my own
code p1: if up:
    ping()
done()
quote p1: It works.
table p1: | Range | Where |
| --- | --- |
| 10/8 | Firms |
prose p2: In a box.
`},
		"pptx": {PPTX, pptxOf(
			[2]string{slideShape("subTitle", "A short course") + slideShape("ctrTitle", "Networks"), ""},
			[2]string{slideShape("title", "Cables") + slideShape("body", "fast\n\tvery fast\nsafe") + slideShape("sldNum", "2") + slideShape("ftr", "Footer"), "Tell them about\ncopper."},
			[2]string{slideShape("title", "Ranges") + `<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tr><a:tc><a:txBody><a:p><a:r><a:t>Range</a:t></a:r></a:p></a:txBody></a:tc><a:tc><a:txBody><a:p><a:r><a:t>Where</a:t></a:r></a:p></a:txBody></a:tc></a:tr><a:tr><a:tc><a:txBody><a:p><a:r><a:t>10/8</a:t></a:r></a:p></a:txBody></a:tc><a:tc><a:txBody><a:p><a:r><a:t>Firms</a:t></a:r></a:p></a:txBody></a:tc></a:tr></a:tbl></a:graphicData></a:graphic></p:graphicFrame>` +
				`<p:sp><p:nvSpPr><p:nvPr/></p:nvSpPr><p:txBody><a:p><a:r><a:rPr><a:latin typeface="Consolas"/></a:rPr><a:t>ip route</a:t></a:r></a:p></p:txBody></p:sp>`, ""},
		), "Networks", "", `heading 1 p1: Networks
prose p1: A short course
heading 2 p2: Cables
list p2: - fast
  - very fast
- safe
prose p2: Tell them about
prose p2: copper.
heading 2 p3: Ranges
table p3: | Range | Where |
| --- | --- |
| 10/8 | Firms |
code p3: ip route
`},
		"pdf with an outline": {PDF, book(true).bytes(), "The Book of Networks", "en", bookBlocks},
		"pdf without":         {PDF, book(false).bytes(), "The Book of Networks", "en", bookBlocks},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := extractBytes(t, c.format, c.data, roomy)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, render(doc)); diff != "" {
				t.Error(diff)
			}
			if doc.Title != c.title || doc.Language != c.language {
				t.Errorf("title %q, language %q", doc.Title, doc.Language)
			}
			text := []rune(doc.Text)
			for _, b := range doc.Blocks {
				if got := string(text[b.Start:b.End]); got != b.Text {
					t.Errorf("offsets %d–%d give %q, the block is %q", b.Start, b.End, got, b.Text)
				}
			}
		})
	}
}

const bookBlocks = `heading 1 p2: Cables
prose p2: A cable is faster, steadier and safer than a radio connection, and it is also considerably cheaper. The twisted-pair cable has eight wires which end in a plastic plug, and a twisted-pair cable may be one hundred meters long.
prose p2: These are its parts:
list p2: - wires of copper that are twisted in pairs so that they do not pick up any of the disturbances of the air
- a plug
code p2: for port in ports:
    if port.up:
        print(port)
prose p2: The last paragraph of this page is so long that it does not end here but goes on where the next page begins.
heading 1 p3: Addresses
heading 2 p3: Private ranges
table p3: | Range | Where |
| --- | --- |
| 10.0.0.0 | Companies |
| 192.168.0.0 | Homes and small offices |
heading 2 p3: Leases
prose p3: An address is lent for a day.
heading 1 p4: Names
prose p4: People remember names.
`

// Two columns are read one after the other.
func TestColumns(t *testing.T) {
	t.Parallel()
	var page []ink
	left, right := "", ""
	for i := range 14 {
		y := 700 - 14*float64(i)
		l := "left column words which fill the line " + string(rune('a'+i))
		r := "right column words which fill a line " + string(rune('a'+i))
		page = append(page, ink{"F1", 11, 60, y, l}, ink{"F1", 11, 320, y, r})
		left, right = left+" "+l, right+" "+r
	}
	page = append(page, ink{"F2", 20, 150, 760, "A title over both columns"})
	doc, err := extractBytes(t, PDF, pdfFile{pages: [][]ink{page}}.bytes(), roomy)
	if err != nil {
		t.Fatal(err)
	}
	want := "heading 1 p1: A title over both columns\nprose p1:" + left + right + "\n"
	if diff := cmp.Diff(want, render(doc)); diff != "" {
		t.Error(diff)
	}
}

// Whatever characters a document holds are kept, converted or refused, and come
// out as text that a database takes.
func TestCharacters(t *testing.T) {
	t.Parallel()
	utf16le := func(s string, bom bool) []byte {
		var out []byte
		if bom {
			out = append(out, 0xff, 0xfe)
		}
		for _, u := range utf16.Encode([]rune(s)) {
			out = append(out, byte(u), byte(u>>8))
		}
		return out
	}
	for name, c := range map[string]struct {
		format Format
		data   []byte
		want   string // "" when it is refused
	}{
		"UTF-8 with a mark":        {Text, []byte("\xef\xbb\xbfGrüße"), "Grüße"},
		"UTF-16 with a mark":       {Text, utf16le("Grüße 🙂", true), "Grüße 🙂"},
		"UTF-16 without":           {Text, utf16le("Viele Grüße aus dem Norden", false), "Viele Grüße aus dem Norden"},
		"Windows-1252":             {Text, []byte("Gr\xfc\xdfe \x96 \x80 5"), "Grüße – € 5"},
		"HTML in Shift JIS":        {HTML, []byte("<meta charset=shift_jis><p>\x93\xfa\x96\x7b\x8c\xea</p>"), "日本語"},
		"HTML without a charset":   {HTML, []byte("<p>Gr\xfc\xdfe</p>"), "Grüße"},
		"a NUL":                    {Markdown, []byte("be\x00fore and a good deal of text behind it, so that the file is text"), "be\uFFFDfore and a good deal of text behind it, so that the file is text"},
		"a NUL in HTML":            {HTML, []byte("<meta charset=utf-8><p>a&#0;b\x00c</p>"), "a\uFFFDbc"},
		"a lone surrogate":         {HTML, []byte("<p>a&#xD800;b</p>"), "a\uFFFDb"},
		"a surrogate in XML":       {DOCX, docxOf(`<w:p><w:r><w:t>a&#xD800;b</w:t></w:r></w:p>`), "a\uFFFDb"},
		"a NUL in XML":             {DOCX, docxOf("<w:p><w:r><w:t>a&#0;b</w:t></w:r></w:p>"), ""},
		"decomposed":               {Text, []byte("Gru\u0308ße"), "Grüße"},
		"soft hyphens, zero width": {Text, []byte("Netz\u00adwerk\u200b und\u00a0mehr"), "Netzwerk und mehr"},
		"ligatures":                {Text, []byte("eﬃcient ﬁle"), "efficient file"},
		"line separators":          {Text, []byte("a\u2028b\r\nc\rd"), "a b c d"},
		"an emoji of many parts":   {Text, []byte("👩\u200d👩\u200d👧"), "👩\u200d👩\u200d👧"},
		"combining marks":          {Text, []byte("x" + strings.Repeat("\u0301", 3000) + " and words"), "x" + strings.Repeat("\u0301", 3000) + " and words"},
		"bidirectional":            {Text, []byte("abc \u202eשלום\u202c def"), "abc \u202eשלום\u202c def"},
		"binary as text":           {Text, []byte("\x01\x02\x03\x04 a"), ""},
	} {
		doc, err := parseBytes(t, c.format, c.data)
		if c.want == "" {
			if err == nil {
				t.Errorf("%s: not refused: %q", name, doc.Text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		doc.assemble()
		if name == "combining marks" {
			if strings.Count(doc.Text, "\u0301") < 2999 || !strings.HasSuffix(doc.Text, " and words") {
				t.Errorf("%s: %d bytes left", name, len(doc.Text))
			}
			continue
		}
		if doc.Text != c.want {
			t.Errorf("%s: %q, not %q", name, doc.Text, c.want)
		}
	}
}

func TestDetectLanguage(t *testing.T) {
	t.Parallel()
	for want, text := range map[string]string{
		"en": "The router joins the home to the internet and lends an address to each of the devices that are in it.",
		"de": "Der Router verbindet das Heim mit dem Internet und gibt jedem der Geräte, die es dort gibt, eine Adresse.",
		"fr": "Le routeur relie la maison à l'internet et donne une adresse à chacun des appareils qui sont dans la maison.",
		"es": "El router une la casa con la internet y da una dirección a cada uno de los aparatos que están en la casa.",
		"it": "Il router collega la casa con la rete e dà un indirizzo a ognuno degli apparecchi che sono nella casa.",
		"pt": "O roteador liga a casa com a internet e dá um endereço a cada um dos aparelhos que estão em casa, mas não mais.",
		"nl": "De router verbindt het huis met het internet en geeft een adres aan elk van de apparaten die er in zijn.",
		"sv": "Routern förbinder hemmet med internet och ger en adress till var och en av de apparater som är i det, för att det är så.",
		"pl": "Router łączy dom z internetem i nadaje adres każdemu z urządzeń, które są w nim, a to jest już wszystko, co robi.",
		"ru": "Маршрутизатор соединяет дом с интернетом и даёт адрес каждому из устройств, которые в нём есть, как это и должно быть.",
		"ja": "ルーターは家の機器をインターネットに接続し、それぞれにアドレスを割り当てます。",
		"zh": "路由器把家里的设备连接到互联网，并且给每台设备分配一个地址。",
		"ko": "라우터는 집 안의 기기를 인터넷에 연결합니다.",
		"el": "Ο δρομολογητής συνδέει το σπίτι με το διαδίκτυο.",
		"ar": "يربط جهاز التوجيه المنزل بالإنترنت.",
		"tr": "Yönlendirici, ev ile internet bağlantısını kurar ve her cihaz için bir adres verir; bu da çok önemli, ancak ne kadar sonra ve daha fazla.",
		"":   "Xyzzy plugh.",
	} {
		if got := detectLanguage([]Block{{Kind: Prose, Text: text}}, ""); got != want {
			t.Errorf("%q is taken for %q", text, got)
		}
	}
	if got := detectLanguage([]Block{{Kind: Prose, Text: "Xyzzy."}}, "pt-BR"); got != "pt" {
		t.Errorf("declared pt-BR gives %q", got)
	}
}

func TestFormatOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mediaType, name string
		want            Format
		ok              bool
	}{
		{"text/markdown", "a.md", Markdown, true},
		{"application/octet-stream", "A.DOCX", DOCX, true},
		{"text/plain", "notes.md", Markdown, true},
		{"text/html; charset=utf-8", "page", HTML, true},
		{"", "a.htm", HTML, true},
		{"application/pdf", "a.exe", "", false},
		{"image/png", "a", "", false},
		{"", "", "", false},
	} {
		if got, ok := FormatOf(c.mediaType, c.name); got != c.want || ok != c.ok {
			t.Errorf("%q %q: %q %v", c.mediaType, c.name, got, ok)
		}
	}
}
