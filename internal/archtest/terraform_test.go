package archtest

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// left are settings that Terraform leaves to their defaults, on purpose.
var left = map[string]string{
	"PORT":                        "the platform sets it",
	"HASH_MEMORY":                 "auth and courses have room for as much as they take by themselves; chat, whom programs ask, is given more",
	"TASKS_SERVICE_ACCOUNT":       "the queues sign for themselves",
	"OIDC_ISSUER":                 "Google signs",
	"OIDC_JWKS_URL":               "Google signs",
	"OTEL_EXPORTER_OTLP_ENDPOINT": "spans go to Google Cloud",
	"OTEL_EXPORTER_OTLP_HEADERS":  "spans go to Google Cloud",
	"TEMP_DIR":                    "the system's is /tmp, where the only room to write is mounted",
	"SEGMENT_AGE":                 "30 days of segments cost less than to make them again",
}

// filled are variables with which everything is set that can be.
var filled = map[string]cty.Value{
	"model":       object(map[string]any{"has_key": true, "speech": "gpt-4o-mini-tts", "base_url": "https://models.example.org/v1", "name": "gpt-4o"}),
	"backup":      object(map[string]any{"has_key": true, "base_url": "https://models.example.org/v1", "name": "gpt-4o"}),
	"mail":        object(map[string]any{"host": "smtp.example.org", "user": "lectern", "from": "lectern@example.org", "has_password": true}),
	"root_email":  cty.StringVal("root@example.org"),
	"dreambridge": object(map[string]any{"email": "owner@example.org", "has_secret": true}),
}

// Functions are told by Terraform what they read, all of it, and nothing else.
func TestTerraformTellsWhatFunctionsRead(t *testing.T) {
	t.Parallel()
	for _, wrong := range untold(readTerraform(t, root+"/terraform"), whatProgramsRead(t)) {
		t.Error(wrong)
	}
}

// untold says what Terraform and programs do not agree on.
func untold(c *configuration, reads map[string]map[string]string) []string {
	var wrong []string
	unused := maps.Clone(left)
	for name := range deployables {
		told := c.told(filled, "module."+name+".environment", "module."+name+".secrets")
		wrong = append(wrong, compare(name, reads[name], told, c.told(nil, "module."+name+".environment", "module."+name+".secrets"), unused)...)
	}
	wrong = append(wrong, compare("migrate", reads["migrate"], c.told(filled, "local.migrate_settings"), c.told(nil, "local.migrate_settings"), unused)...)
	for setting := range unused {
		wrong = append(wrong, fmt.Sprintf("%s is said to be left to its default, but every program that reads it is told it", setting))
	}
	slices.Sort(wrong)
	return wrong
}

// compare says how what a program reads differs from what it is told when everything is
// set, and when nothing is that need not be.
func compare(program string, reads map[string]string, told, least map[string]cty.Value, unused map[string]string) []string {
	var wrong []string
	for setting, option := range reads {
		_, is := told[setting]
		if why := left[setting]; !is && why == "" {
			wrong = append(wrong, fmt.Sprintf("%s reads %s, which Terraform does not tell it: set it in terraform/settings.tf, or say in the table above why not", program, setting))
		} else if !is {
			delete(unused, setting)
		}
		if option == "required" && !present(least[setting]) {
			wrong = append(wrong, fmt.Sprintf("%s does not start without %s, which Terraform sets to nothing when nobody says anything", program, setting))
		}
	}
	for setting := range told {
		if _, is := reads[setting]; !is {
			wrong = append(wrong, fmt.Sprintf("%s does not read %s, which Terraform tells it", program, setting))
		}
	}
	return wrong
}

// present tells whether a setting has a value: what Google Cloud will say counts as one.
func present(v cty.Value) bool {
	return v != cty.NilVal && (!v.IsKnown() || !v.IsNull() && v.Type() == cty.String && v.AsString() != "")
}

// founding is what migrate reads when it is told whose the first organisation is.
const founding = "migrations/cmd/migrate.Founding"

