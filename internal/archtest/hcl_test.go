package archtest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	operation "github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// configuration is a folder of Terraform, as far as it can be told without a provider:
// what Google Cloud would say is unknown, and what comes of it.
type configuration struct {
	t         *testing.T
	folder    string
	locals    map[string]hclsyntax.Expression
	variables map[string]*hclsyntax.Block
	resources map[string]*hclsyntax.Block // by type.name; data sources begin with "data."
	modules   map[string]*hclsyntax.Block
}

func readTerraform(t *testing.T, folder string) *configuration {
	return readTerraformWith(t, folder, "", "")
}

// readTerraformWith reads it with one text in place of another, which must be there.
func readTerraformWith(t *testing.T, folder, from, to string) *configuration {
	c := &configuration{t, folder, map[string]hclsyntax.Expression{}, map[string]*hclsyntax.Block{}, map[string]*hclsyntax.Block{}, map[string]*hclsyntax.Block{}}
	files, err := filepath.Glob(folder + "/*.tf")
	if err != nil || len(files) == 0 {
		t.Fatalf("no Terraform in %s: %v", folder, err)
	}
	replaced := from == ""
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if from != "" && strings.Contains(string(text), from) {
			text, replaced = []byte(strings.ReplaceAll(string(text), from, to)), true
		}
		file, problems := hclsyntax.ParseConfig(text, name, hcl.InitialPos)
		if problems.HasErrors() {
			t.Fatal(problems)
		}
		for _, block := range file.Body.(*hclsyntax.Body).Blocks {
			c.add(block)
		}
	}
	if !replaced {
		t.Fatalf("nothing in %s says %q", folder, from)
	}
	return c
}

func (c *configuration) add(block *hclsyntax.Block) {
	switch block.Type {
	case "locals":
		for name, attribute := range block.Body.Attributes {
			c.locals[name] = attribute.Expr
		}
	case "variable":
		c.variables[block.Labels[0]] = block
	case "module":
		c.modules[block.Labels[0]] = block
	case "resource":
		c.resources[strings.Join(block.Labels, ".")] = block
	}
}

// told evaluates maps such as module.chat.environment or local.x, and merges them.
func (c *configuration) told(variables map[string]cty.Value, names ...string) map[string]cty.Value {
	told := map[string]cty.Value{}
	for _, name := range names {
		parts := strings.Split(name, ".")
		expression := c.locals[parts[1]]
		if parts[0] == "module" {
			attribute, is := c.module(parts[1]).Body.Attributes[parts[2]]
			if !is {
				continue // it has a default, which is empty
			}
			expression = attribute.Expr
		}
		if expression == nil {
			c.t.Fatalf("there is no %s", name)
		}
		v := evaluation{c, variables, map[string]cty.Value{}}.value(expression)
		if !v.IsKnown() {
			c.t.Fatalf("which settings are in %s cannot be told", name)
		}
		for it := v.ElementIterator(); it.Next(); {
			key, value := it.Element()
			told[key.AsString()] = value
		}
	}
	return told
}

func (c *configuration) module(name string) *hclsyntax.Block {
	block, is := c.modules[name]
	if !is {
		c.t.Fatalf("there is no module %s", name)
	}
	return block
}

// evaluation is of one set of variables.
type evaluation struct {
	*configuration
	given map[string]cty.Value
	known map[string]cty.Value // locals
}

func (e evaluation) value(expression hclsyntax.Expression) cty.Value {
	roots := map[string]map[string]cty.Value{}
	for _, traversal := range expression.Variables() {
		root := traversal.RootName()
		if roots[root] == nil {
			roots[root] = map[string]cty.Value{}
		}
		if len(traversal) > 1 {
			if step, is := traversal[1].(hcl.TraverseAttr); is {
				roots[root][step.Name] = e.named(root, step.Name)
			}
		}
	}
	context := &hcl.EvalContext{Variables: map[string]cty.Value{}, Functions: functionsOf(expression)}
	for root, members := range roots {
		context.Variables[root] = cty.ObjectVal(members)
	}
	v, problems := expression.Value(context)
	if problems.HasErrors() {
		e.t.Fatal(problems)
	}
	return v
}

