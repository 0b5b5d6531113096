package account

import (
	_ "embed"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"lectern.dev/lectern/internal/fault"
)

// How long a password may be, in characters (code points).
const (
	ShortestPassword = 8
	LongestPassword  = 256
)

// CheckPassword says what is wrong with a password that somebody chooses: Invalid,
// in words for them. own are their address and name, which alone protect nothing.
// No mix of kinds of characters is asked for: length and rarity are what counts.
// https://pages.nist.gov/800-63-4/sp800-63b.html#passwordver
func CheckPassword(password string, own ...string) error {
	characters := utf8.RuneCountInString(password)
	switch {
	case !utf8.ValidString(password):
		return fault.New(fault.Invalid, "The password is not valid text. Choose another.")
	case characters < ShortestPassword:
		return fault.New(fault.Invalid, "The password is too short: take at least %d characters. A few words in a row are easy to remember.", ShortestPassword)
	case characters > LongestPassword:
		return fault.New(fault.Invalid, "The password is too long: take at most %d characters.", LongestPassword)
	}
	folded := strings.ToLower(password)
	if common(folded) || pattern(folded) {
		return fault.New(fault.Invalid, "This password is one of the first that are tried by who guesses. Choose another; a few words in a row are easy to remember.")
	}
	for _, text := range own {
		if isOwn(folded, strings.ToLower(text)) {
			return fault.New(fault.Invalid, "This password is your own name or address. Choose another.")
		}
	}
	return nil
}

// choosePassword is CheckPassword for a field of a request, which it names.
func choosePassword(field, password string, own ...string) error {
	if err := CheckPassword(password, own...); err != nil {
		return wrongField(field, fault.Message(err))
	}
	return nil
}

// commonPasswords are lines in ascending order of their bytes, in lower case;
// password_common.md says where they come from.
//
//go:embed password_common.txt
var commonPasswords string

// common searches the list where it lies, so that a program that never asks pays
// nothing for it.
func common(folded string) bool {
	// The line that byte i is of; the newline counts to the line after it.
	line := func(i int) string {
		start := strings.LastIndexByte(commonPasswords[:i+1], '\n') + 1
		length := strings.IndexByte(commonPasswords[start:], '\n')
		return commonPasswords[start : start+length]
	}
	size := len(commonPasswords) - 1
	i := sort.Search(size, func(i int) bool { return line(i) >= folded })
	return i < size && line(i) == folded
}

// pattern finds what no list can hold all of: a short unit again and again, and
// rows of letters or digits, up or down.
func pattern(folded string) bool {
	text := []rune(folded)
	for unit := 1; unit <= 4; unit++ {
		if slices.Equal(text[unit:], text[:len(text)-unit]) {
			return true
		}
	}
	step := stepOf(text[0], text[1])
	for i := 1; i < len(text); i++ {
		if s := stepOf(text[i-1], text[i]); s != step || s != 1 && s != -1 {
			return false
		}
	}
	return true
}

// stepOf is how far b stands behind a in its row; 0 follows on 9.
func stepOf(a, b rune) rune {
	switch {
	case a == '9' && b == '0':
		return 1
	case a == '0' && b == '9':
		return -1
	}
	return b - a
}

// isOwn tells whether a password is no more than a name or an address, or what
// stands before its @; signs and spaces do not count.
func isOwn(folded, own string) bool {
	bare := letters(folded)
	local, _, _ := strings.Cut(own, "@")
	return bare != "" && (bare == letters(own) || bare == letters(local))
}

// letters leaves out what is neither a letter nor a digit.
func letters(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, text)
}
