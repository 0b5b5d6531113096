package archtest

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const module = "lectern.dev/lectern/"

// tree is the sources of a module: what each file of each package imports.
type tree map[string][]file // by package path below the module's

type file struct {
	name    string
	test    bool
	imports []string
}

// parse reads the imports of every file below root, whatever its build tags.
func parse(root string) (tree, error) {
	t := make(tree)
	set := token.NewFileSet()
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if base := entry.Name(); name != root && (strings.HasPrefix(base, ".") || base == "testdata" || base == "tools") {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		parsed, err := parser.ParseFile(set, name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		f := file{name: filepath.ToSlash(relative), test: strings.HasSuffix(name, "_test.go")}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, imported)
		}
		pkg := path.Dir(f.name)
		t[pkg] = append(t[pkg], f)
		return nil
	})
	return t, err
}

// violations are sentences, sorted; none when the house stands as planned.
func (t tree) violations() []string {
	var found []string
	for pkg, files := range t {
		for _, f := range files {
			found = append(found, vendorsOf(f)...)
			if !f.test {
				found = append(found, rules(pkg, f)...)
			} else if verb, ok := function(pkg); ok && verb != "local" {
				found = append(found, others(verb, f)...)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// vendorsOf finds SDKs outside the package that owns them.
func vendorsOf(f file) []string {
	var found []string
	for _, imported := range f.imports {
		for prefix, owner := range vendors {
			if strings.HasPrefix(imported, prefix) && !strings.HasPrefix(f.name, owner+"/") {
				found = append(found, fmt.Sprintf("%s imports %s, which only %s may", f.name, imported, owner))
			}
		}
	}
	return found
}

// rules holds a file against the room that its package is.
func rules(pkg string, f file) []string {
	if verb, ok := function(pkg); ok {
		if verb == "local" {
			return nil
		}
		return append(others(verb, f), emulators(f)...)
	}
	name, r, ok := roomOf(pkg)
	if !ok {
		return []string{pkg + " stands on no floor: place it in internal/archtest/house_test.go"}
	}
	var found []string
	for _, imported := range f.imports {
		ours, inside := strings.CutPrefix(imported, module)
		switch {
		case inside && !allows(with(r.may, name+"/..."), ours):
			found = append(found, fmt.Sprintf("%s imports %s, which its floor does not allow", f.name, ours))
		case !inside && r.bare && strings.Contains(strings.Split(imported, "/")[0], "."):
			found = append(found, fmt.Sprintf("%s imports %s; it may use the standard library only", f.name, imported))
		}
	}
	return found
}

// roomOf finds the rules of a package. A package without a room of its own lives
// in that of the folder above, as a sample or a theme does.
func roomOf(pkg string) (name string, r room, ok bool) {
	for name = pkg; name != "."; name = path.Dir(name) {
		if r, ok = house[name]; ok {
			return name, r, true
		}
	}
	return "", room{}, false
}

func allows(may []string, pkg string) bool {
	return slices.ContainsFunc(may, func(pattern string) bool {
		folder, all := strings.CutSuffix(pattern, "/...")
		return pkg == folder || all && strings.HasPrefix(pkg, folder+"/")
	})
}

// others finds functions that know another function.
func others(verb string, f file) []string {
	var found []string
	for _, imported := range f.imports {
		ours, _ := strings.CutPrefix(imported, module)
		if other, ok := function(ours); ok && other != verb {
			found = append(found, fmt.Sprintf("%s imports another function, %s", f.name, ours))
		}
	}
	return found
}

// emulators finds stand-ins and test packages in what is deployed.
func emulators(f file) []string {
	var found []string
	for _, imported := range f.imports {
		ours, inside := strings.CutPrefix(imported, module)
		base := path.Base(ours)
		if inside && (base == "emulator" || base == "dispatch" || base == "cluster" || strings.HasSuffix(base, "test")) {
			found = append(found, fmt.Sprintf("%s imports %s, which is for tests and functions/local", f.name, ours))
		}
	}
	return found
}

// function gives the verb of a package below functions/.
func function(pkg string) (verb string, ok bool) {
	rest, ok := strings.CutPrefix(pkg, "functions/")
	verb, _, _ = strings.Cut(rest, "/")
	return verb, ok
}

// reaches gives every package of ours that a package links.
func (t tree) reaches(pkg string) []string {
	seen := make(map[string]bool)
	var visit func(string)
	visit = func(pkg string) {
		if seen[pkg] {
			return
		}
		seen[pkg] = true
		for _, f := range t[pkg] {
			if f.test {
				continue
			}
			for _, imported := range f.imports {
				if ours, inside := strings.CutPrefix(imported, module); inside {
					visit(ours)
				}
			}
		}
	}
	visit(pkg)
	return slices.Sorted(maps.Keys(seen))
}
