package release

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// stages are the Dockerfile's, by name. BuildKit's own rules are scripts/lint.sh's.
func stages(t *testing.T) map[string]string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	name := ""
	for line := range strings.Lines(string(content)) {
		if words := strings.Fields(line); len(words) == 4 && words[0] == "FROM" {
			name = words[3]
		}
		if !strings.HasPrefix(line, "#") {
			found[name] += line
		}
	}
	return found
}

// A base is what it was when it was chosen.
func TestBasesArePinned(t *testing.T) {
	t.Parallel()
	for name, stage := range stages(t) {
		if name != "" && !regexp.MustCompile(`^FROM \S+:\S+@sha256:[0-9a-f]{64} AS`).MatchString(stage) {
			t.Errorf("%s stands on %s", name, strings.SplitN(stage, "\n", 2)[0])
		}
	}
}

// What runs is nobody, and says of which commit it is; plain is the program alone.
func TestTargets(t *testing.T) {
	t.Parallel()
	all := stages(t)
	for _, target := range []string{"plain", "media"} {
		stage := all[target]
		for _, line := range []string{"USER 65532:65532\n", "ENTRYPOINT [\"/lectern\"]\n", "COPY --from=build /lectern /lectern\n"} {
			if strings.Count(stage, line) != 1 {
				t.Errorf("%s has %q %d times", target, line, strings.Count(stage, line))
			}
		}
		for _, label := range []string{"revision=\"$REVISION\"", "source=\"$SOURCE\"", "created=\"$CREATED\"", "title=\"lectern-$FUNCTION\""} {
			if !strings.Contains(stage, "org.opencontainers.image."+label) {
				t.Errorf("%s has no label %s", target, label)
			}
		}
		if after := stage[strings.Index(stage, "USER"):]; strings.Contains(after, "\nRUN ") || strings.Contains(after, "\nUSER ") && strings.Count(after, "USER ") > 1 {
			t.Errorf("%s does more after it has become nobody", target)
		}
	}
	if strings.Contains(all["plain"], "\nRUN ") || strings.Count(all["plain"], "COPY") != 1 || !strings.HasPrefix(all["plain"], "FROM gcr.io/distroless/static-") {
		t.Error("plain is more than a program on distroless")
	}
	for _, name := range []string{"render", "ingest"} {
		content, err := os.ReadFile(filepath.Join(root, "internal/release/touched/image.go"))
		if err != nil || !strings.Contains(string(content), `function == "`+name+`"`) {
			t.Errorf("%s is not made by media: %v", name, err)
		}
	}
}

// Films and documents get what make setup installs, and certificates; nothing else.
func TestMediaHasWhatTestsHave(t *testing.T) {
	t.Parallel()
	installed := regexp.MustCompile(`(?s)--no-install-recommends \\\n(.*?) \\\n`).FindStringSubmatch(stages(t)["media"])
	setup, err := os.ReadFile(filepath.Join(root, "scripts/setup.sh"))
	if installed == nil || err != nil {
		t.Fatal("media installs nothing", err)
	}
	want := []string{"ca-certificates"}
	for _, match := range regexp.MustCompile(`\[(?:ffmpeg|espeak-ng|pdftohtml)\]=(\S+)|missing\+=\((fonts-\S+)\)`).FindAllStringSubmatch(string(setup), -1) {
		want = append(want, match[1]+match[2])
	}
	slices.Sort(want)
	if got := strings.Fields(installed[1]); len(want) != 7 || !slices.Equal(got, want) {
		t.Errorf("media installs %q, and setup.sh %q", got, want)
	}
}
