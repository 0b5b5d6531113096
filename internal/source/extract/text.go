package extract

import (
	"bytes"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	uni "golang.org/x/text/encoding/unicode"
)

// decodeText gives the text of a file that declares no encoding: a byte order
// mark decides, then whether it is valid UTF-8, then whether it looks like UTF-16;
// what remains is taken for Windows-1252, the usual legacy encoding.
func decodeText(data []byte) ([]byte, error) {
	var decoded []byte
	var err error
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		decoded = data[3:]
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		decoded, err = uni.UTF16(uni.LittleEndian, uni.ExpectBOM).NewDecoder().Bytes(data)
	case zeros(data, 1):
		decoded, err = uni.UTF16(uni.LittleEndian, uni.IgnoreBOM).NewDecoder().Bytes(data)
	case zeros(data, 0):
		decoded, err = uni.UTF16(uni.BigEndian, uni.IgnoreBOM).NewDecoder().Bytes(data)
	case utf8.Valid(data):
		decoded = data
	default:
		decoded, err = charmap.Windows1252.NewDecoder().Bytes(data)
	}
	if err != nil || tooManyControls(decoded) {
		return nil, errNotText
	}
	return decoded, nil
}

// zeros tells whether nearly every second byte, beginning at first, is zero while
// the others are not: Latin text in UTF-16.
func zeros(data []byte, first int) bool {
	sample := data[:min(len(data), 4096)]
	counts := [2]int{}
	for i, c := range sample {
		if c == 0 {
			counts[i%2]++
		}
	}
	half := len(sample) / 2
	return half > 4 && counts[first] > half*7/10 && counts[1-first] < half/10
}

// tooManyControls tells that a file is binary: more than one in fifty characters
// of its beginning is a control character that no text has.
func tooManyControls(text []byte) bool {
	total, controls := 0, 0
	for _, r := range string(text[:min(len(text), 1<<16)]) {
		total++
		if r == utf8.RuneError || unicode.IsControl(r) && !strings.ContainsRune("\t\n\v\f\r", r) {
			controls++
		}
	}
	return controls*50 > total
}

var (
	bullet      = regexp.MustCompile(`^(\s*)([-*+•‣◦·–]|\(?\d{1,3}[.)])\s+(\S.*)$`)
	underline   = regexp.MustCompile(`^(={3,}|-{3,}|~{3,}|\*{3,})\s*$`)
	sectionLine = regexp.MustCompile(`^(?:(?i:chapter|section|part|appendix)\s+)?(?:\d+|[A-Z])(?:\.\d+)*\.?\s+\p{Lu}[^.!?;:]{0,70}$`)
	dotted      = regexp.MustCompile(`^\S*\d+(\.\d+)+`)
)

// readText reads plain text as people lay it out: empty lines between paragraphs,
// underlined, numbered or shouted headings, indented listings.
func readText(data []byte, b *builder) error {
	pages := bytes.Split(data, []byte("\f"))
	for i, page := range pages {
		if len(pages) > 1 {
			if err := b.turn(i + 1); err != nil {
				return err
			}
		}
		text := strings.ReplaceAll(strings.ReplaceAll(string(page), "\r\n", "\n"), "\r", "\n")
		if err := readLayout(strings.Split(text, "\n"), b); err != nil {
			return err
		}
	}
	return nil
}

func readLayout(lines []string, b *builder) error {
	for len(lines) > 0 {
		if strings.TrimSpace(lines[0]) == "" {
			lines = lines[1:]
			continue
		}
		n := 0
		for n < len(lines) && strings.TrimSpace(lines[n]) != "" {
			n++
		}
		var err error
		switch group := lines[:n]; {
		case n >= 2 && underline.MatchString(lines[1]) && len(strings.TrimSpace(lines[0])) <= 100:
			n = 2
			err = b.heading(underlineLevel(lines[1]), lines[0])
		case n == 1 && shouted(group[0]):
			err = b.heading(1, group[0])
		case n == 1 && sectionLine.MatchString(group[0]):
			err = b.heading(1+strings.Count(dotted.FindString(group[0]), "."), group[0])
		case indented(group) && !bullet.MatchString(group[0]):
			n = listing(lines)
			err = b.code("", dedent(lines[:n]))
		case bullet.MatchString(group[0]):
			err = bullets(group, b)
		default:
			err = b.prose(strings.Join(group, "\n"))
		}
		if err != nil {
			return err
		}
		lines = lines[n:]
	}
	return nil
}

func underlineLevel(line string) int {
	switch line[0] {
	case '=', '*':
		return 1
	case '-':
		return 2
	}
	return 3
}

// shouted tells whether a line is a heading in capitals.
func shouted(s string) bool {
	letters := 0
	for _, r := range s {
		if unicode.IsLower(r) {
			return false
		}
		if unicode.IsUpper(r) {
			letters++
		}
	}
	return letters >= 4 && len(s) <= 80 && !strings.HasPrefix(s, "    ")
}

func indented(lines []string) bool {
	for _, l := range lines {
		if !strings.HasPrefix(l, "    ") && !strings.HasPrefix(l, "\t") {
			return false
		}
	}
	return true
}

// listing counts the lines of an indented listing, whose parts empty lines may separate.
func listing(lines []string) int {
	end := 0
	for i, l := range lines {
		if strings.TrimSpace(l) == "" {
			continue
		}
		if !indented([]string{l}) {
			break
		}
		end = i + 1
	}
	return end
}

func dedent(lines []string) string {
	margin := len(lines[0])
	for _, l := range lines {
		if strings.TrimSpace(l) != "" {
			margin = min(margin, len(l)-len(strings.TrimLeft(l, " \t")))
		}
	}
	cut := make([]string, len(lines))
	for i, l := range lines {
		cut[i] = l[min(margin, len(l)):]
	}
	return strings.Join(cut, "\n")
}

// bullets reads the lines of a list; a line without a mark goes on with the item before it.
func bullets(lines []string, b *builder) error {
	var l list
	for _, s := range lines {
		m := bullet.FindStringSubmatch(s)
		if m == nil {
			l.items[len(l.items)-1] += " " + line(s)
			continue
		}
		number := 0
		for _, r := range m[2] {
			if unicode.IsDigit(r) {
				number = number*10 + int(r-'0')
			}
		}
		l.item(len(m[1])/2, number, m[3])
	}
	return l.flush(b)
}
