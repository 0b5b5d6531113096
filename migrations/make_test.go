package migrations_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"lectern.dev/lectern/internal/postgres/pgtest"
	"lectern.dev/lectern/migrations"
)

// make migration NAME=… makes the next file, which runs as it is.
func TestMakeMigration(t *testing.T) {
	t.Parallel()
	house := t.TempDir()
	for _, folder := range []string{"scripts", "migrations"} {
		if err := os.Mkdir(filepath.Join(house, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	script, err := os.ReadFile("../scripts/migration.sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"scripts/migration.sh": string(script), "migrations/0008_birds.sql": "", "migrations/0010_nests.sql": "", "migrations/9.sql": "", "migrations/x.go": ""} {
		if err := os.WriteFile(filepath.Join(house, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) (string, error) {
		out, err := exec.Command(filepath.Join(house, "scripts/migration.sh"), args...).CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	for _, wrong := range [][]string{{}, {""}, {"Add"}, {"add things"}, {"../add"}, {"1st"}} {
		if out, err := run(wrong...); err == nil || !strings.Contains(out, "usage: make migration NAME=") {
			t.Errorf("%q: %s, %v", wrong, out, err)
		}
	}
	const want = "migrations/0011_add_things.sql"
	if out, err := run("add_things"); err != nil || out != want {
		t.Fatalf("%s, %v", out, err)
	}
	if out, err := run("more"); err != nil || out != "migrations/0012_more.sql" {
		t.Fatalf("%s, %v", out, err)
	}
	text, err := os.ReadFile(filepath.Join(house, want))
	if err != nil || !strings.HasPrefix(string(text), "-- +goose Up\n") || !strings.Contains(string(text), "can be done again") {
		t.Fatalf("%s, %v", text, err)
	}
	db := owner(t, pgtest.Empty(t))
	err = migrations.UpOf(t.Context(), db, fstest.MapFS{"0001_x.sql": {Data: text}, "0002_x.sql": {Data: []byte(string(text) + "SELECT 1;\n")}}, time.Second)
	if err != nil || version(t, db) != 2 {
		t.Errorf("it does not run: %v", err)
	}
}
