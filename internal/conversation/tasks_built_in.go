package conversation

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// The built-in tasks. Each file begins with the lines "title: …" and "version: …" and
// an empty one; the rest is the instruction. Who changes it raises the version.
//
//go:embed tasks/*.md
var taskFiles embed.FS

// builtIn gives the built-in tasks by name.
var builtIn = sync.OnceValue(func() []Task {
	tasks, err := readTasks(taskFiles)
	if err != nil {
		panic(err) // the files are ours; a test reads them
	}
	return tasks
})

func isBuiltIn(name string) bool {
	return slices.ContainsFunc(builtIn(), func(t Task) bool { return t.Name == name })
}

func readTasks(files fs.FS) ([]Task, error) {
	names, err := fs.Glob(files, "tasks/*.md")
	if err != nil {
		return nil, err
	}
	var tasks []Task
	for _, name := range names { // Glob sorts
		raw, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		t, err := parseTask(strings.TrimSuffix(strings.TrimPrefix(name, "tasks/"), ".md"), string(raw))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		tasks = append(tasks, t)
	}
	return tasks, nil
}

func parseTask(name, file string) (Task, error) {
	head, instructions, _ := strings.Cut(file, "\n\n")
	first, second, _ := strings.Cut(head, "\n")
	title, titled := strings.CutPrefix(first, "title: ")
	number, versioned := strings.CutPrefix(second, "version: ")
	version, err := strconv.ParseInt(number, 10, 64)
	if !titled || !versioned || err != nil || version < 1 || strings.TrimSpace(instructions) == "" || !taskName.MatchString(name) {
		return Task{}, errors.New("a task has a title, a version and instructions")
	}
	return Task{ID: fmt.Sprintf("%s@%d", name, version), Name: name, Version: version, BuiltIn: true, Title: title, Instructions: strings.TrimSpace(instructions)}, nil
}