// named gives local.x, var.x, and what a provider would say, which is unknown: of
// resources that are made for each of some names, the names are known.
func (e evaluation) named(root, name string) cty.Value {
	switch root {
	case "local":
		if _, is := e.known[name]; !is {
			e.known[name] = e.value(e.locals[name])
		}
		return e.known[name]
	case "var":
		return e.variable(name)
	case "path":
		return cty.StringVal(e.folder)
	}
	if block, is := e.resources[root+"."+name]; is && block.Body.Attributes["for_each"] != nil {
		made := map[string]cty.Value{}
		if each := e.value(block.Body.Attributes["for_each"].Expr); each.IsKnown() {
			for it := each.ElementIterator(); it.Next(); {
				key, _ := it.Element()
				made[key.AsString()] = cty.DynamicVal
			}
			return cty.ObjectVal(made)
		}
	}
	return cty.DynamicVal
}

func (e evaluation) variable(name string) cty.Value {
	block, is := e.variables[name]
	if !is {
		e.t.Fatalf("there is no variable %s", name)
	}
	typ, defaults, problems := typeexpr.TypeConstraintWithDefaults(block.Body.Attributes["type"].Expr)
	if problems.HasErrors() {
		e.t.Fatal(problems)
	}
	v, given := e.given[name]
	switch {
	case given:
	case block.Body.Attributes["default"] != nil:
		v = e.value(block.Body.Attributes["default"].Expr)
	default:
		return cty.UnknownVal(typ)
	}
	if defaults != nil {
		v = defaults.Apply(v)
	}
	v, err := convert.Convert(v, typ)
	if err != nil {
		e.t.Fatalf("var.%s: %v", name, err)
	}
	return v
}

// hangs tells whether what a name stands for has to do with var.name.
func (c *configuration) hangs(kind, name string, seen map[string]bool) bool {
	if seen[kind+name] {
		return false
	}
	seen[kind+name] = true
	var expressions []hclsyntax.Expression
	switch kind {
	case "local":
		expressions = append(expressions, c.locals[name])
	case "module":
		expressions = in(c.modules[name].Body)
	case "resource":
		expressions = in(c.resources[name].Body)
	}
	return c.anyHangs(expressions, seen)
}

func (c *configuration) anyHangs(expressions []hclsyntax.Expression, seen map[string]bool) bool {
	return slices.ContainsFunc(expressions, func(expression hclsyntax.Expression) bool {
		return slices.ContainsFunc(expression.Variables(), func(traversal hcl.Traversal) bool {
			step, is := hcl.TraverseAttr{}, false
			if len(traversal) > 1 {
				step, is = traversal[1].(hcl.TraverseAttr)
			}
			root := traversal.RootName()
			switch {
			case !is:
				return false
			case root == "var":
				return step.Name == "name"
			case root == "local" && c.locals[step.Name] != nil, root == "module" && c.modules[step.Name] != nil:
				return c.hangs(root, step.Name, seen)
			case c.resources[root+"."+step.Name] != nil:
				return c.hangs("resource", root+"."+step.Name, seen)
			}
			return false
		})
	})
}

// in gives the expressions of a block that say what it is, and not when it is made.
func in(body *hclsyntax.Body) []hclsyntax.Expression {
	var all []hclsyntax.Expression
	for name, attribute := range body.Attributes {
		if name != "depends_on" && name != "for_each" && name != "count" {
			all = append(all, attribute.Expr)
		}
	}
	for _, block := range body.Blocks {
		if block.Type != "lifecycle" {
			all = append(all, in(block.Body)...)
		}
	}
	return all
}

