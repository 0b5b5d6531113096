package authoring

import (
	"embed"
	"fmt"
	"strings"
	"text/template"

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

var prompts = template.Must(template.New("prompts").Option("missingkey=error").ParseFS(promptFiles, "prompts/*.md"))

// divider stands between the part of a prompt that never changes, which goes to the
// model as the system's words, and the part about the case.
const divider = "\n---\n"

// render fills a prompt in.
func render(name string, inputs map[string]string) ([]llm.Message, error) {
	var out strings.Builder
	if err := prompts.ExecuteTemplate(&out, name+".md", inputs); err != nil {
		return nil, fmt.Errorf("fill in the prompt %s: %w", name, err)
	}
	system, user, found := strings.Cut(out.String(), divider)
	if !found {
		return nil, fmt.Errorf("the prompt %s has no line ---", name)
	}
	return []llm.Message{
		{Role: llm.System, Text: strings.TrimSpace(system)},
		{Role: llm.User, Text: strings.TrimSpace(user)},
	}, nil
}
