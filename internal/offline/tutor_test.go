package offline_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/llm/llmtest"
	"lectern.dev/lectern/internal/offline"
)

// networks are passages about home networks, as a search gives them.
var networks = []llm.Passage{
	{ID: "outline", Kind: "outline", Source: "Networks", Text: "Course: Networks\nModule: Parts\n- Routers (the learner is here)\n- Wi-Fi"},
	{ID: "p1", Source: "Guide", Heading: "Parts > Router", Kind: "prose", Text: "A router joins two networks and passes packets from one to the other. It is the only device that belongs to both. A home router does much more than pass packets on."},
	{ID: "p2", Source: "Guide", Heading: "Parts > Switch", Kind: "prose", Text: "A switch connects several devices by cable. It learns which device can be reached at which port. Most home routers contain a switch with four ports."},
	{ID: "p3", Source: "Guide", Heading: "Faults > Ping", Kind: "prose", Text: "The tool for this is ping. It sends a small packet to an address and reports how long the answer took."},
	{ID: "p4", Source: "Guide", Heading: "Faults > Ping", Kind: "code", CodeLanguage: "sh", Text: "ping -c 3 192.168.1.1\nping -c 3 www.example.org"},
	{ID: "p5", Source: "Guide", Heading: "Faults > The usual suspects", Kind: "list", Text: "A few causes account for most faults in homes:\n1. A cable is loose or broken.\n2. Two devices use the same address.\n3. The power supply of the switch is failing."},
	{ID: "p6", Source: "Guide", Heading: "Introduction", Kind: "prose", Text: "This guide explains why Wi-Fi is slow. It assumes no special knowledge. In chapter 4 we describe the modem."},
}

func asked(task, question string) llm.Request {
	return llm.Request{
		Messages: []llm.Message{{Role: llm.User, Text: question}}, Passages: networks,
		Inputs: map[string]string{"task": task, "question": question, "query": question, "language": "en", "course": "Networks", "lesson": "Routers"},
	}
}

func complete(t *testing.T, req llm.Request) string {
	t.Helper()
	resp, err := offline.Model{}.Complete(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Text
}

func TestTutorIsAStreamer(t *testing.T) {
	t.Parallel()
	llmtest.RunStream(t, offline.Model{}, asked("tutor", "What is a router?"))
}

// Answers are the passages' own sentences, the best first, each with its passage.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		task, question string
		wants, not     []string
	}{
		{"tutor", "What is a router?", []string{"Here is what the course says:\n\nA router joins two networks and passes packets from one to the other. [p1] It is the only device"}, []string{"guide"}},
		{"tutor", "what is the difference between a router and a switch", []string{"A router joins two networks", "A switch connects several devices by cable. [p2]"}, nil},
		{"tutor", "Was ist ein Switch?", []string{"Das sagt der Kurs dazu:", "A switch connects several devices by cable. [p2]"}, nil},
		{"tutor", "How do I ping an address?", []string{"The tool for this is ping. [p3]", "```sh\nping -c 3 192.168.1.1", "[p4]"}, nil},
		{"tutor", "What causes most faults in homes?", []string{"A few causes account for most faults in homes: [p5]\n\n- A cable is loose or broken. [p5]\n- Two devices", "supply of the switch is failing. [p5]"}, []string{"1."}},
		{"tutor", "Who won the world cup in 1990?", []string{"I found nothing in the course’s material"}, []string{"[p"}},
		{"tutor", "asdf qwertz", []string{"I found nothing"}, []string{"[p"}},
		{"tutor", "What is this course about?", []string{"What would you like to know?", "- Routers", "- Wi-Fi"}, []string{"[p", "learner is here"}},
		{"explain", "routers", []string{"A router joins two networks", "It is the only device", "[p1]"}, nil},
		{"explain", "this", []string{"main points", "[p1]"}, nil},
		{"summarise", "Please summarise this lesson.", []string{"“Routers” in short:", "- A router joins two networks", "[p2]"}, []string{"This guide"}},
	} {
		got := complete(t, asked(c.task, c.question))
		for _, want := range c.wants {
			if !strings.Contains(got, want) {
				t.Errorf("%s %q lacks %q:\n%s", c.task, c.question, want, got)
			}
		}
		for _, not := range c.not {
			if strings.Contains(got, not) {
				t.Errorf("%s %q has %q:\n%s", c.task, c.question, not, got)
			}
		}
	}
}

