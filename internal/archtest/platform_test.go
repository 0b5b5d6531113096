package archtest

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty/convert"
)

// The pipeline applies Terraform with the variables of the last apply by hand: one that is
// not kept would fall back to its default with the next push.
func TestVariablesAreKept(t *testing.T) {
	t.Parallel()
	c := readTerraform(t, root+"/terraform")
	encode, ok := c.resources["google_storage_bucket_object.variables"].Body.Attributes["content"].Expr.(*hclsyntax.FunctionCallExpr)
	if !ok {
		t.Fatal("the object of variables is not made by jsonencode")
	}
	kept := map[string]bool{"images": true} // which ones run, the pipeline says
	for _, item := range encode.Args[0].(*hclsyntax.ObjectConsExpr).Items {
		name := hcl.ExprAsKeyword(item.KeyExpr)
		kept[name] = true
		if of := item.ValueExpr.Variables(); len(of) != 1 || of[0].RootName() != "var" || of[0][1].(hcl.TraverseAttr).Name != name {
			t.Errorf("%s is kept as something else", name)
		}
	}
	for name := range c.variables {
		if !kept[name] {
			t.Errorf("terraform/kept.tf does not keep var.%s", name)
		}
	}
}

// What the example says, and what it would say without its comment signs, are variables
// that there are, of their types.
func TestExampleIsUnderstood(t *testing.T) {
	t.Parallel()
	const name = root + "/terraform/terraform.tfvars.example"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	c := readTerraform(t, root+"/terraform")
	commented := regexp.MustCompile(`(?m)^# ( *[a-z_]+ += .*|\})$`)
	if n := len(commented.FindAll(text, -1)); n < 15 {
		t.Fatalf("the example has %d lines that could be set", n)
	}
	for _, text := range [][]byte{text, commented.ReplaceAll(text, []byte("$1"))} {
		file, problems := hclsyntax.ParseConfig(text, name, hcl.InitialPos)
		if problems.HasErrors() {
			t.Error(problems)
			continue
		}
		for _, variable := range file.Body.(*hclsyntax.Body).Attributes {
			block, is := c.variables[variable.Name]
			if !is {
				t.Errorf("%s: there is no variable %s", variable.SrcRange, variable.Name)
				continue
			}
			value, problems := variable.Expr.Value(nil)
			typ, defaults, more := typeexpr.TypeConstraintWithDefaults(block.Body.Attributes["type"].Expr)
			if problems = append(problems, more...); problems.HasErrors() {
				t.Error(problems)
				continue
			}
			if value.Type().IsObjectType() && typ.IsObjectType() {
				for field := range value.Type().AttributeTypes() {
					if !typ.HasAttribute(field) {
						t.Errorf("%s: %s has no %s", variable.SrcRange, variable.Name, field)
					}
				}
			}
			if defaults != nil {
				value = defaults.Apply(value)
			}
			if _, err := convert.Convert(value, typ.WithoutOptionalAttributesDeep()); err != nil {
				t.Errorf("%s: %v", variable.SrcRange, err)
			}
		}
	}
}

// A function that works for all organisations is admitted to that by migrate; one that
// does not is not.
func TestDatabaseUsersAreAdmittedAsTheyWork(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "/terraform/sql.tf")
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile(`"([a-z]+)"`)
	listed := func(line string) (names []string) {
		t.Helper()
		_, after, ok := strings.Cut(string(text), "\n  "+line)
		if !ok {
			t.Fatalf("sql.tf does not say %q", line)
		}
		after, _, _ = strings.Cut(after, "\n")
		for _, name := range quoted.FindAllStringSubmatch(after, -1) {
			names = append(names, name[1])
		}
		slices.Sort(names)
		return names
	}
	var tenants, systems []string
	for _, name := range slices.Sorted(maps.Keys(deployables)) {
		switch code := source(t, root+"/functions/"+name); {
		case strings.Contains(code, "postgres.System"), strings.Contains(code, `"lectern.dev/lectern/internal/gcp/worker"`):
			systems = append(systems, name)
		case strings.Contains(code, ".Database.Open("):
			tenants = append(tenants, name)
		}
	}
	if got := listed("tenant_users = "); !slices.Equal(got, tenants) {
		t.Errorf("Terraform admits %v to one organisation at a time; that is how %v work", got, tenants)
	}
	if got := listed("system_users = "); !slices.Equal(got, systems) {
		t.Errorf("Terraform admits %v to all organisations; that is how %v work", got, systems)
	}
}

// source is a package's own text, without its tests.
func source(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no Go in %s: %v", folder, err)
	}
	var all strings.Builder
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
