package authoring

import (
	"embed"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"lectern.dev/lectern/internal/llm"
)

// The prompts. A file's name carries its version: a prompt that changes what is
// written becomes a new file, and the step's output says which one was used.
const (
	plannerPrompt  = "planner.v1"
	writerPrompt   = "writer.v1"
	examinerPrompt = "examiner.v1"
	reviewerPrompt = "reviewer.v1"
)

//go:embed prompts/*.md
var promptFiles embed.FS

// place is where an input goes: {{language}}, or {{audience|anyone}} with what stands
// there when the input is empty. text/template could do more, but a program that
// links it keeps every exported method of every SDK: 20 MB here.
var place = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\{\{(\w+)(?:\|([^}]+))?\}\}`) })

// divider stands between the part of a prompt that never changes, which goes to the
// model as the system's words, and the part about the case.
const divider = "\n---\n"

// render fills a prompt in.
func render(name string, inputs map[string]string) ([]llm.Message, error) {
	file, err := promptFiles.ReadFile("prompts/" + name + ".md")
	if err != nil {
		return nil, err
	}
	// The places are found before they are filled: what stands in an input is never one.
	var missing []string
	filled := place().ReplaceAllStringFunc(string(file), func(match string) string {
		groups := place().FindStringSubmatch(match)
		value, given := inputs[groups[1]]
		if !given {
			missing = append(missing, groups[1])
		}
		if value == "" {
			return groups[2]
		}
		return value
	})
	if missing != nil {
		return nil, fmt.Errorf("the prompt %s wants %s", name, strings.Join(missing, ", "))
	}
	system, user, found := strings.Cut(filled, divider)
	if !found {
		return nil, fmt.Errorf("the prompt %s has no line ---", name)
	}
	return []llm.Message{
		{Role: llm.System, Text: strings.TrimSpace(system)},
		{Role: llm.User, Text: strings.TrimSpace(user)},
	}, nil
}
