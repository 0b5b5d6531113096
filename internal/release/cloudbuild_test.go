package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// build is cloudbuild.yaml, as far as we use it; other fields are an error.
// https://docs.cloud.google.com/build/docs/build-config-file-schema
type build struct {
	Substitutions map[string]string
	Options       struct {
		Logging              string
		MachineType          string `yaml:"machineType"`
		DynamicSubstitutions bool   `yaml:"dynamicSubstitutions"`
		Env                  []string
	}
	Timeout string
	Steps   []step
}

type step struct {
	ID, Name, Entrypoint string
	Args, Env            []string
	WaitFor              []string `yaml:"waitFor"`
}

func pipeline(t *testing.T) build {
	t.Helper()
	file, err := os.Open(filepath.Join(root, "cloudbuild.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	decoder := yaml.NewDecoder(file)
	decoder.KnownFields(true)
	var b build
	if err := decoder.Decode(&b); err != nil {
		t.Fatal(err)
	}
	return b
}

// after is all that a step waits for, directly or not.
func (b build) after(t *testing.T, id string) []string {
	t.Helper()
	var found []string
	for _, s := range b.Steps {
		if s.ID != id {
			continue
		}
		if len(s.WaitFor) == 0 {
			t.Errorf("%s waits for all that is written before it: say what for", id)
		}
		for _, other := range s.WaitFor {
			if other != "-" && !slices.Contains(found, other) {
				found = append(append(found, other), b.after(t, other)...)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func TestPipelineOrder(t *testing.T) {
	t.Parallel()
	b := pipeline(t)
	var images []string
	for _, function := range append(slices.Clone(functions), "migrate") {
		images = append(images, "image-"+function)
	}
	slices.Sort(images)
	for _, image := range images { // all at once, as soon as it is known what is touched
		if got := b.after(t, image); !slices.Equal(got, []string{"checks", "touched"}) {
			t.Errorf("%s comes after %q", image, got)
		}
	}
	order := []string{"migrate", "apply", "smoke", "traffic"}
	for i, id := range order {
		before := append(append([]string{"checks", "touched", "terraform", "turn"}, images...), order[:i]...)
		for _, other := range before {
			if !slices.Contains(b.after(t, id), other) {
				t.Errorf("%s does not wait for %s", id, other)
			}
		}
	}
}

func TestPipelineSteps(t *testing.T) {
	t.Parallel()
	b := pipeline(t)
	if b.Options.Logging != "CLOUD_LOGGING_ONLY" || !b.Options.DynamicSubstitutions || b.Timeout == "" {
		t.Errorf("options are %+v, the timeout is %q", b.Options, b.Timeout)
	}
	seen := map[string]bool{}
	for _, s := range b.Steps {
		if s.ID == "" || seen[s.ID] {
			t.Errorf("a step has the id %q, or two have", s.ID)
		}
		for _, other := range s.WaitFor { // it is an error if the step is written later
			if other != "-" && !seen[other] {
				t.Errorf("%s waits for %s, which is not before it", s.ID, other)
			}
		}
		seen[s.ID] = true
		if _, version, ok := strings.Cut(s.Name, ":"); strings.HasSuffix(version, "latest") || !ok && s.Name != "gcr.io/cloud-builders/docker" { // which has the daemon's version
			t.Errorf("%s runs in %s, of any version", s.ID, s.Name)
		}
		for _, arg := range s.Args {
			if strings.HasPrefix(arg, "scripts/") {
				if info, err := os.Stat(filepath.Join(root, arg)); err != nil || info.Mode()&0o111 == 0 {
					t.Errorf("%s runs %s: %v", s.ID, arg, err)
				}
			}
		}
	}
	// What the trigger may give is used, and what is used is given.
	content, err := os.ReadFile(filepath.Join(root, "cloudbuild.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`\$\{?(_[A-Z_]+)`).FindAllStringSubmatch(string(content), -1) {
		if _, ok := b.Substitutions[match[1]]; !ok {
			t.Errorf("%s has no default", match[1])
		}
	}
	for name := range b.Substitutions {
		if !regexp.MustCompile(`\$\{?` + name + `\b`).Match(content) {
			t.Errorf("%s is not used", name)
		}
	}
}

// By hand the same is done, in the same order.
func TestReleaseIsThePipeline(t *testing.T) {
	t.Parallel()
	b := pipeline(t)
	var steps []string
	for _, s := range b.Steps {
		for _, arg := range s.Args {
			if strings.HasPrefix(arg, "scripts/") && s.ID != "checks" && s.ID != "turn" && !slices.Contains(steps, arg) {
				steps = append(steps, arg)
			}
		}
	}
	script, err := os.ReadFile(filepath.Join(root, "scripts/release.sh"))
	if err != nil {
		t.Fatal(err)
	}
	var byHand []string
	for line := range strings.Lines(string(script)) {
		if strings.HasPrefix(line, "scripts/") {
			byHand = append(byHand, strings.TrimSpace(line))
		}
	}
	if !slices.Equal(steps, byHand) {
		t.Errorf("the pipeline runs %q, and release.sh %q", steps, byHand)
	}
}

// Each script says how it is used, stops at the first error, and is written without one.
func TestScripts(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob(filepath.Join(root, "scripts", "*.sh"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range scripts {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := string(content)
		if out, err := exec.Command("bash", "-n", name).CombinedOutput(); err != nil {
			t.Errorf("%s: %s", name, out)
		}
		if filepath.Base(name) == "deployment.sh" { // is read by others
			continue
		}
		if !strings.Contains(text, "source scripts/deployment.sh") && !strings.Contains(text, "set -euo pipefail") {
			t.Errorf("%s goes on after an error", name)
		}
		if usage := strings.Contains(text, "\n# Usage: ") || strings.Contains(text, "Usage: "+filepath.Base(name)); !usage && filepath.Base(name) != "sqlmap.sh" { // shows it
			t.Errorf("%s does not say how it is used", name)
		}
	}
}
