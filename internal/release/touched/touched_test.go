package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lectern.dev/lectern/internal/release/recipe"
)

const root = "../../.."

// house is a small Lectern: chat speaks to nobody, render stands on a package that
// embeds its fonts, and migrate embeds the migrations.
var house = map[string]string{
	"go.mod":                         "module example.org/house\n\ngo 1.26.0\n",
	"Dockerfile":                     "FROM golang AS build\nRUN make\nFROM distroless AS plain\nCOPY a b\nFROM debian AS media\nRUN apt-get install ffmpeg\n",
	"README.md":                      "# A house\n",
	"docs/page.md":                   "A page.\n",
	"terraform/main.tf":              "# nothing\n",
	"functions/local/main.go":        "package main\nfunc main() {}\n", // is not deployed
	"functions/chat/chat.go":         "package chat\nimport _ \"example.org/house/internal/edge\"\n",
	"functions/chat/chat_test.go":    "package chat\n",
	"functions/chat/cmd/main.go":     "package main\nimport _ \"example.org/house/functions/chat\"\nfunc main() {}\n",
	"functions/render/cmd/main.go":   "package main\nimport (_ \"example.org/house/internal/edge\"; _ \"example.org/house/internal/film\")\nfunc main() {}\n",
	"internal/edge/edge.go":          "package edge\n",
	"internal/edge/container.go":     "//go:build container\n\npackage edge\n",
	"internal/edge/elsewhere.go":     "//go:build !container\n\npackage edge\n",
	"internal/film/film.go":          "package film\nimport _ \"embed\"\n//go:embed fonts\nvar font string\n",
	"internal/film/fonts":            "a font",
	"migrations/migrations.go":       "package migrations\nimport \"embed\"\n//go:embed *.sql\nvar files embed.FS\n",
	"migrations/0001_init.sql":       "CREATE TABLE a ();\n",
	"migrations/cmd/migrate/main.go": "package main\nimport _ \"example.org/house/migrations\"\nfunc main() {}\n",
}

