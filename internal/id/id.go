// Package id makes the opaque ids of everything that Lectern stores.
package id

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"time"
)

// Prefixes say what an id names; they are for people who read logs, not for programs.
const (
	Course   = "crs"
	Module   = "mod"
	Lesson   = "les"
	Slide    = "sld"
	Question = "qst"
	Source   = "src"
	Passage  = "psg"
	Job      = "job"

	Organization = "org"
	User         = "user"
	SignIn       = "sgn"
	Credential   = "cred"
	Link         = "lnk"
	LedgerEntry  = "led"

	Session    = "ses"
	Message    = "msg"
	Checkpoint = "ckp"
	Memory     = "mem"
	Producer   = "prd"
)

var alphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// New gives an id such as "crs_06fz3qk8v0g1m2n4p5r6s7t8": the prefix, 48 bits of
// milliseconds, so that new rows land at one end of an index, and 72 random bits.
func New(prefix string) string {
	var b [15]byte
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(time.Now().UnixMilli()))
	copy(b[:6], ms[2:])
	_, _ = rand.Read(b[6:]) // never fails: crypto/rand aborts the process instead
	return prefix + "_" + alphabet.EncodeToString(b[:])
}

// First gives an id before all that New makes from that time on, and behind those
// from before it.
func First(prefix string, t time.Time) string {
	var b [15]byte
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(t.UnixMilli()))
	copy(b[:6], ms[2:])
	return prefix + "_" + alphabet.EncodeToString(b[:])
}

// Valid tells whether s has the form of an id with that prefix. What comes from
// outside is checked with it before it reaches a query, a key or a log.
func Valid(prefix, s string) bool {
	rest, ok := strings.CutPrefix(s, prefix+"_")
	if !ok || len(rest) == 0 || len(rest) > 40 {
		return false
	}
	for _, c := range rest {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
