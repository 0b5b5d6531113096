package archtest

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/logtest"
)

const runbook = root + "/docs/runbook"

var (
	alertKey    = regexp.MustCompile(`(?m)^    ([a-z-]+) = \{\n      title `)
	policyOf    = regexp.MustCompile(`(?m)^resource "google_monitoring_alert_policy" "(\w+)" \{\n(?s:.*?)^\}\n`)
	pageOf      = regexp.MustCompile(`content += local\.pages\[(?:"([a-z-]+)"|each\.key)\]`)
	pageLink    = regexp.MustCompile(`\]\(([a-z-]+\.md)\)`)
	variableUse = regexp.MustCompile("`([a-z_]+)(?:\\.([a-z_]+))?`")
	variable    = regexp.MustCompile(`(?m)^variable "(\w+)"`)
	sqlWord     = regexp.MustCompile(`(?:FROM|JOIN|UPDATE) ([a-z_]+)`)
	fieldUse    = regexp.MustCompile(`jsonPayload\.([a-zA-Z_.]+)`)
	script      = regexp.MustCompile(`scripts/[a-z]+\.sh`)
)

// alerts are the pages of all alerts that Terraform makes.
func alerts(t *testing.T) []string {
	t.Helper()
	found := map[string]bool{}
	for _, name := range []string{"slos.tf", "alerts.tf", "uptime.tf"} {
		text := read(t, root+"/terraform/"+name)
		for _, match := range alertKey.FindAllStringSubmatch(text, -1) {
			found[match[1]] = true
		}
		for _, policy := range policyOf.FindAllStringSubmatch(text, -1) {
			page := pageOf.FindStringSubmatch(policy[0])
			if page == nil {
				t.Errorf("%s: the alert %s does not carry its page", name, policy[1])
				continue
			}
			if page[1] != "" {
				found[page[1]] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// Every alert has a page in the runbook that says what it means, what to look at and what
// to do, and every page is of an alert, or of the budget.
func TestEveryAlertHasAPage(t *testing.T) {
	t.Parallel()
	all := alerts(t)
	if len(all) < 15 {
		t.Fatalf("only %d alerts are found: %q", len(all), all)
	}
	index := read(t, runbook+"/README.md")
	for _, page := range append(slices.Clone(all), "cloud-bill") {
		text := read(t, runbook+"/"+page+".md")
		for _, part := range []string{"\n## What it means\n", "\n## What to look at\n", "\n## What to do\n"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s.md has no part %q", page, strings.TrimSpace(part))
			}
		}
		if !strings.Contains(text, "```sh\n") && !strings.Contains(text, "```sql\n") {
			t.Errorf("%s.md has no command to copy", page)
		}
		if len(text) > 7500 || strings.Contains(text, "${") {
			t.Errorf("%s.md has %d bytes, or ${: Cloud Monitoring takes 8 KiB, and replaces that", page, len(text))
		}
		if !strings.Contains(index, "("+page+".md)") {
			t.Errorf("README.md does not list %s", page)
		}
	}
	files, err := filepath.Glob(runbook + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		page := strings.TrimSuffix(filepath.Base(file), ".md")
		if page != "README" && page != "cloud-bill" && !slices.Contains(all, page) {
			t.Errorf("%s.md is of no alert", page)
		}
	}
}

// What a page names is there: other pages, scripts, variables, tables, fields of the log.
func TestPagesNameWhatIsThere(t *testing.T) {
	t.Parallel()
	declared := ""
	for _, name := range glob(t, root+"/terraform/variables*.tf") {
		declared += read(t, name)
	}
	known := map[string]bool{}
	for _, match := range variable.FindAllStringSubmatch(declared, -1) {
		known[match[1]] = true
	}
	var schema strings.Builder
	for _, name := range glob(t, root+"/migrations/*.sql") {
		schema.WriteString(read(t, name))
	}
	var sources strings.Builder
	for _, pattern := range []string{"/functions/*/*.go", "/internal/*/*.go"} {
		for _, name := range glob(t, root+pattern) {
			if !strings.HasSuffix(name, "_test.go") {
				sources.WriteString(read(t, name))
			}
		}
	}
	for _, name := range glob(t, runbook+"/*.md") {
		text, page := read(t, name), filepath.Base(name)
		for _, link := range pageLink.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(runbook + "/" + link[1]); err != nil {
				t.Errorf("%s leads to %s, which is not there", page, link[1])
			}
		}
		for _, path := range script.FindAllString(text, -1) {
			if _, err := os.Stat(root + "/" + path); err != nil {
				t.Errorf("%s names %s, which is not there", page, path)
			}
		}
		for _, use := range variableUse.FindAllStringSubmatch(text, -1) {
			if use[2] != "" && known[use[1]] && !regexp.MustCompile(`(?m)^ +`+use[2]+` +=`).MatchString(declared) {
				t.Errorf("%s names the variable %s.%s, which is not there", page, use[1], use[2])
			}
		}
		for _, use := range fieldUse.FindAllStringSubmatch(text, -1) {
			if name := use[1][strings.LastIndex(use[1], ".")+1:]; !strings.HasPrefix(use[1], "attemptResponseLog") && !strings.Contains(sources.String(), `"`+name+`"`) {
				t.Errorf("%s asks for the field %s, which nothing logs", page, use[1])
			}
		}
		for _, use := range sqlWord.FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(use[1], "pg_") && !strings.Contains(schema.String(), "CREATE TABLE "+use[1]+" (") {
				t.Errorf("%s asks the table %s, which is not there", page, use[1])
			}
		}
	}
}

// Each kind of line that a metric reads is written by real code in a test, which compares
// it with what the metrics read (logtest.Bound).
func TestEveryMetricIsBoundToALine(t *testing.T) {
	t.Parallel()
	where := map[string]string{
		"turn":             "functions/chat/observer_test.go",
		"attempt":          "internal/job/report_test.go",
		"job ended":        "internal/job/report_test.go",
		"film":             "functions/render/report_test.go",
		"object finalized": "functions/finalize/handler_test.go",
		"swept":            "functions/sweep/handler_test.go",
		"request":          "internal/postgres/waits_test.go",
	}
	used := map[string]bool{}
	for _, m := range logtest.Metrics(t) {
		used[m.Line] = true
		file, ok := where[m.Line]
		if !ok {
			t.Errorf("no test shows that the line %q has what the metric %s reads", m.Line, m.Name)
			continue
		}
		if text := read(t, root+"/"+file); !strings.Contains(text, "logtest.Bound(") {
			t.Errorf("%s compares no line with the metrics", file)
		}
		if len(m.Functions) == 0 {
			t.Errorf("the metric %s is of no function", m.Name)
		}
		for _, function := range m.Functions {
			if _, ok := deployables[function]; !ok {
				t.Errorf("the metric %s is of %s, which is no function", m.Name, function)
			}
		}
	}
	for line := range where {
		if !used[line] {
			t.Errorf("no metric reads the line %q", line)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v, %v", pattern, files, err)
	}
	return files
}