var marker = regexp.MustCompile(`\s*\[p\d+\]`)

// Whatever is asked, nothing is invented: every line with a marker stands in its passage.
func TestNothingIsInvented(t *testing.T) {
	t.Parallel()
	text := map[string]string{}
	for _, p := range networks {
		text[p.ID] = strings.Join(strings.Fields(p.Text), " ")
	}
	for _, task := range []string{"tutor", "explain", "summarise"} {
		for _, q := range []string{"router", "switch ports", "why is wi-fi slow", "faults", "how to ping", "devices", "packets network address"} {
			got := complete(t, asked(task, q))
			at := 0
			for _, m := range marker.FindAllStringIndex(got, -1) {
				said := strings.TrimSpace(got[at:m[0]])
				said = strings.TrimPrefix(said[strings.LastIndex(said, "\n")+1:], "- ")
				at = m[1]
				if id := strings.Trim(got[m[0]:m[1]], " \n[]"); !strings.Contains(said, "```") && !strings.Contains(text[id], said) {
					t.Errorf("%s %q: %q does not stand in %s", task, q, said, id)
				}
			}
		}
	}
}

func TestOtherTalk(t *testing.T) {
	t.Parallel()
	with := func(more map[string]string) llm.Request {
		req := asked("quiz-me", "x")
		for k, v := range more {
			req.Inputs[k] = v
		}
		return req
	}
	none := asked("tutor", "What is a router?")
	none.Passages = nil
	alone := llm.Request{Messages: []llm.Message{{Role: llm.User, Text: "Tell me a joke"}}}
	noCourse := llm.Request{Inputs: map[string]string{"task": "tutor", "question": "Tell me a joke"}}
	judged := map[string]string{"quiz": "judged", "verdict": "wrong", "right": "A router", "explanation": "It joins two networks.", "quiz_question": "What joins two networks?"}
	for name, c := range map[string]struct {
		req  llm.Request
		want string
	}{
		"no passages":  {none, "I found nothing"},
		"no course":    {noCourse, "no course stands beside this conversation"},
		"no model":     {alone, "connect a language model: set OPENAI_API_KEY"},
		"wrong choice": {with(judged), "Not quite. The right answer is: A router. A router joins two networks and passes packets from one to the other. [p1]"},
		"no questions": {with(map[string]string{"quiz": "none"}), "no questions of its own"},
		"open":         {with(map[string]string{"quiz": "open"}), "by its letter"},
		"summary":      {llm.Request{Inputs: map[string]string{"kind": "summary", "before": "They like tea.", "said": "Learner: What is a router? Tell me.\n\nTutor: A box. And more.\n\n"}}, "They like tea.\nLearner: What is a router?\nTutor: A box."},
	} {
		if got := complete(t, c.req); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	long := llm.Request{Inputs: map[string]string{"kind": "summary", "said": strings.Repeat("Learner: What is this long question about, I wonder?\n\n", 500)}}
	if got := complete(t, long); len(got) > 2000 || got == "" {
		t.Errorf("%d bytes", len(got))
	}
}

// What was told is not told again, and the rest of it follows at the very byte.
func TestGoesOn(t *testing.T) {
	t.Parallel()
	req := asked("tutor", "What is a router?")
	whole := complete(t, req)
	for n := range whole {
		req.Inputs["prefix"] = whole[:n]
		if got := complete(t, req); whole[:n]+got != whole {
			t.Fatalf("behind %q: %q", whole[:n], got)
		}
	}
}

func TestMaxTokens(t *testing.T) {
	t.Parallel()
	req := asked("tutor", "What is a router?")
	req.MaxTokens = 10
	resp, err := offline.Model{}.Stream(context.Background(), req, func(llm.Piece) error { return nil })
	if err != nil || resp.Finish != llm.Length || len(resp.Text) > 40 || resp.Text == "" {
		t.Errorf("%+v %v", resp, err)
	}
}
