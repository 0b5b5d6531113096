package archtest

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/settings.md anew")

// programs are the structs that each program reads from its environment.
var programs = map[string][]string{
	"migrate": {"migrations/cmd/migrate.Config", "migrations/cmd/migrate.Founding"},
	"local":   {"functions/local.logging", "functions/local/house.Models"},
}

const settingsHead = `# Settings

What each program reads from its environment, from the fields of its ` + "`Config`" + `. All that is
missing or malformed is told at once, before anything listens. A list is separated by commas.
` + "`go test ./internal/archtest -run Settings -update`" + ` writes this table anew.

| setting | read by | default | meaning |
|---|---|---|---|
`

// Every setting says what it means, with its unit; and the table for operators holds
// every setting of every program and nothing else.
func TestSettings(t *testing.T) {
	t.Parallel()
	all := maps.Clone(programs)
	for name := range deployables {
		all[name] = []string{"internal/edge.settings", "functions/" + name + ".Config"}
	}
	s := settings{t: t, packages: map[string]map[string]structure{}, rows: map[setting][]string{}}
	for program, types := range all {
		for _, typ := range types {
			s.read(program, path.Dir(typ)+"/"+strings.SplitN(path.Base(typ), ".", 2)[0], strings.SplitN(path.Base(typ), ".", 2)[1])
		}
	}
	want := s.table(slices.Sorted(maps.Keys(deployables)))
	const name = "../../docs/settings.md"
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/settings.md is not what the Configs say: go test ./internal/archtest -run Settings -update")
	}
}

// setting is a row of the table, without who reads it.
type setting struct{ name, fallback, meaning string }

// settings collects what structs read.
type settings struct {
	t        *testing.T
	packages map[string]map[string]structure // by path below the module's, then by name
	rows     map[setting][]string            // to programs
}

// structure is a struct type and the imports of the file that it stands in.
type structure struct {
	*ast.StructType
	imports map[string]string // from name to path
}

// read adds the settings of a struct, and of the structs in it.
func (s settings) read(program, pkg, name string) {
	s.t.Helper()
	found, ok := s.load(pkg)[name]
	if !ok {
		s.t.Fatalf("%s has no struct %s", pkg, name)
	}
	for _, field := range found.Fields.List {
		tag := reflect.StructTag("")
		if field.Tag != nil {
			text, _ := strconv.Unquote(field.Tag.Value)
			tag = reflect.StructTag(text)
		}
		env, ok := tag.Lookup("env")
		switch typ := field.Type.(type) {
		case *ast.Ident:
			if _, is := s.load(pkg)[typ.Name]; is && !ok {
				s.read(program, pkg, typ.Name)
			}
		case *ast.SelectorExpr:
			other, below := strings.CutPrefix(found.imports[typ.X.(*ast.Ident).Name], module)
			if _, is := s.load(other)[typ.Sel.Name]; below && is && !ok {
				s.read(program, other, typ.Sel.Name)
			}
		}
		if ok {
			s.add(program, env, meaning(field))
		}
	}
}

// meaning is what the comment of a field says. It may begin with the field's name, as
// Go's do; the table has the setting's.
func meaning(field *ast.Field) string {
	text := strings.Join(strings.Fields(cmp.Or(field.Comment.Text(), field.Doc.Text())), " ")
	for _, verb := range []string{" is ", " are "} {
		text = strings.TrimPrefix(text, field.Names[0].Name+verb)
	}
	return strings.TrimSuffix(text, ".")
}

func (s settings) add(program, tag, meaning string) {
	name, option, _ := strings.Cut(tag, ", ")
	if meaning == "" {
		s.t.Errorf("%s: %s does not say what it means", program, name)
	}
	fallback := option
	if given, ok := strings.CutPrefix(option, "default="); ok {
		fallback = "`" + given + "`"
	}
	row := setting{name, fallback, meaning}
	if !slices.Contains(s.rows[row], program) {
		s.rows[row] = append(s.rows[row], program)
	}
}

// load finds the structs of a package; one outside the module has none.
func (s settings) load(pkg string) map[string]structure {
	if known, ok := s.packages[pkg]; ok {
		return known
	}
	all := map[string]structure{}
	s.packages[pkg] = all
	files, _ := filepath.Glob(filepath.Join("../..", pkg, "*.go"))
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			s.t.Fatal(err)
		}
		imports := map[string]string{}
		for _, spec := range f.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			imports[path.Base(imported)] = imported
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if typ, ok := n.(*ast.TypeSpec); ok {
				if fields, ok := typ.Type.(*ast.StructType); ok {
					all[typ.Name.Name] = structure{fields, imports}
				}
			}
			return true
		})
	}
	return all
}

// table writes the rows, sorted. A setting that all functions read says so.
func (s settings) table(functions []string) string {
	var b strings.Builder
	b.WriteString(settingsHead)
	rows := slices.SortedFunc(maps.Keys(s.rows), func(a, b setting) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.fallback, b.fallback), cmp.Compare(a.meaning, b.meaning))
	})
	for _, row := range rows {
		by := slices.Sorted(slices.Values(s.rows[row]))
		readers := strings.Join(by, ", ")
		if slices.Equal(by, functions) {
			readers = "every function"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", row.name, readers, row.fallback, strings.ReplaceAll(row.meaning, "|", "\\|"))
	}
	return b.String()
}
