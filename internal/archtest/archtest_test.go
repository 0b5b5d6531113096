package archtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

func TestFloors(t *testing.T) {
	t.Parallel()
	for _, violation := range load(t, root).violations() {
		t.Error(violation)
	}
}

// No room is planned for what does not exist.
func TestEveryRoomIsThere(t *testing.T) {
	t.Parallel()
	sources := load(t, root)
	for name := range house {
		if len(sources[name]) == 0 {
			t.Errorf("%s has a place in the house but no files", name)
		}
	}
}

func TestDeployablesLinkWhatTheyUse(t *testing.T) {
	t.Parallel()
	sources := load(t, root)
	for _, violation := range links(sources) {
		t.Error(violation)
	}
}

// links compares each deployable's program with the table.
func links(sources tree) []string {
	var found []string
	for pkg := range sources {
		verb, ok := function(pkg)
		if !ok || pkg != "functions/"+verb+"/cmd" {
			continue
		}
		want, planned := deployables[verb]
		if !planned {
			found = append(found, pkg+" is not in the table of deployables")
			continue
		}
		reached := sources.reaches(pkg)
		for _, vendor := range wing {
			if linked, wanted := slices.Contains(reached, vendor), slices.Contains(want, vendor); linked != wanted {
				found = append(found, fmt.Sprintf("%s links %s: %t, planned: %t", pkg, vendor, linked, wanted))
			}
		}
	}
	slices.Sort(found)
	return found
}

func TestMigrationsAreInOrder(t *testing.T) {
	t.Parallel()
	if err := inOrder(filepath.Join(root, "migrations")); err != nil {
		t.Error(err)
	}
}

var migration = regexp.MustCompile(`^(\d{4})_[a-z0-9_]+\.sql$`)

// inOrder wants 0001_a.sql, 0002_b.sql … without gaps or doubles.
func inOrder(folder string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.sql"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s has no migrations", folder)
	}
	for i, name := range files { // Glob sorts
		match := migration.FindStringSubmatch(filepath.Base(name))
		if match == nil || match[1] != fmt.Sprintf("%04d", i+1) {
			return fmt.Errorf("%s should be numbered %04d", filepath.Base(name), i+1)
		}
	}
	return nil
}

// A guard that finds nothing must be shown to find something.
func TestPlantedViolationsAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, imports, want string }{
		"a port with a library":      {"internal/blob/x.go", "github.com/jackc/pgx/v5", "standard library only"},
		"a port with another":        {"internal/blob/x.go", module + "internal/queue", "floor does not allow"},
		"a noun above":               {"internal/source/x.go", module + "internal/course", "floor does not allow"},
		"nouns beside each other":    {"internal/film/x.go", module + "internal/authoring", "floor does not allow"},
		"a noun with the edge":       {"internal/job/x.go", module + "internal/edge", "floor does not allow"},
		"a noun with a vendor":       {"internal/film/x.go", module + "internal/ffmpeg", "floor does not allow"},
		"a room of a noun":           {"internal/film/theme/x.go", module + "internal/ffmpeg", "floor does not allow"},
		"a vendor with a noun":       {"internal/gcp/gcs/x.go", module + "internal/course", "floor does not allow"},
		"a vendor with another port": {"internal/gcp/gcs/x.go", module + "internal/queue", "floor does not allow"},
		"an SDK in a noun":           {"internal/film/x.go", "cloud.google.com/go/storage", "only internal/gcp may"},
		"an SDK in a test":           {"internal/film/x_test.go", "cloud.google.com/go/storage", "only internal/gcp may"},
		"openai in a function":       {"functions/render/x.go", "github.com/openai/openai-go/v3", "only internal/openai may"},
		"a function with another":    {"functions/render/x.go", module + "functions/courses", "another function"},
		"a function's test too":      {"functions/render/x_test.go", module + "functions/courses", "another function"},
		"an emulator in production":  {"functions/render/x.go", module + "internal/gcp/gcs/emulator", "for tests"},
		"a fake's suite":             {"functions/render/x.go", module + "internal/blob/blobtest", "for tests"},
		"a room without a floor":     {"internal/helpers/x.go", "fmt", "no floor"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := load(t, plant(t, c.file, c.imports)).violations()
			if len(found) != 1 || !strings.Contains(found[0], c.want) {
				t.Errorf("found %q, want one with %q", found, c.want)
			}
		})
	}
}

func TestAllowedIsNotFound(t *testing.T) {
	t.Parallel()
	for file, imported := range map[string]string{
		"internal/film/x.go":             module + "internal/course",
		"internal/film/theme/x.go":       module + "internal/film/text",
		"internal/film/x_test.go":        module + "internal/ffmpeg",
		"internal/gcp/gcs/x.go":          "cloud.google.com/go/storage",
		"functions/render/x.go":          module + "internal/film",
		"functions/render/cmd/main.go":   module + "functions/render",
		"functions/local/x.go":           module + "functions/courses",
		"functions/render/x_test.go":     module + "internal/postgres/pgtest",
		"internal/source/x.go":           "golang.org/x/net/html",
		"internal/blob/testdata/skip.go": "github.com/jackc/pgx/v5",
	} {
		if found := load(t, plant(t, file, imported)).violations(); len(found) != 0 {
			t.Errorf("%s importing %s: %q", file, imported, found)
		}
	}
}

func TestPlantedWeightIsFound(t *testing.T) {
	t.Parallel()
	folder := plant(t, "functions/web/cmd/main.go", module+"functions/web")
	add(t, folder, "functions/web/x.go", module+"internal/edge")
	add(t, folder, "functions/web/z.go", module+"internal/gcp/telemetry")
	if found := links(load(t, folder)); len(found) != 0 {
		t.Errorf("a clean program: %q", found)
	}
	add(t, folder, "functions/web/y.go", module+"internal/gcp/gcs")
	if found := links(load(t, folder)); len(found) != 1 || !strings.Contains(found[0], "internal/gcp/gcs") {
		t.Errorf("found %q", found)
	}
	add(t, folder, "functions/new/cmd/main.go", "fmt")
	if found := links(load(t, folder)); len(found) != 2 {
		t.Errorf("found %q", found)
	}
}

func TestPlantedMigrationsAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files []string
		ok    bool
	}{
		"in order":  {[]string{"0001_a.sql", "0002_b.sql"}, true},
		"a gap":     {[]string{"0001_a.sql", "0003_b.sql"}, false},
		"a double":  {[]string{"0001_a.sql", "0001_b.sql"}, false},
		"odd names": {[]string{"1_a.sql"}, false},
		"none":      {nil, false},
	} {
		folder := t.TempDir()
		for _, file := range c.files {
			if err := os.WriteFile(filepath.Join(folder, file), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := inOrder(folder); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func load(t *testing.T, root string) tree {
	t.Helper()
	sources, err := parse(root)
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

// plant makes a tree of one file with one import.
func plant(t *testing.T, file, imported string) string {
	t.Helper()
	folder := t.TempDir()
	add(t, folder, file, imported)
	return folder
}

func add(t *testing.T, folder, file, imported string) {
	t.Helper()
	name := filepath.Join(folder, filepath.FromSlash(file))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, fmt.Appendf(nil, "package p\n\nimport _ %q\n", imported), 0o600); err != nil {
		t.Fatal(err)
	}
}
