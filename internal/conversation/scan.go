package conversation

import (
	"bytes"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"lectern.dev/lectern/internal/conversation/relay"
)

const (
	longestMarker = 64   // bytes of "[p1, p2]" with its brackets
	longestClaim  = 1000 // bytes of an answer that are looked back at for what a marker stands behind
)

// scanner turns what a model writes into what a reader is shown, wherever the pieces
// are cut: "[p3]" becomes "[1]", "[2]" …, in the order of first use, with a Citation
// before it; a marker that names nothing that the model was given goes, and so does
// the "!" that would have a reader's program fetch an image. Listings stay as they are.
//
// Held back is never more than a marker may be long; nothing else is lost or changed
// but what no text can hold: U+0000 and bytes that are no UTF-8.
type scanner struct {
	text    func(string) error
	cite    func(Citation) error
	resolve func(id, claim string) (Citation, bool) // without its number; see material.resolve

	citations []Citation
	held      string          // of the text, not yet decided on
	out       strings.Builder // decided on, not yet told
	said      []byte          // the last of what was decided on
	marked    bool            // a number was the last of it
	marks     int             // that there were
	code      codeState
}

// write takes the next piece.
func (s *scanner) write(piece string) error {
	s.held += strings.ReplaceAll(piece, "\x00", "")
	return errors.Join(s.decide(false), s.tell())
}

// end tells what was held back.
func (s *scanner) end() error { return errors.Join(s.decide(true), s.tell()) }

// cut tells what was held back of a text that has broken off, but for half a marker,
// which says nothing.
func (s *scanner) cut() error {
	if from := strings.IndexByte(s.held, '['); from >= 0 {
		s.held = strings.TrimSuffix(s.held[:from], " ")
	}
	return s.end()
}

// tell gives away what was decided on.
func (s *scanner) tell() error {
	if s.out.Len() == 0 {
		return nil
	}
	text := s.out.String()
	s.out.Reset()
	return s.text(text)
}

// decide decides on all of what is held that cannot become something else by what follows.
func (s *scanner) decide(last bool) error {
	for s.held != "" {
		n := strings.IndexAny(s.held, "[!")
		if n < 0 {
			n = len(s.held)
		}
		if n == len(s.held) && !last {
			n -= undecided(s.held)
		}
		// A single space before a marker goes with the marker when that goes.
		if space := n > 0 && n < len(s.held) && s.held[n-1] == ' '; space && s.held[n] == '[' {
			n--
		}
		if n > 0 {
			s.say(s.held[:n])
			continue
		}
		done, err := s.special(last)
		if err != nil || !done {
			return err
		}
	}
	return nil
}

// undecided tells how many bytes at the end of a text may yet belong to what follows:
// a character that is cut, and a space that may stand before a marker.
func undecided(text string) int {
	for n := 1; n <= min(utf8.UTFMax-1, len(text)); n++ {
		if tail := text[len(text)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRuneInString(tail) {
				return n
			}
			break
		}
	}
	if strings.HasSuffix(text, " ") {
		return 1
	}
	return 0
}

// special handles what is held when it begins with "[", " [", "!" or what is undecided.
// It is not done when it must wait for more.
func (s *scanner) special(last bool) (done bool, err error) {
	lead := ""
	rest := s.held
	if rest[0] == ' ' {
		lead, rest = " ", rest[1:]
	}
	switch {
	case rest == "" || rest[0] != '[' && rest[0] != '!':
		if !last {
			return false, nil
		}
		s.say(s.held)
		return true, nil
	case rest[0] == '!' && len(rest) == 1 && !last:
		return false, nil
	case rest[0] == '!':
		if strings.HasPrefix(rest, "![") && !s.code.listing() && !s.code.inline() {
			s.held = rest[1:]
			return true, nil
		}
		s.say(s.held[:len(lead)+1])
		return true, nil
	case s.code.listing():
		s.say(s.held[:len(lead)+1])
		return true, nil
	}
	ids, length, more := marker(rest)
	switch {
	case more && !last:
		return false, nil
	case length == 0 || s.isIndex(lead, ids):
		s.say(s.held[:len(lead)+max(length, 1)])
		return true, nil
	}
	s.held = rest[length:]
	return true, s.mark(lead, ids)
}

// isIndex tells whether a marker is rather the index of a variable in code, or a
// number in brackets that is a part of a word.
func (s *scanner) isIndex(lead string, ids []string) bool {
	before, _ := utf8.DecodeLastRune(s.said)
	attached := lead == "" && (unicode.IsLetter(before) || unicode.IsDigit(before) || before == '_')
	return s.code.inline() && (attached || isNumber(ids[0])) || attached && isNumber(ids[0])
}

// mark writes the numbers of what a marker names.
func (s *scanner) mark(lead string, ids []string) error {
	if s.marks++; s.marks > mostMarks {
		return nil
	}
	claim := claimOf(string(s.said[max(0, len(s.said)-longestClaim):]))
	for _, id := range ids {
		c, ok := s.resolve(id, claim)
		if !ok {
			continue
		}
		if !s.number(&c) {
			if len(s.citations) >= mostCitations {
				continue
			}
			c.N = len(s.citations) + 1
			s.citations = append(s.citations, c)
			if err := errors.Join(s.tell(), s.cite(c)); err != nil {
				return err
			}
		}
		if shown := numbered(c.N); !bytes.HasSuffix(s.said, []byte(shown)) { // "[p1][p1]"
			s.put(lead + shown)
			lead, s.marked = "", true
		}
	}
	return nil
}

// number gives a citation the number that the same words have already.
func (s *scanner) number(c *Citation) bool {
	for _, known := range s.citations {
		if known.Passage == c.Passage && known.Lesson == c.Lesson && known.Start == c.Start && known.End == c.End {
			c.N = known.N
			return true
		}
	}
	return false
}

// say decides on the beginning of what is held: text that does not change.
func (s *scanner) say(text string) {
	s.held = s.held[len(text):]
	if s.marked && text[0] == '(' {
		s.put(" ") // a number is no link, and becomes none
	}
	s.put(relay.Storable(text))
	s.marked = false
}

func (s *scanner) put(text string) {
	s.code.see(text)
	s.out.WriteString(text)
	s.said = append(s.said, text[max(0, len(text)-longestClaim):]...)
	if len(s.said) > 4*longestClaim {
		s.said = append(s.said[:0], s.said[len(s.said)-longestClaim:]...)
	}
}

// marker reads "[p1]", "[^p1]", "[p1, p2]" or the like with numbers alone at the
// beginning of a text. A length of 0 says that there is none; more, that there may
// be one when the text goes on.
func marker(text string) (ids []string, length int, more bool) {
	i := 1
	next := func(c byte) bool {
		if i < len(text) && text[i] == c {
			i++
			return true
		}
		return false
	}
	next('^')
	for i < len(text) {
		from := i
		if !next('p') {
			next('P')
		}
		digits := i
		for i < len(text) && text[i] >= '0' && text[i] <= '9' && i-digits < 4 {
			i++
		}
		switch {
		case i == len(text):
			return nil, 0, len(text) < longestMarker
		case i == digits:
			return nil, 0, false
		}
		ids = append(ids, strings.ToLower(text[from:i]))
		switch {
		case i >= longestMarker:
			return nil, 0, false
		case next(']'):
			return ids, i, false
		case !next(',') && !next(';'):
			return nil, 0, false
		}
		next(' ')
		next('^')
	}
	return nil, 0, len(text) < longestMarker
}

func isNumber(id string) bool { return id[0] != 'p' }
