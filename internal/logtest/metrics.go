package logtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Metric is one of terraform/metrics.tf: what is read of which line.
type Metric struct {
	Name      string
	Line      string   // the line's message
	Functions []string // whose lines they are
	Fields    []string // all that its filter, its value and its labels read: "survey.stuck_jobs"
}

var (
	metricBlock = regexp.MustCompile(`(?ms)^    (\w+) = \{\n(.*?)^    \}\n`)
	metricLine  = regexp.MustCompile(`(?m)^      line +=\s+"([^"]+)"`)
	metricList  = regexp.MustCompile(`(?m)^      functions +=\s+\[([^\]]+)\]`)
	metricValue = regexp.MustCompile(`(?m)^      value +=\s+"([^"]+)"`)
	metricLabel = regexp.MustCompile(`(?m)^      labels +=\s+\{([^}]*)\}`)
	metricWhere = regexp.MustCompile(`jsonPayload\.([a-z_.]+)`)
	quoted      = regexp.MustCompile(`"([^"]+)"`)
)

// Metrics reads terraform/metrics.tf. The form that it has is that of terraform fmt.
func Metrics(t testing.TB) []Metric {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "terraform/metrics.tf"))
	if err != nil {
		t.Fatal(err)
	}
	var all []Metric
	for _, block := range metricBlock.FindAllStringSubmatch(string(text), -1) {
		m := Metric{Name: block[1]}
		body := block[2]
		if line := metricLine.FindStringSubmatch(body); line != nil {
			m.Line = line[1]
		}
		if list := metricList.FindStringSubmatch(body); list != nil {
			m.Functions = names(list[1])
		}
		if value := metricValue.FindStringSubmatch(body); value != nil {
			m.Fields = append(m.Fields, value[1])
		}
		if labels := metricLabel.FindStringSubmatch(body); labels != nil {
			m.Fields = append(m.Fields, names(labels[1])...)
		}
		for _, where := range metricWhere.FindAllStringSubmatch(body, -1) {
			m.Fields = append(m.Fields, where[1])
		}
		slices.Sort(m.Fields)
		m.Fields = slices.Compact(m.Fields)
		all = append(all, m)
	}
	if len(all) == 0 {
		t.Fatal("terraform/metrics.tf has no metrics")
	}
	return all
}

// names gives what is quoted.
func names(list string) []string {
	var all []string
	for _, match := range quoted.FindAllStringSubmatch(list, -1) {
		all = append(all, match[1])
	}
	return all
}

// Bound complains about every field that a metric reads of such a line and that none of
// these lines, which the real code wrote, has.
func Bound(t testing.TB, lines ...Line) {
	t.Helper()
	if len(lines) == 0 {
		t.Fatal("no line was written")
	}
	read := false
	for _, m := range Metrics(t) {
		if m.Line != lines[0]["message"] {
			continue
		}
		read = true
		for _, field := range m.Fields {
			if !slices.ContainsFunc(lines, func(l Line) bool { return l.at(field) != nil }) {
				t.Errorf("the metric %s reads %s, which no line %q has: %v", m.Name, field, m.Line, lines)
			}
		}
	}
	if !read {
		t.Errorf("no metric reads the line %q", lines[0]["message"])
	}
}

// at gives what a path leads to.
func (l Line) at(path string) any {
	var here any = map[string]any(l)
	for name := range strings.SplitSeq(path, ".") {
		fields, ok := here.(map[string]any)
		if !ok {
			return nil
		}
		here = fields[name]
	}
	return here
}

// root is the folder of the module.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		above := filepath.Dir(dir)
		if above == dir {
			t.Fatal(fmt.Errorf("no go.mod above the test"))
		}
		dir = above
	}
}
