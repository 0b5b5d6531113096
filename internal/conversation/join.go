package conversation

import "strings"

const (
	leastOverlap   = 12   // bytes that a continuation must have in common with what it repeats
	longestOverlap = 4000 // bytes of the end that are compared
)

// joiner drops what a model repeats of an answer that it goes on with: its beginning,
// when it begins anew, or its last words.
type joiner struct {
	before string // what there is
	write  func(string) error
	held   string
	joined bool
}

func (j *joiner) take(piece string) error {
	if j.joined {
		return j.write(piece)
	}
	j.held += piece
	if j.mayRepeat() {
		return nil
	}
	return j.end()
}

// mayRepeat tells whether all that has come could be the beginning of a repetition
// that is not over.
func (j *joiner) mayRepeat() bool {
	if len(j.held) < len(j.before) && strings.HasPrefix(j.before, j.held) {
		return true
	}
	tail := j.before[max(0, len(j.before)-longestOverlap):]
	for from := 0; ; {
		at := strings.Index(tail[from:], j.held)
		if at < 0 {
			return false
		}
		if from += at; from+len(j.held) < len(tail) && len(tail)-from >= leastOverlap {
			return true
		}
		from++
	}
}

// end writes what is not repeated.
func (j *joiner) end() error {
	if j.joined {
		return nil
	}
	j.joined = true
	fresh := j.held
	if rest, whole := strings.CutPrefix(j.held, j.before); whole {
		fresh = rest
	} else {
		for n := min(len(j.held), len(j.before), longestOverlap); n >= leastOverlap; n-- {
			if strings.HasSuffix(j.before, j.held[:n]) {
				fresh = j.held[n:]
				break
			}
		}
	}
	j.held = ""
	if fresh == "" {
		return nil
	}
	return j.write(fresh)
}