func build(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range house {
		write(t, root, name, content)
	}
	for _, args := range [][]string{
		{"init", "-q"},
		{"add", "-A"},
		{"-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "a"},
	} {
		if err := git(t.Context(), root, args...); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func write(t *testing.T, root, name, content string) {
	t.Helper()
	name = filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A commit touches the functions that are made from what it changes, and no others.
func TestTouched(t *testing.T) {
	t.Parallel()
	const everything = "chat, migrate, render"
	for change, want := range map[string]struct{ file, content, touched string }{
		"a page of documentation":        {"docs/page.md", "Another page.\n", ""},
		"the README":                     {"README.md", "# Another house\n", ""},
		"Terraform":                      {"terraform/main.tf", "# something\n", ""},
		"a test":                         {"functions/chat/chat_test.go", "package chat // another\n", ""},
		"a file of another build":        {"internal/edge/elsewhere.go", "//go:build !container\n\npackage edge // another\n", ""},
		"what is not deployed":           {"functions/local/main.go", "package main\nfunc main() { println() }\n", ""},
		"a file of a function":           {"functions/chat/chat.go", "package chat\nimport _ \"example.org/house/internal/edge\"\nvar A int\n", "chat"},
		"a new file of a function":       {"functions/chat/more.go", "package chat\n", "chat"},
		"what all stand on":              {"internal/edge/edge.go", "package edge // another\n", "chat, render"},
		"a file of containers":           {"internal/edge/container.go", "//go:build container\n\npackage edge // another\n", "chat, render"},
		"an embedded file":               {"internal/film/fonts", "another font", "render"},
		"a migration":                    {"migrations/0001_init.sql", "CREATE TABLE b ();\n", "migrate"},
		"a new migration":                {"migrations/0002_more.sql", "CREATE TABLE b ();\n", "migrate"},
		"the language":                   {"go.mod", "module example.org/house\n\ngo 1.26.1\n", everything},
		"how the language behaves":       {"go.mod", "module example.org/house\n\ngo 1.26.0\n\ngodebug panicnil=1\n", everything},
		"how programs are built":         {"Dockerfile", strings.Replace(house["Dockerfile"], "make", "make all", 1), everything},
		"the image of programs alone":    {"Dockerfile", strings.Replace(house["Dockerfile"], "COPY", "ADD", 1), "chat, migrate"},
		"the image of those with a film": {"Dockerfile", house["Dockerfile"] + "RUN date\n", "render"},
	} {
		t.Run(change, func(t *testing.T) {
			t.Parallel()
			root := build(t)
			write(t, root, want.file, want.content)
			var out strings.Builder
			if err := differing(t.Context(), &out, root, "HEAD"); err != nil {
				t.Fatal(err)
			}
			var touched []string
			for line := range strings.Lines(out.String()) {
				function, changed, _ := strings.Cut(strings.TrimSpace(line), ": ")
				touched = append(touched, function)
				if !strings.Contains(changed, want.file) && want.file != "go.mod" {
					t.Errorf("%s is touched by %s", function, changed)
				}
			}
			if got := strings.Join(touched, ", "); got != want.touched {
				t.Errorf("it touches %q, not %q", got, want.touched)
			}
		})
	}
}

// Another version of a module touches those that link it; one that nobody links, nobody.
func TestModulesCount(t *testing.T) {
	t.Parallel()
	p := func(version, sum string) pkg {
		p := pkg{ImportPath: "example.net/a/b"}
		if err := json.Unmarshal(fmt.Appendf(nil, `{"Path": "example.net/a", "Version": %q, "Sum": %q}`, version, sum), &p.Module); err != nil {
			t.Fatal(err)
		}
		return p
	}
	name := func(p pkg) string {
		i := image{}
		if err := i.add(".", p); err != nil {
			t.Fatal(err)
		}
		return i.name()
	}
	one := name(p("v1.0.0", "h1:a"))
	if same := name(p("v1.0.0", "h1:a")); same != one {
		t.Error("the same module has two names")
	}
	if other := name(p("v1.0.1", "h1:b")); other == one {
		t.Error("another version does not count")
	}
	replaced := p("v1.0.0", "h1:a")
	if err := json.Unmarshal([]byte(`{"Path": "../a"}`), &replaced.Module.Replace); err != nil {
		t.Fatal(err)
	}
	if err := (image{}).add(".", replaced); err == nil {
		t.Error("a folder that no image has replaces a module")
	}
	if err := (image{}).add(".", pkg{ImportPath: "b"}); err == nil {
		t.Error("a package without a module is not counted")
	}
}

// Of this house itself: every function is there, with what it embeds, and
// modules that it links and no others.
func TestThisHouse(t *testing.T) {
	t.Parallel()
	made, err := images(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"auth", "chat", "courses", "finalize", "generate", "ingest", "migrate", "render", "sweep", "web"}
	if got := slices.Sorted(maps.Keys(made)); !slices.Equal(got, want) {
		t.Errorf("the programs are %q", got)
	}
	for function, image := range made {
		if image["Dockerfile"] == "" || image["go"] == "" {
			t.Errorf("%s is made without the Dockerfile or the language", function)
		}
		stores := slices.Contains([]string{"courses", "finalize", "ingest", "render", "sweep"}, function)
		if _, linked := image["module cloud.google.com/go/storage"]; linked != stores {
			t.Errorf("%s links Cloud Storage: %t", function, linked)
		}
	}
	if made["migrate"]["migrations/0001_init.sql"] == "" || !slices.ContainsFunc(slices.Collect(maps.Keys(made["web"])), func(what string) bool {
		return strings.HasPrefix(what, "functions/web/templates/")
	}) {
		t.Error("embedded files are not counted")
	}
}

// What is counted is all that a program needs, and its folder does not show in it: of a
// copy with the counted files alone comes the same.
func TestCountedFilesMakeTheProgram(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds programs")
	}
	made, err := images(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	for _, function := range []string{"web", "migrate"} { // what embeds most, and what lies elsewhere
		t.Run(function, func(t *testing.T) {
			t.Parallel()
			copied := t.TempDir()
			for what := range made[function] {
				if what != "go" && !strings.HasPrefix(what, "module ") {
					imitate(t, copied, what)
				}
			}
			imitate(t, copied, "go.mod") // of which the counted versions are
			imitate(t, copied, "go.sum")
			if here, there := program(t, root, function), program(t, copied, function); here != there {
				t.Error("two folders make two programs")
			}
		})
	}
}

// .dockerignore lets through all that is counted.
func TestContextHasWhatIsCounted(t *testing.T) {
	t.Parallel()
	patterns, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	made, err := images(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	for function, image := range made {
		for what := range image {
			if what == "Dockerfile" || what == "go" || strings.HasPrefix(what, "module ") { // the builder reads the Dockerfile beside the context
				continue
			}
			if ignored(string(patterns), what) {
				t.Errorf("%s needs %s, which .dockerignore keeps out", function, what)
			}
		}
	}
	for _, name := range []string{"README.md", ".git/HEAD", "functions/web/handler_test.go", "terraform/terraform.tfvars", "functions/web/testdata/a"} {
		if !ignored(string(patterns), name) {
			t.Errorf("%s is in the context", name)
		}
	}
}

// ignored knows the patterns that we use: the last that fits decides.
func ignored(patterns, name string) (out bool) {
	for line := range strings.Lines(patterns) {
		pattern := strings.TrimSpace(line)
		switch folder, again := strings.CutPrefix(pattern, "!"); {
		case pattern == "*":
			out = true
		case again && (name == folder || strings.HasPrefix(name, folder+"/")):
			out = false
		case strings.HasPrefix(pattern, "**/*") && strings.HasSuffix(name, strings.TrimPrefix(pattern, "**/*")):
			out = true
		case strings.HasPrefix(pattern, "**/") && strings.Contains("/"+name, strings.TrimPrefix(pattern, "**")+"/"):
			out = true
		}
	}
	return out
}

func imitate(t *testing.T, copied, name string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	write(t, copied, name, string(content))
}

func program(t *testing.T, root, function string) string {
	t.Helper()
	output := filepath.Join(t.TempDir(), function)
	if err := recipe.Build(t.Context(), root, function, output); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	return digest(content)
}
