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

// With an API that is switched off the first apply would stop half-way, in a project where
// nothing is on yet.
func TestTerraformSwitchesOnWhatItCalls(t *testing.T) {
	t.Parallel()
	calls := map[string]string{ // by what a resource's type begins with; the longest counts
		"google_artifact_registry_": "artifactregistry", "google_billing_account_": "cloudbilling", "google_billing_budget": "billingbudgets",
		"google_cloud_run_": "run", "google_cloud_scheduler_": "cloudscheduler", "google_cloud_tasks_": "cloudtasks", "google_cloudbuild_": "cloudbuild",
		"google_compute_": "compute", "google_eventarc_": "eventarc", "google_firebaserules_": "firebaserules", "google_firestore_": "firestore",
		"google_logging_": "logging", "google_monitoring_": "monitoring", "google_project": "cloudresourcemanager",
		"google_project_iam_custom_role": "iam", "google_project_service": "serviceusage", "google_secret_manager_": "secretmanager",
		"google_service_account": "iam", "google_service_networking_": "servicenetworking", "google_sql_": "sqladmin", "google_storage_": "storage",
	}
	on := map[string]string{
		"serviceusage":   "scripts/begin.sh switches it on: without it nothing else can be",
		"cloudtrace":     "where the console looks for traces",
		"iamcredentials": "courses signs addresses",
		"pubsub":         "the trigger hears of objects by it",
		"telemetry":      "functions send spans to it",
	}
	c := readTerraform(t, root+"/terraform")
	var listed []string
	for _, api := range c.resources["google_project_service.api"].Body.Attributes["for_each"].Expr.(*hclsyntax.FunctionCallExpr).Args[0].(*hclsyntax.TupleConsExpr).Exprs {
		name, problems := api.Value(nil)
		if problems.HasErrors() {
			t.Fatal(problems)
		}
		listed = append(listed, name.AsString())
	}
	for name := range c.resources {
		best := ""
		for prefix := range calls {
			if strings.HasPrefix(strings.TrimPrefix(name, "data."), prefix) && len(prefix) > len(best) {
				best = prefix
			}
		}
		if best == "" {
			t.Errorf("which API does %s call?", name)
		} else if api := calls[best]; on[api] == "" {
			on[api] = name
		}
		if api := calls[best]; api != "" && api != "serviceusage" && !slices.Contains(listed, api) {
			t.Errorf("%s calls %s.googleapis.com, which terraform/apis.tf does not switch on", name, api)
		}
	}
	for _, api := range listed {
		if on[api] == "" {
			t.Errorf("nobody calls %s.googleapis.com, which terraform/apis.tf switches on", api)
		}
	}
}

// Once a disk has grown, a size that Terraform knows would be a smaller one, which takes a
// new instance: an apply would be refused for ever, or the database be gone.
func TestTerraformLetsTheDiskGrow(t *testing.T) {
	t.Parallel()
	settings := inner(t, readTerraform(t, root+"/terraform").resources["google_sql_database_instance.this"].Body, "settings")
	if _, said := settings.Attributes["disk_size"]; said || settings.Attributes["disk_autoresize"] == nil {
		t.Error("the database's disk grows by itself, and Terraform says no size of it")
	}
}

// What gcloud marks when a script has it change a service or the job is gcloud's: Terraform
// would take it away again, by new revisions of functions that no commit has touched.
func TestTerraformLeavesTheScriptsMarks(t *testing.T) {
	t.Parallel()
	for folder, name := range map[string]string{"/terraform": "google_cloud_run_v2_job.migrate", "/terraform/modules/function": "google_cloud_run_v2_service.this"} {
		ignored := map[string]bool{}
		list, problems := hcl.ExprList(inner(t, readTerraform(t, root+folder).resources[name].Body, "lifecycle").Attributes["ignore_changes"].Expr)
		if problems.HasErrors() {
			t.Fatal(problems)
		}
		for _, expression := range list {
			path, problems := hcl.AbsTraversalForExpr(expression)
			if problems.HasErrors() {
				t.Fatal(problems)
			}
			words := path.RootName()
			for _, step := range path[1:] {
				if attribute, is := step.(hcl.TraverseAttr); is {
					words += "." + attribute.Name
				}
			}
			ignored[words] = true
		}
		for _, mark := range []string{"client", "client_version", "template.labels"} {
			if !ignored[mark] {
				t.Errorf("%s takes away the %s that gcloud has set", name, mark)
			}
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
