package web

import (
	"fmt"
	"html/template"
	"regexp"
	"strings"
)

// turn is a message in the line that a page shows.
type turn struct {
	message
	Session   string
	Anchor    string        // its id on the page
	HTML      template.HTML // of an answer
	Sources   []reference   // what the answer's numbers point to
	Continues bool          // it goes on with the answer before it
	Last      bool          // of the line
	Of, Place int           // how many versions of it there are, and which this is, from 1
	Earlier   string        // the version before it, when there is one
	Later     string
}

// reference is a citation with its id on the page.
type reference struct {
	cited
	Anchor string
}

// thread gives the line of a session's messages from the beginning to the newest below at; ""
// is the newest of all. Each message of all stands after its parent.
func thread(session string, all []message, at string) ([]turn, error) {
	place := make(map[string]int, len(all))
	siblings := map[string][]int{} // by parent
	leaf := len(all) - 1
	below := make([]bool, len(all))
	for i, m := range all {
		place[m.ID] = i
		siblings[m.Parent] = append(siblings[m.Parent], i)
		parent, known := place[m.Parent]
		below[i] = m.ID == at || known && below[parent]
		if below[i] {
			leaf = i
		}
	}
	var line []int
	for i := leaf; i >= 0; {
		line = append([]int{i}, line...)
		parent, known := place[all[i].Parent]
		if !known || parent >= i {
			break
		}
		i = parent
	}
	turns := make([]turn, len(line))
	for n, i := range line {
		turns[n] = turn{message: all[i], Session: session, Anchor: anchor(all[i].ID, i), Last: n == len(line)-1}
		turns[n].Continues = n > 0 && all[i].Role == "assistant" && all[line[n-1]].Role == "assistant"
		turns[n].versions(all, siblings[all[i].Parent], i)
		if err := turns[n].write(); err != nil {
			return nil, err
		}
	}
	return turns, nil
}

// versions counts the messages that stand at the same place of the conversation:
// questions that were edited, answers that were asked for again.
func (t *turn) versions(all []message, siblings []int, self int) {
	var same []string
	for _, i := range siblings {
		if all[i].Role != t.Role {
			continue
		}
		if i == self {
			t.Place = len(same) + 1
		}
		same = append(same, all[i].ID)
	}
	t.Of = len(same)
	if t.Place > 1 {
		t.Earlier = same[t.Place-2]
	}
	if t.Place < t.Of {
		t.Later = same[t.Place]
	}
}

// write makes HTML of an answer's text.
func (t *turn) write() (err error) {
	if t.Role != "assistant" {
		return nil
	}
	known := map[int]string{}
	for i, c := range t.Citations {
		if c.Heading = strings.TrimPrefix(c.Heading, c.Name+" > "); c.Heading == c.Name { // the way to it begins with the source's own title
			c.Heading = ""
		}
		s := reference{c, fmt.Sprintf("%s-%d", t.Anchor, i+1)}
		if known[c.N] == "" {
			known[c.N] = s.Anchor
		}
		t.Sources = append(t.Sources, s)
	}
	t.HTML, err = answerHTML(t.Content, known)
	return err
}

// As says how the message is shown, apart from its text: while this is the same, so
// is the message's part of the page.
func (t turn) As() string {
	return fmt.Sprintf("%s %d/%d %v", t.State, t.Place, t.Of, t.Last)
}

// choice is how the choices of a question begin in an answer's lines.
var choice = regexp.MustCompile(`(?m)^[\s>*-]*([A-H])[.)*]+ `)

// Choices are the letters with which the question that is asked can be answered.
func (t turn) Choices() (letters []string) {
	if !t.Last || t.Quiz == nil || t.Quiz.Question == "" {
		return nil
	}
	for _, found := range choice.FindAllStringSubmatch(t.Content, -1) {
		letters = append(letters, found[1])
	}
	return letters
}

// Ended tells how an answer that is not whole has ended, and is "" otherwise.
func (t turn) Ended() string {
	switch t.State {
	case "stopped":
		return "You stopped this answer."
	case "interrupted":
		return "This answer was interrupted."
	case "failed":
		return "There is no answer."
	}
	if t.Finish == "length" {
		return "This answer was cut off: it had become too long."
	}
	return ""
}

// GoesOn tells whether the answer can be continued.
func (t turn) GoesOn() bool {
	cut := t.State == "stopped" || t.State == "interrupted" || t.State == "complete" && t.Finish == "length"
	return t.Last && t.Role == "assistant" && cut && t.Content != ""
}

// Verdict says how an answer judged the learner's.
func (t turn) Verdict() string {
	switch {
	case t.Quiz == nil || t.Quiz.Right == nil:
		return ""
	case *t.Quiz.Right:
		return "Right"
	}
	return "Not quite"
}

// Root is the parent of a message that has none.
func (t turn) Root() string {
	if t.Parent == "" {
		return "root"
	}
	return t.Parent
}

var plainID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)

// anchor gives a message's id on the page. Its own may be anything that a client chose.
func anchor(id string, place int) string {
	if plainID.MatchString(id) {
		return "m-" + id
	}
	return fmt.Sprintf("n-%d", place)
}