// whatProgramsRead gives the settings of each program that is deployed, and what their tags
// say beside their names.
func whatProgramsRead(t *testing.T) map[string]map[string]string {
	types := map[string][]string{"migrate": programs["migrate"]}
	for name := range deployables {
		types[name] = []string{"internal/edge.settings", "functions/" + name + ".Config"}
	}
	packages := map[string]map[string]structure{}
	all := map[string]map[string]string{}
	for program, types := range types {
		all[program] = map[string]string{}
		for _, typ := range types {
			s := settings{t: t, packages: packages, rows: map[setting][]string{}}
			pkg, name, _ := strings.Cut(path.Base(typ), ".")
			s.read(program, path.Dir(typ)+"/"+pkg, name)
			for row := range s.rows {
				if option := row.fallback; typ == founding && option == "required" {
					all[program][row.name] = "" // without an address nothing is founded
				} else if all[program][row.name] != "required" {
					all[program][row.name] = option
				}
			}
		}
	}
	return all
}

// The test above fails when it should.
func TestTerraformsFaultsAreFound(t *testing.T) {
	t.Parallel()
	reads := whatProgramsRead(t)
	for name, test := range map[string]struct{ from, to, want string }{
		"a setting is not told":     {"FIRST_TOKEN_DEADLINE = var.model.first_token_deadline, ", "", "chat reads FIRST_TOKEN_DEADLINE, which Terraform does not tell it"},
		"a group is forgotten":      {"    local.settings.job_limits,\n", "", "courses reads RENDERS_PER_USER, which Terraform does not tell it"},
		"a setting is nobody's":     {`{ PUBLIC_URL = `, `{ PUBIC_URL = `, "auth does not read PUBIC_URL, which Terraform tells it"},
		"a secret goes astray":      {`GATEWAY_KEY = google`, `GATEWAY_KEYS = google`, "web does not read GATEWAY_KEYS, which Terraform tells it"},
		"a required one is nothing": {`BUCKET = google_storage_bucket.media.name`, `BUCKET = var.public_url`, "ingest does not start without BUCKET, which Terraform sets to nothing when nobody says anything"},
		"a required one is left":    {`OIDC_CALLERS    = caller.email`, ``, "sweep does not start without OIDC_CALLERS, which Terraform sets to nothing when nobody says anything"},
		"migrate is told too much":  {`TENANT_USERS         = `, `TENANTS         = `, "migrate does not read TENANTS, which Terraform tells it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := readTerraformWith(t, root+"/terraform", test.from, test.to)
			if wrong := untold(c, reads); !slices.ContainsFunc(wrong, func(s string) bool { return strings.HasPrefix(s, test.want) }) {
				t.Errorf("got %q", wrong)
			}
		})
	}
}

// No revision starts with a secret that has no version: who is told one of those that
// Terraform makes waits for it.
func TestTerraformsRevisionsWaitForTheirSecrets(t *testing.T) {
	t.Parallel()
	c := readTerraform(t, root+"/terraform")
	waiting := 0
	for name, block := range c.modules {
		secrets, has := block.Body.Attributes["secrets"]
		if !has || !mentions(secrets.Expr, "local.secrets.gateway") && !mentions(secrets.Expr, "local.secrets.cookies") {
			continue
		}
		waiting++
		if waits, has := block.Body.Attributes["depends_on"]; !has || !mentions(waits.Expr, "google_secret_manager_secret_version.made") {
			t.Errorf("%s may be made before its secrets have a version: depends_on = [google_secret_manager_secret_version.made]", name)
		}
	}
	if waiting != 4 {
		t.Errorf("%d functions are told secrets that Terraform makes, want auth, chat, courses and web", waiting)
	}
}

// mentions tells whether an expression names something.
func mentions(expression hclsyntax.Expression, name string) bool {
	return slices.ContainsFunc(expression.Variables(), func(traversal hcl.Traversal) bool {
		said := traversal.RootName()
		for _, step := range traversal[1:] {
			if attribute, is := step.(hcl.TraverseAttr); is {
				said += "." + attribute.Name
			}
		}
		return said == name
	})
}

// Two Lecterns live in one project: whatever Terraform makes hangs on the one's name.
func TestTerraformsResourcesHangOnTheName(t *testing.T) {
	t.Parallel()
	c := readTerraform(t, root+"/terraform")
	inside := []string{"google_sql_database.lectern"} // of something that hangs on it
	shared := []string{
		"google_project_service.api",                   // stays when one goes
		"google_firebaserules_ruleset.closed",          // its name is Google's
		"google_monitoring_notification_channel.email", // so is this one's; it is who is told
	}
	for name, block := range c.resources {
		if hangs := c.hangs("resource", name, map[string]bool{}); hangs == slices.Contains(shared, name) {
			t.Errorf("%s hangs on var.name: %t", name, hangs)
		}
		for _, attribute := range []string{"name", "account_id", "secret_id", "repository_id"} {
			said, is := block.Body.Attributes[attribute]
			if is && !slices.Contains(inside, name) && !c.anyHangs([]hclsyntax.Expression{said.Expr}, map[string]bool{}) {
				t.Errorf("%s.%s is the same in two Lecterns", name, attribute)
			}
		}
	}
	if len(c.resources) < 20 {
		t.Errorf("only %d resources were found", len(c.resources))
	}
}

