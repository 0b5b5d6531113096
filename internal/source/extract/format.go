package extract

import (
	"bytes"
	"mime"
	"path"
	"strings"
)

// Format is a type of document that can be read.
type Format string

// The formats.
const (
	Markdown Format = "markdown"
	Text     Format = "text"
	HTML     Format = "html"
	PDF      Format = "pdf"
	DOCX     Format = "docx"
	PPTX     Format = "pptx"
)

// formats tells each format's media type and file name extensions; the first
// of them is the usual one.
var formats = []struct {
	format     Format
	name       string // for people
	mediaType  string
	extensions []string
}{
	{Markdown, "Markdown", "text/markdown", []string{".md", ".markdown"}},
	{Text, "plain text", "text/plain", []string{".txt", ".text"}},
	{HTML, "HTML", "text/html", []string{".html", ".htm", ".xhtml"}},
	{PDF, "PDF", "application/pdf", []string{".pdf"}},
	{DOCX, "a Word document", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", []string{".docx"}},
	{PPTX, "a PowerPoint presentation", "application/vnd.openxmlformats-officedocument.presentationml.presentation", []string{".pptx"}},
}

// FormatOf tells the format that a media type and a file name declare. The name's
// extension decides, since browsers know few media types; ok is false when
// neither names a format that can be read.
func FormatOf(mediaType, name string) (f Format, ok bool) {
	extension := strings.ToLower(path.Ext(name))
	for _, known := range formats {
		for _, e := range known.extensions {
			if e == extension {
				return known.format, true
			}
		}
	}
	base, _, _ := mime.ParseMediaType(mediaType)
	for _, known := range formats {
		if extension == "" && (known.mediaType == base || base == "application/xhtml+xml" && known.format == HTML) {
			return known.format, true
		}
	}
	return "", false
}

// MediaType is the type under which the format travels.
func (f Format) MediaType() string {
	for _, known := range formats {
		if known.format == f {
			return known.mediaType
		}
	}
	return "application/octet-stream"
}

func (f Format) person() string {
	for _, known := range formats {
		if known.format == f {
			return known.name
		}
	}
	return string(f)
}

// signatures are the first bytes of files that are sent by mistake, or in disguise.
var signatures = []struct{ magic, name string }{
	{"\x89PNG\r\n", "a PNG image"},
	{"\xff\xd8\xff", "a JPEG image"},
	{"GIF8", "a GIF image"},
	{"RIFF", "an image or sound file"},
	{"BM", "a bitmap image"},
	{"\x7fELF", "a program"},
	{"MZ", "a program"},
	{"\x1f\x8b", "a gzip archive"},
	{"BZh", "a bzip2 archive"},
	{"\xfd7zXZ", "an xz archive"},
	{"7z\xbc\xaf", "a 7-Zip archive"},
	{"Rar!", "a RAR archive"},
	{"{\\rtf", "a rich text file"},
	{"ID3", "a sound file"},
	{"OggS", "a sound or video file"},
	{"\x00\x00\x01\x00", "an icon"},
	{"%!PS", "a PostScript file"},
	{"SQLite format 3", "a database"},
}

// ole is how the Office files before 2007 begin, and the encrypted ones of today.
const ole = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

// check holds what a file is against what it is said to be, by its first bytes.
func (f Format) check(head []byte) error {
	if len(bytes.TrimSpace(head)) == 0 {
		return errEmpty
	}
	binary := f == PDF || f == DOCX || f == PPTX
	switch {
	case bytes.Contains(head[:min(len(head), 1024)], []byte("%PDF-")) && (binary || bytes.HasPrefix(head, []byte("%PDF-"))):
		if f != PDF {
			return wrongType(f.person(), "a PDF file")
		}
		return nil
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		if f != DOCX && f != PPTX {
			return wrongType(f.person(), "a ZIP archive or an Office file")
		}
		return nil
	case bytes.HasPrefix(head, []byte(ole)):
		if encrypted := []byte("E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00k\x00a\x00g\x00e\x00"); bytes.Contains(head, encrypted) {
			return errEncrypted
		}
		return wrongType(f.person(), "an Office file of the old kind (before 2007)")
	}
	for _, s := range signatures {
		if bytes.HasPrefix(head, []byte(s.magic)) && (binary || !printable(head)) {
			return wrongType(f.person(), s.name)
		}
	}
	if f == PDF && printable(head) {
		return wrongType(f.person(), "a text file")
	}
	if binary {
		return wrongType(f.person(), "something else")
	}
	return nil
}

// printable tells whether the beginning of a file is text, whatever it says.
func printable(head []byte) bool {
	_, err := decodeText(head)
	return err == nil && !bytes.ContainsRune(head, 0)
}
