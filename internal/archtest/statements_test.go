package archtest

import (
	"fmt"
	"go/ast"
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

// statement is a text that the database is given.
type statement struct {
	function string // "internal/job.claim"
	at       string // file and line
	text     string // "" for what callers add
}

// sqlArgument says which argument of a method of pgx or database/sql is SQL.
var sqlArgument = map[string]int{
	"Exec": 1, "Query": 1, "QueryRow": 1, "Queue": 0, "ExecParams": 1,
	"ExecContext": 1, "QueryContext": 1, "QueryRowContext": 1, "PrepareContext": 1,
}

// reader finds the statements of a module: constants, wherever they are handed to
// the database. A function that hands on a parameter of its own is asked about at
// every call, so that no helper hides where a text comes from.
type reader struct {
	set       *token.FileSet
	packages  map[string][]*ast.File         // by path below the module's
	constants map[string]map[string]ast.Expr // of packages, by name
	carriers  map[string]map[int]bool        // "internal/job.renew" hands on these arguments
	dynamic   map[string]string              // at → what is wrong
	kept      map[string]string              // at → a method as a value
	found     map[string]statement           // at → what is constant
	callers   map[string][]string            // "postgres.AnyOrganization" → functions that mention it
}

// readStatements parses every file below root that is no test.
func readStatements(root string) (*reader, error) {
	r := &reader{set: token.NewFileSet(), packages: map[string][]*ast.File{}, constants: map[string]map[string]ast.Expr{}, carriers: map[string]map[int]bool{}}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		base := entry.Name()
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != root && (strings.HasPrefix(base, ".") || base == "testdata" || base == "tools"):
			return fs.SkipDir
		case entry.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(r.set, name, nil, parser.SkipObjectResolution)
		pkg := path.Dir(filepath.ToSlash(relative))
		r.packages[pkg] = append(r.packages[pkg], parsed)
		return err
	})
	if err != nil {
		return nil, err
	}
	for pkg, files := range r.packages {
		r.constants[pkg] = map[string]ast.Expr{}
		for _, f := range files {
			for _, d := range f.Decls {
				declared(d, r.constants[pkg])
			}
		}
	}
	for known := -1; known != r.carried(); { // until no more functions are found that hand on a text
		known = r.carried()
		r.dynamic, r.kept, r.found, r.callers = map[string]string{}, map[string]string{}, map[string]statement{}, map[string][]string{}
		for _, pkg := range slices.Sorted(maps.Keys(r.packages)) {
			for _, f := range r.packages[pkg] {
				r.file(pkg, f)
			}
		}
	}
	return r, nil
}

func (r *reader) carried() int {
	n := 0
	for _, arguments := range r.carriers {
		n += len(arguments)
	}
	return n
}

// declared collects the constants of a declaration.
func declared(d ast.Decl, into map[string]ast.Expr) {
	g, ok := d.(*ast.GenDecl)
	if !ok || g.Tok != token.CONST {
		return
	}
	for _, spec := range g.Specs {
		v := spec.(*ast.ValueSpec)
		for i, name := range v.Names {
			if i < len(v.Values) {
				into[name.Name] = v.Values[i]
			}
		}
	}
}

// place is where an expression stands: what its names mean.
type place struct {
	pkg, function string
	imports       map[string]string   // by local name; of this module, "" for others
	constants     map[string]ast.Expr // of the function
	variables     map[string]bool     // of the function: they hide constants
	parameters    map[string]int      // that nothing is assigned to
}

func (r *reader) file(pkg string, f *ast.File) {
	imports := map[string]string{}
	for _, spec := range f.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		ours, inside := strings.CutPrefix(imported, module)
		if !inside {
			ours = ""
		}
		imports[name] = ours
	}
	for _, d := range f.Decls {
		p := place{pkg: pkg, function: pkg, imports: imports, constants: map[string]ast.Expr{}, variables: map[string]bool{}, parameters: map[string]int{}}
		if fn, ok := d.(*ast.FuncDecl); ok {
			p.function = pkg + "." + fn.Name.Name
			p.enter(fn.Type)
		}
		ast.Inspect(d, func(n ast.Node) bool {
			p.learn(n)
			return true
		})
		called := map[ast.Node]bool{}
		ast.Inspect(d, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				called[n.Fun] = true
				r.call(p, n)
			case *ast.SelectorExpr:
				r.mention(p, n, called[n])
			}
			return true
		})
	}
}

// enter notes a function's parameters.
func (p place) enter(fn *ast.FuncType) {
	i := 0
	for _, field := range fn.Params.List {
		for _, name := range field.Names {
			if kind, ok := field.Type.(*ast.Ident); ok && kind.Name == "string" {
				p.parameters[name.Name] = i
			}
			p.variables[name.Name] = true
			i++
		}
	}
}