// The code decides how often a step is tried and how long it may take: what waits around
// it must be more patient than it is.
func TestTerraformIsMorePatientThanTheCode(t *testing.T) {
	t.Parallel()
	c := readTerraform(t, root+"/terraform")
	failures := said(t, "internal/job/runner.go", `const maxFailures = (\d+)`)
	limit := said(t, "internal/job/runner.go", `return (\d+) \* time\.Minute`) * 60
	finish := said(t, "internal/job/runner.go", `context\.WithoutCancel\(ctx\), (\d+)\*time\.Second`)
	longest := said(t, "internal/gcp/tasks/tasks.go", `const Longest = (\d+) \* time\.Minute`) * 60
	for _, target := range []string{"generate", "ingest", "render"} {
		timeout := c.number(c.module(target).Body, "timeout_seconds")
		if timeout != longest {
			t.Errorf("%s may take %d s, and its queue waits %d s", target, timeout, longest)
		}
		if timeout < limit+finish {
			t.Errorf("Cloud Run ends a request to %s after %d s, before the runner gives its step up after %d s", target, timeout, limit+finish)
		}
	}
	// Whoever sends a task says how long its queue waits for it, also who sends one again to itself.
	senders, err := filepath.Glob(root + "/functions/*/function.go")
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	for _, file := range senders {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, deadline := range regexp.MustCompile(`Deadline: ([\w.]+)`).FindAllStringSubmatch(string(text), -1) {
			if sent++; deadline[1] != "tasks.Longest" {
				t.Errorf("%s has a queue wait %s, and not tasks.Longest: what is cut before the runner gives up counts as no failure", file, deadline[1])
			}
		}
	}
	if sent < 10 {
		t.Errorf("only %d deadlines were found", sent)
	}
	retries := inner(t, c.resources["google_cloud_tasks_queue.this"].Body, "retry_config")
	// A worker that died keeps its step for half a minute, in which its task comes twice for nothing.
	if attempts := c.number(retries, "max_attempts"); attempts < 3*failures+1 {
		t.Errorf("queues give a task up after %d attempts; its step may fail %d times", attempts, failures)
	}
	if age := c.number(retries, "max_retry_duration"); age < failures*limit {
		t.Errorf("queues give a task up after %d s; its step may take %d times %d s", age, failures, limit)
	}
	sweep := c.number(c.module("sweep").Body, "timeout_seconds")
	if deadline := c.number(c.resources["google_cloud_scheduler_job.sweep"].Body, "attempt_deadline"); deadline != sweep {
		t.Errorf("a sweep may take %d s, and the scheduler waits %d s", sweep, deadline)
	}
	// An API operation ends by itself, and streams when their reader goes.
	for _, name := range []string{"auth", "finalize"} {
		if timeout, operation := c.number(c.module(name).Body, "timeout_seconds"), said(t, "internal/edge/edge.go", `writeTimeout\s+= (\d+) \* time\.Second`); timeout < operation {
			t.Errorf("Cloud Run ends a request to %s after %d s, the server after %d s", name, timeout, operation)
		}
	}
}

// said is a number in a source file.
func said(t *testing.T, file, pattern string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(pattern).FindStringSubmatch(string(text))
	if found == nil {
		t.Fatalf("%s does not say %s any more", file, pattern)
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// inner is the one block of a sort in a block.
func inner(t *testing.T, body *hclsyntax.Body, sort string) *hclsyntax.Body {
	t.Helper()
	for _, block := range body.Blocks {
		if block.Type == sort {
			return block.Body
		}
	}
	t.Fatalf("there is no %s", sort)
	return nil
}

// number is that of an attribute: 60, or "60s".
func (c *configuration) number(body *hclsyntax.Body, name string) int {
	c.t.Helper()
	attribute, is := body.Attributes[name]
	if !is {
		c.t.Fatalf("there is no %s", name)
	}
	v, err := convert.Convert(evaluation{c, nil, map[string]cty.Value{}}.value(attribute.Expr), cty.String)
	if err != nil {
		c.t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSuffix(v.AsString(), "s"))
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}