// functionsOf gives Terraform's functions that settings are made with. What is left out is
// taken for something that only Google Cloud knows.
func functionsOf(expression hclsyntax.Expression) map[string]operation.Function {
	functions := map[string]operation.Function{
		"concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc, "join": stdlib.JoinFunc, "keys": stdlib.KeysFunc, "length": stdlib.LengthFunc,
		"lookup": stdlib.LookupFunc, "lower": stdlib.LowerFunc, "merge": stdlib.MergeFunc, "setsubtract": stdlib.SetSubtractFunc, "setunion": stdlib.SetUnionFunc,
		"trimprefix": stdlib.TrimPrefixFunc, "trimsuffix": stdlib.TrimSuffixFunc, "values": stdlib.ValuesFunc,
		"jsonencode": stdlib.JSONEncodeFunc, "jsondecode": stdlib.JSONDecodeFunc,
		"alltrue": allTrue, "floor": stdlib.FloorFunc, "range": stdlib.RangeFunc, "regex": stdlib.RegexFunc, "formatdate": stdlib.FormatDateFunc, "file": fileText,
		"try": tryfunc.TryFunc, "can": tryfunc.CanFunc,
		"tostring": stdlib.MakeToFunc(cty.String), "toset": stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)),
		"coalesce": coalesce, "replace": replace,
	}
	_ = hclsyntax.VisitAll(expression, func(node hclsyntax.Node) hcl.Diagnostics {
		if call, is := node.(*hclsyntax.FunctionCallExpr); is {
			if _, known := functions[call.Name]; !known {
				functions[call.Name] = unknown
			}
		}
		return nil
	})
	return functions
}

var anything = operation.Parameter{Name: "arguments", Type: cty.DynamicPseudoType, AllowNull: true, AllowUnknown: true, AllowDynamicType: true, AllowMarked: true}

var unknown = operation.New(&operation.Spec{
	VarParam: &anything,
	Type:     operation.StaticReturnType(cty.DynamicPseudoType),
	Impl:     func([]cty.Value, cty.Type) (cty.Value, error) { return cty.DynamicVal, nil },
})

// coalesce is Terraform's, which passes empty strings over, too.
var coalesce = operation.New(&operation.Spec{
	VarParam: &anything,
	Type:     operation.StaticReturnType(cty.DynamicPseudoType),
	Impl: func(values []cty.Value, _ cty.Type) (cty.Value, error) {
		for _, v := range values {
			if !v.IsKnown() || !v.IsNull() && !(v.Type() == cty.String && v.AsString() == "") {
				return v, nil
			}
		}
		return cty.DynamicVal, nil
	},
})

// allTrue is Terraform's.
var allTrue = operation.New(&operation.Spec{
	Params: []operation.Parameter{{Name: "list", Type: cty.List(cty.Bool)}},
	Type:   operation.StaticReturnType(cty.Bool),
	Impl: func(v []cty.Value, _ cty.Type) (cty.Value, error) {
		all := cty.True
		for it := v[0].ElementIterator(); it.Next(); {
			_, is := it.Element()
			all = all.And(is)
		}
		return all, nil
	},
})

var fileText = operation.New(&operation.Spec{
	Params: []operation.Parameter{{Name: "path", Type: cty.String}},
	Type:   operation.StaticReturnType(cty.String),
	Impl: func(v []cty.Value, _ cty.Type) (cty.Value, error) {
		text, err := os.ReadFile(v[0].AsString())
		return cty.StringVal(string(text)), err
	},
})

// replace is Terraform's: what stands between slashes is a regular expression.
var replace = operation.New(&operation.Spec{
	Params: []operation.Parameter{{Name: "text", Type: cty.String}, {Name: "from", Type: cty.String}, {Name: "to", Type: cty.String}},
	Type:   operation.StaticReturnType(cty.String),
	Impl: func(v []cty.Value, _ cty.Type) (cty.Value, error) {
		text, from, to := v[0].AsString(), v[1].AsString(), v[2].AsString()
		if len(from) > 1 && strings.HasPrefix(from, "/") && strings.HasSuffix(from, "/") {
			pattern, err := regexp.Compile(from[1 : len(from)-1])
			if err != nil {
				return cty.NilVal, err
			}
			return cty.StringVal(pattern.ReplaceAllString(text, to)), nil
		}
		return cty.StringVal(strings.ReplaceAll(text, from, to)), nil
	},
})

// object makes an object of Terraform's from a literal.
func object(fields map[string]any) cty.Value {
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	typ, err := ctyjson.ImpliedType(text)
	if err != nil {
		panic(err)
	}
	v, err := ctyjson.Unmarshal(text, typ)
	if err != nil {
		panic(err)
	}
	return v
}