// learn notes what a node says about names: constants, variables, and parameters
// that do not stay what the caller gave.
func (p place) learn(n ast.Node) {
	variable := func(e ast.Expr) {
		if name, ok := e.(*ast.Ident); ok {
			p.variables[name.Name] = true
			delete(p.parameters, name.Name)
		}
	}
	switch n := n.(type) {
	case *ast.AssignStmt:
		for _, left := range n.Lhs {
			variable(left)
		}
	case *ast.RangeStmt:
		variable(n.Key)
		variable(n.Value)
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			variable(n.X)
		}
	case *ast.FuncLit:
		for _, field := range n.Type.Params.List {
			for _, name := range field.Names {
				variable(name)
			}
		}
	case *ast.DeclStmt:
		declared(n.Decl, p.constants)
		if g, ok := n.Decl.(*ast.GenDecl); ok && g.Tok == token.VAR {
			for _, spec := range g.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					variable(name)
				}
			}
		}
	}
}

// call looks at what is handed to the database, or to who hands it on.
func (r *reader) call(p place, c *ast.CallExpr) {
	name, owner := "", p.pkg
	switch fn := c.Fun.(type) {
	case *ast.Ident:
		name = fn.Name
	case *ast.SelectorExpr:
		name = fn.Sel.Name
		if imported, ok := p.imported(fn.X); ok {
			if imported == "" {
				return // a function of another module is no method of a pool
			}
			owner = imported
		}
		if i, ok := sqlArgument[name]; ok && len(c.Args) > i && !isFunction(c.Args[i]) {
			r.argument(p, c.Args[i])
			return
		}
	default:
		return
	}
	for i := range r.carriers[owner+"."+name] {
		if i < len(c.Args) {
			r.argument(p, c.Args[i])
		}
	}
}

// imported gives the package that a name stands for.
func (p place) imported(e ast.Expr) (pkg string, ok bool) {
	x, ok := e.(*ast.Ident)
	if !ok || p.variables[x.Name] {
		return "", false
	}
	pkg, ok = p.imports[x.Name]
	return pkg, ok
}

func isFunction(e ast.Expr) bool {
	_, ok := e.(*ast.FuncLit)
	return ok
}

// mention finds what would get past call: a method that is kept as a value, and the
// inside of a batch.
func (r *reader) mention(p place, s *ast.SelectorExpr, called bool) {
	at := r.set.Position(s.Pos()).String()
	switch name := s.Sel.Name; name {
	case "Exec", "Query", "QueryRow":
		if _, imported := p.imported(s.X); !called && !imported {
			r.kept[at] = p.function + " keeps the method " + name + " as a value"
		}
	case "QueuedQueries":
		r.kept[at] = p.function + " looks into a batch"
	case "AnyOrganization", "AnyOfPool":
		r.callers[name] = append(r.callers[name], p.function)
	}
}

// argument wants a text of constants, and of parameters that callers are asked about.
func (r *reader) argument(p place, e ast.Expr) {
	at := r.set.Position(e.Pos()).String()
	text, parameters, ok := r.fold(p, e)
	if !ok {
		r.dynamic[at] = p.function + " gives the database a text that is not constant"
		return
	}
	for _, i := range parameters {
		if r.carriers[p.function] == nil {
			r.carriers[p.function] = map[int]bool{}
		}
		r.carriers[p.function][i] = true
	}
	r.found[at] = statement{p.function, at, text}
}

// fold puts a constant text together.
func (r *reader) fold(p place, e ast.Expr) (text string, parameters []int, ok bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, nil, e.Kind == token.STRING && err == nil
	case *ast.ParenExpr:
		return r.fold(p, e.X)
	case *ast.BinaryExpr:
		left, more, ok := r.fold(p, e.X)
		if !ok || e.Op != token.ADD {
			return "", nil, false
		}
		right, most, ok := r.fold(p, e.Y)
		return left + right, append(more, most...), ok
	case *ast.Ident:
		if value, ok := p.constants[e.Name]; ok {
			return r.fold(p, value)
		}
		if i, ok := p.parameters[e.Name]; ok {
			return "", []int{i}, true
		}
		if value, ok := r.constants[p.pkg][e.Name]; ok && !p.variables[e.Name] {
			return r.fold(place{pkg: p.pkg, imports: p.imports}, value)
		}
	case *ast.SelectorExpr:
		if imported, ok := p.imported(e.X); ok {
			if value, ok := r.constants[imported][e.Sel.Name]; ok {
				return r.fold(place{pkg: imported}, value)
			}
		}
	}
	return "", nil, false
}

// notConstant lists what the database is given that is built at run time, and what
// could hide such a text, but for the functions that may.
func (r *reader) notConstant(mayBuild, mayKeep map[string]string) []string {
	return slices.Sorted(slices.Values(append(without(r.dynamic, mayBuild), without(r.kept, mayKeep)...)))
}

func without(found, allowed map[string]string) (rest []string) {
	for at, what := range found {
		function, _, _ := strings.Cut(what, " ")
		if allowed[function] == "" {
			rest = append(rest, fmt.Sprintf("%s: %s", at, what))
		}
	}
	return rest
}
