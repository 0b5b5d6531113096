package conversation

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/postgres"
)

// How long texts may be, in characters (Unicode code points).
const (
	MaxContent      = 32_000 // of a message
	MaxTitle        = 200    // of a session or a task
	MaxInstructions = 16_000 // of a task
	MaxMemory       = 200    // of what is remembered of a learner; more is cut off
)

// clientID is what a client may call its message.
var clientID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// taskName is what an organisation may call its tasks.
var taskName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// checkText checks what a person wrote. What can be stored is taken as it is: no trimming,
// no normalization, so that what was written is what is shown.
func checkText(field, s string, least, most int) error {
	switch n := utf8.RuneCountInString(s); {
	case !utf8.ValidString(s):
		return wrong(field, "is not valid UTF-8 text")
	case strings.ContainsRune(s, 0):
		return wrong(field, "holds the character U+0000, which cannot be stored")
	case n > most:
		return wrong(field, "has %d characters; at most %d are taken", n, most)
	case n < least || least > 0 && strings.TrimSpace(s) == "":
		return wrong(field, "must not be empty")
	}
	return nil
}

// wrong says what is wrong with a field of the request's body.
func wrong(field, format string, args ...any) error {
	message := fmt.Sprintf(format, args...)
	e := fault.New(fault.Invalid, "The %s %s.", field, message)
	e.Fields = []fault.Field{{Location: "body." + field, Message: message}}
	return e
}

// missing turns "no row" into words about what was looked for.
func missing(err error, what string) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.New(fault.NotFound, "There is no such %s.", what)
	}
	return postgres.Fault(err)
}
