package account

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"lectern.dev/lectern/internal/fault"
)

// Lengths of what people write about themselves.
const (
	longestAddress = 254 // bytes: what SMTP carries, RFC 5321 with erratum 1690
	longestLocal   = 64  // bytes before the @
	longestName    = 100 // characters
)

// Email is an e-mail address in two forms: as its owner writes it, and as it is
// compared. A person has one address, and an address one person, in all of Lectern.
type Email struct {
	Shown   string
	Address string // NFC, lower case
}

// ParseEmail reads an address that somebody has typed: the bare address, without a
// name or comment. Anything else is Invalid, at the field body.email.
func ParseEmail(text string) (Email, error) {
	text = strings.TrimSpace(text)
	parsed, err := mail.ParseAddress(text)
	if err != nil || parsed.Name != "" || parsed.Address != text || !plain(text) {
		return Email{}, wrongField("body.email", "This is not an e-mail address. It looks like name@example.com.")
	}
	if strings.ContainsFunc(text, disguised) {
		return Email{}, wrongField("body.email", "This e-mail address holds a character that looks like another. Type it again.")
	}
	e := Email{Shown: text, Address: fold(text)}
	local := strings.LastIndexByte(text, '@')
	if len(text) > longestAddress || len(e.Address) > longestAddress || local > longestLocal {
		return Email{}, wrongField("body.email", "This e-mail address is too long.")
	}
	return e, nil
}

// plain leaves out the forms of RFC 5322 that no provider gives out and that are
// good for tricks only: quoted names, comments, numbers in place of a host.
func plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(c rune) bool {
		return strings.ContainsRune(`"()<>[]\,;:`, c) || unicode.IsSpace(c) || !unicode.IsPrint(c)
	})
}

// disguised tells whether folding makes a plain letter of c, which is none: the sign of
// Kelvin for example. Its mailbox is another than that of the plain letter, and who
// has it must not come to stand for the other's owner.
func disguised(c rune) bool {
	return c > unicode.MaxASCII && strings.ContainsFunc(fold(string(c)), func(c rune) bool { return c <= unicode.MaxASCII })
}

// fold is the form in which addresses are compared: in lower case and composed, so
// that neither case nor the way in which an accent was typed makes another person.
func fold(address string) string {
	return norm.NFC.String(strings.ToLower(norm.NFC.String(address)))
}

// cleanName checks the name of a person or organisation: 1 to 100 characters on one
// line. Invalid names the field.
func cleanName(name, field string) (string, error) {
	name = strings.TrimSpace(norm.NFC.String(name))
	switch {
	case name == "":
		return "", wrongField(field, "A name is missing.")
	case utf8.RuneCountInString(name) > longestName:
		return "", wrongField(field, "The name is too long: take at most 100 characters.")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, hidden):
		return "", wrongField(field, "The name holds characters that cannot be seen.")
	}
	return name, nil
}

// hidden are characters that break lines or turn the direction of text around them.
func hidden(c rune) bool {
	return unicode.IsControl(c) || c == '\u2028' || c == '\u2029' || c >= '\u202a' && c <= '\u202e' || c >= '\u2066' && c <= '\u2069'
}

func wrongField(location, message string) error {
	e := fault.New(fault.Invalid, "%s", message)
	e.Fields = []fault.Field{{Location: location, Message: message}}
	return e
}
