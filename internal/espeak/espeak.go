// Package espeak implements the speech port with the espeak-ng program: a voice
// for a hundred languages that needs no network.
package espeak

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/speech"
)

// Speaker runs espeak-ng once per utterance. The zero value is ready.
type Speaker struct {
	Program string // path of espeak-ng; empty: from PATH
	Rate    int    // words a minute; 0: 160, a calm lecture
}

var _ speech.Speaker = Speaker{}

const (
	calm    = 160
	longest = time.Minute // an utterance takes milliseconds
)

// Speak hands the text over through standard input: it is never an argument.
func (s Speaker) Speak(ctx context.Context, req speech.Request) (speech.Audio, error) {
	limited, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	cmd := exec.CommandContext(limited, cmp.Or(s.Program, "espeak-ng"), "--stdin", "--stdout", "-b", "1", "-z",
		"-v", voice(req.Language), "-s", strconv.Itoa(s.rate()))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	cmd.Stdin = strings.NewReader(plain(req.Text))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return speech.Audio{}, ctx.Err()
		}
		if errors.Is(err, exec.ErrNotFound) { // trying again does not install it
			return speech.Audio{}, fault.Wrap(fault.Invalid, err, "The program espeak-ng is not installed here. Install it (Debian: apt-get install espeak-ng) and try again.")
		}
		return speech.Audio{}, fault.Wrap(fault.Unavailable, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String())), "The text could not be spoken.")
	}
	audio, err := speech.ParseWAV(stdout.Bytes())
	if err != nil {
		return speech.Audio{}, fault.Wrap(fault.Internal, err, "The text could not be spoken.")
	}
	return audio, nil
}

// Voice names program, voice and speed.
func (s Speaker) Voice(language string) string {
	return "espeak-ng/" + voice(language) + "/" + strconv.Itoa(s.rate())
}

func (s Speaker) rate() int { return cmp.Or(s.Rate, calm) }

// plain breaks up [[, which begins phoneme codes, and drops what would end the text early.
func plain(text string) string {
	return strings.NewReplacer("[[", "[ [", "\x00", " ").Replace(strings.ToValidUTF8(text, " "))
}

// voice finds the voice for a BCP 47 tag: by the whole tag, then by its language, else English.
func voice(tag string) string {
	tag = strings.ToLower(tag)
	if v := special[tag]; v != "" {
		return v
	}
	language, _, _ := strings.Cut(tag, "-")
	if v := special[language]; v != "" {
		return v
	}
	if strings.Contains(same, " "+language+" ") && language != "" {
		return language
	}
	return "en-us"
}

// special are tags whose voice has another name.
var special = map[string]string{
	"en": "en-us", "en-gb": "en-gb", "en-au": "en-gb", "en-nz": "en-gb", "en-ie": "en-gb", "en-in": "en-gb",
	"pt": "pt-br", "pt-pt": "pt", "fr": "fr-fr", "fr-be": "fr-be", "fr-ch": "fr-ch",
	"es-mx": "es-419", "es-ar": "es-419", "es-419": "es-419",
	"zh": "cmn", "cmn": "cmn", "yue": "yue", "zh-hk": "yue", "no": "nb", "nn": "nb",
}

// same are languages whose voice has the name of the language (espeak-ng 1.51).
const same = " af am an ar as az be bg bn bpy bs ca cs cv cy da de el eo es et eu fa fi ga gd gn gu hak haw he hi" +
	" hr ht hu ia id io is it ja jbo ka kk kl kn ko kok ku ky la lb lfn lt ltg lv mi mk ml mr ms mt my nb nci" +
	" ne nl nog om or pa pap piqd pl pt py qdb qu quc qya ro ru sd shn si sjn sk sl smj sq sr sv sw ta te th tk tn" +
	" tr tt ug uk ur uz vi "
