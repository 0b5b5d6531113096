package extract

import (
	"bytes"
	"fmt"
	"strings"
)

// ink is a line of text on a page of a PDF: y grows upwards from the page's foot.
type ink struct {
	font string // "F1" Helvetica, "F2" Helvetica-Bold, "F3" Courier
	size float64
	x, y float64
	text string
}

// bookmark is an entry of a PDF's outline.
type bookmark struct {
	title string
	page  int // 1-based
}

// pdfFile makes PDF files as simple as they can be, without compression, so that
// tests can also break them on purpose.
type pdfFile struct {
	pages     [][]ink
	bookmarks []bookmark
	title     string
	trailer   string   // more entries of the trailer
	objects   []string // more objects; the first has the number next()
}

func (f pdfFile) next() int { return 6 + 2*len(f.pages) + 1 + len(f.bookmarks) }

// bytes writes objects 1 catalog, 2 pages, 3–5 fonts, 6 information, then a page and its
// content each, then the outline.
func (f pdfFile) bytes() []byte {
	n := len(f.pages)
	outline := 7 + 2*n
	var kids []string
	for i := range f.pages {
		kids = append(kids, fmt.Sprintf("%d 0 R", 7+2*i))
	}
	catalog := "<< /Type /Catalog /Pages 2 0 R >>"
	if len(f.bookmarks) > 0 {
		catalog = fmt.Sprintf("<< /Type /Catalog /Pages 2 0 R /Outlines %d 0 R >>", outline)
	}
	objects := []string{
		catalog,
		fmt.Sprintf("<< /Type /Pages /Kids [%s] /Count %d >>", strings.Join(kids, " "), n),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
		"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
		fmt.Sprintf("<< /Title (%s) >>", f.title),
	}
	for i, page := range f.pages {
		objects = append(objects,
			fmt.Sprintf("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R /Resources << /Font << /F1 3 0 R /F2 4 0 R /F3 5 0 R >> >> >>", 8+2*i),
			contentOf(page))
	}
	if m := len(f.bookmarks); m > 0 {
		objects = append(objects, fmt.Sprintf("<< /Type /Outlines /First %d 0 R /Last %d 0 R /Count %d >>", outline+1, outline+m, m))
		for i, b := range f.bookmarks {
			entry := fmt.Sprintf("<< /Title (%s) /Parent %d 0 R /Dest [%d 0 R /Fit]", b.title, outline, 7+2*(b.page-1))
			if i > 0 {
				entry += fmt.Sprintf(" /Prev %d 0 R", outline+i)
			}
			if i < m-1 {
				entry += fmt.Sprintf(" /Next %d 0 R", outline+i+2)
			}
			objects = append(objects, entry+" >>")
		}
	}
	objects = append(objects, f.objects...)
	var out bytes.Buffer
	out.WriteString("%PDF-1.4\n")
	offsets := make([]int, len(objects))
	for i, o := range objects {
		offsets[i] = out.Len()
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	xref := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, at := range offsets {
		fmt.Fprintf(&out, "%010d 00000 n \n", at)
	}
	fmt.Fprintf(&out, "trailer\n<< /Size %d /Root 1 0 R /Info 6 0 R %s >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, f.trailer, xref)
	return out.Bytes()
}

func contentOf(page []ink) string {
	var stream strings.Builder
	for _, i := range page {
		text := strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(i.text)
		fmt.Fprintf(&stream, "BT /%s %g Tf %g %g Td (%s) Tj ET\n", i.font, i.size, i.x, i.y, text)
	}
	return fmt.Sprintf("<< /Length %d >>\nstream\n%sendstream", stream.Len(), stream.String())
}

// book is a PDF with what makes real ones hard to read: running titles, page
// numbers, contents, hyphens, paragraphs across pages, columns of a table, code.
func book(bookmarks bool) pdfFile {
	running := func(page int, rows ...ink) []ink {
		return append([]ink{
			{"F1", 9, 72, 810, "The Book of Networks"},
			{"F1", 9, 300, 30, fmt.Sprint(page)},
		}, rows...)
	}
	f := pdfFile{
		title: "The Book of Networks",
		pages: [][]ink{
			running(1,
				ink{"F2", 20, 72, 760, "Contents"},
				ink{"F1", 11, 72, 730, "1 Cables . . . . . . . . . . . . . . . . . 2"},
				ink{"F1", 11, 72, 715, "2 Addresses . . . . . . . . . . . . . . . 3"},
				ink{"F1", 11, 72, 700, "2.1 Private ranges . . . . . . . . . . . . 3"},
				ink{"F1", 11, 72, 685, "2.2 Leases . . . . . . . . . . . . . . . . 3"},
				ink{"F1", 11, 72, 670, "3 Names . . . . . . . . . . . . . . . . . . 4"}),
			running(2,
				ink{"F2", 20, 72, 760, "1 Cables"},
				ink{"F1", 11, 72, 730, "A cable is faster, steadier and safer than a radio connection, and it is also con-"},
				ink{"F1", 11, 72, 716, "siderably cheaper. The twisted-pair cable has eight wires which end in a plastic plug,"},
				ink{"F1", 11, 72, 702, "and a twisted-"},
				ink{"F1", 11, 72, 688, "pair cable may be one hundred meters long."},
				ink{"F1", 11, 72, 660, "These are its parts:"},
				ink{"F1", 11, 72, 640, "\x95 wires of copper that are twisted in pairs so that they do not pick up any of the"},
				ink{"F1", 11, 84, 626, "disturbances of the air"},
				ink{"F1", 11, 72, 606, "\x95 a plug"},
				ink{"F3", 10, 72, 570, "for port in ports:"},
				ink{"F3", 10, 96, 558, "if port.up:"},
				ink{"F3", 10, 120, 546, "print(port)"},
				ink{"F1", 11, 72, 515, "The last paragraph of this page is so long that it does not end here but goes on where"}),
			running(3,
				ink{"F1", 11, 72, 760, "the next page begins."},
				ink{"F2", 20, 72, 720, "2 Addresses"},
				ink{"F2", 14, 72, 690, "2.1 Private ranges"},
				ink{"F2", 11, 72, 660, "Range"}, ink{"F2", 11, 250, 660, "Where"},
				ink{"F1", 11, 72, 644, "10.0.0.0"}, ink{"F1", 11, 250, 644, "Companies"},
				ink{"F1", 11, 72, 628, "192.168.0.0"}, ink{"F1", 11, 250, 628, "Homes and small"},
				ink{"F1", 11, 250, 614, "offices"},
				ink{"F2", 14, 72, 570, "2.2 Leases"},
				ink{"F1", 11, 72, 540, "An address is lent for a day."}),
			running(4,
				ink{"F2", 20, 72, 760, "3 Names"},
				ink{"F1", 11, 72, 730, "People remember names."}),
		},
	}
	if bookmarks {
		f.bookmarks = []bookmark{{"Cables", 2}, {"Addresses", 3}, {"Names", 4}}
	}
	return f
}
