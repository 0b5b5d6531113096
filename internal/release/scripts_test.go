package release

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Who asks a script how it is used is told so, and nothing is done.
func TestHelp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	before := r.world()
	for _, script := range []string{"apply", "begin", "connect", "images", "migrate", "release", "rollback", "rotate", "smoke", "traffic", "turn"} {
		for _, flag := range []string{"-h", "--help"} {
			said := r.must(script+".sh", flag)
			if !strings.Contains(said, "\nUsage: ") || !strings.Contains(said, "scripts/"+script+".sh") || strings.Contains(said, "#") {
				t.Errorf("%s %s says\n%s", script, flag, said)
			}
		}
	}
	if after := r.world(); !reflect.DeepEqual(after, before) {
		t.Errorf("it has done something: %+v", after)
	}
}

// Beginning again changes nothing that is there, and puts right what somebody has changed.
func TestBegin(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.must("begin.sh")
	w := r.world()
	var on []string
	for _, act := range w.acts("enable") {
		apis := strings.Fields(act)[1:]
		on = append(on, apis...)
		if len(apis) > 20 {
			t.Errorf("%d APIs are switched on at once; 20 are the most", len(apis))
		}
	}
	for _, api := range []string{"serviceusage", "artifactregistry", "run", "telemetry"} { // the list's first and last among them
		if !slices.Contains(on, api+".googleapis.com") {
			t.Errorf("%s is not switched on: %q", api, on)
		}
	}
	if got := w.acts("agent"); !slices.Contains(got, "agent eventarc.googleapis.com") {
		t.Errorf("agents are %q", got)
	}
	if got := w.acts("grant"); !slices.Equal(got, []string{"grant roles/eventarc.serviceAgent serviceAccount:service-123456789012@gcp-sa-eventarc.iam.gserviceaccount.com"}) {
		t.Errorf("granted is %q", got)
	}
	if got := w.acts("create"); len(got) != 1 || !strings.Contains(got[0], "--uniform-bucket-level-access --public-access-prevention") {
		t.Errorf("made is %q", got)
	}
	backend, err := os.ReadFile(filepath.Join(r.folder, "terraform", "backend.hcl"))
	if err != nil || string(backend) != "bucket = \"lectern-prod-terraform\"\nprefix = \"lectern/terraform\"\n" {
		t.Errorf("the backend is %q, %v", backend, err)
	}
	variables := filepath.Join(r.folder, "terraform", "terraform.tfvars")
	said, err := os.ReadFile(variables)
	for _, line := range []string{"project = \"lectern-prod\"", "region  = \"europe-west1\"", "name    = \"lectern\""} {
		if err != nil || !strings.Contains(string(said), "\n"+line+"\n") {
			t.Errorf("terraform.tfvars does not say %s: %v", line, err)
		}
	}
	if strings.Contains(string(said), "state_bucket") {
		t.Error("terraform.tfvars names the bucket that is taken anyway")
	}
	if err := os.WriteFile(variables, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.must("begin.sh")
	if said, err := os.ReadFile(variables); err != nil || string(said) != "mine" {
		t.Errorf("terraform.tfvars was written anew: %q, %v", said, err)
	}
	w = r.world()
	if got := w.acts("create"); len(got) != 1 {
		t.Errorf("made is %q", got)
	}
	for _, act := range w.acts("update") {
		if !strings.Contains(act, "--versioning --uniform-bucket-level-access --public-access-prevention") {
			t.Errorf("it is left open: %s", act)
		}
	}
}

// Somebody else's bucket is not taken for one's own: who writes there says which images run.
func TestBeginNotInForeignBucket(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.change(func(w *world) { w.Foreign = "gs://lectern-prod-terraform" })
	if said := r.fails("begin.sh"); !strings.Contains(said, "not available") {
		t.Errorf("it says %s", said)
	}
	if _, err := os.Stat(filepath.Join(r.folder, "terraform", "backend.hcl")); err == nil {
		t.Error("the state would be in a bucket of somebody else's")
	}
}

// A release wants the variables of the first apply by hand: without them Terraform would
// take the defaults.
func TestNoReleaseWithoutVariables(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.change(func(w *world) { delete(w.Objects, bucket+"variables.json") })
	said := r.fails("release.sh")
	if w := r.world(); !strings.Contains(said, "first terraform apply is by hand") || len(w.acts("apply")) > 0 {
		t.Errorf("it says %s", said)
	}
}

func TestMigrateAlways(t *testing.T) {
	t.Parallel()
	r := released(t)
	r.must("migrate.sh")
	r.must("migrate.sh", "--always")
	if w := r.world(); len(w.Runs) != 2 {
		t.Errorf("migrated is %q", w.Runs)
	}
}

// Only who is asked for is told apart from all others by an address, and the whole of
// what people see first is looked at.
func TestSmoke(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is missing")
	}
	type answer struct {
		status     int
		kind, body string
	}
	good := map[string]map[string]answer{
		"web": {
			"/health": {200, "text/plain", "ok"}, "/sign-in": {200, "text/html; charset=utf-8", `<form method="post">`},
			"/openapi.json": {200, "application/openapi+json", `{"paths":{"/v1/courses":{}}}`},
		},
		"auth":    {"/health": {200, "", ""}, "/v1/auth/me": {401, "application/problem+json", `{"status":401}`}, "/openapi.json": {200, "application/openapi+json", `{"openapi":"3.1.0"}`}},
		"courses": {"/health": {200, "", ""}, "/v1/courses": {401, "application/problem+json", `{"status":401}`}, "/openapi.json": {200, "application/openapi+json", `{"openapi":"3.1.0"}`}},
		"chat":    {"/health": {200, "", ""}, "/v1/chat/sessions": {401, "application/problem+json", `{"status":401}`}, "/openapi.json": {200, "application/openapi+json", `{"openapi":"3.1.0"}`}},
	}
	try := func(t *testing.T, function string, answers map[string]answer) (string, error) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a, ok := answers[r.URL.Path]
			if !ok {
				a = answer{404, "text/plain", "no such page"}
			}
			w.Header().Set("Content-Type", a.kind)
			w.WriteHeader(a.status)
			fmt.Fprint(w, a.body)
		}))
		defer server.Close()
		cmd := exec.CommandContext(t.Context(), "bash", filepath.Join(root, "scripts", "smoke.sh"), function, server.URL)
		cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "PROBE_") }), "SMOKE_PAUSE=0")
		said, err := cmd.CombinedOutput()
		return string(said), err
	}
	for function, answers := range good {
		t.Run(function, func(t *testing.T) {
			t.Parallel()
			if said, err := try(t, function, answers); err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			if function != "web" && function != "chat" {
				return // which are asked like chat
			}
			for path, a := range answers {
				for what, wrong := range map[string]answer{
					"fails":                   {500, a.kind, a.body},
					"lets everybody in":       {200, "application/json", `{"items":[]}`},
					"is another media type":   {a.status, "text/plain", a.body},
					"says nothing":            {a.status, a.kind, ""},
					"is a page of the proxy":  {404, "text/html", "<html>404"},
					"does not come from here": {302, "text/html", ""},
				} {
					if path == "/health" && (what == "lets everybody in" || what == "is another media type" || what == "says nothing") {
						continue
					}
					spoilt := map[string]answer{}
					for p, a := range answers {
						spoilt[p] = a
					}
					spoilt[path] = wrong
					if said, err := try(t, function, spoilt); err == nil {
						t.Errorf("%s %s, and it passes:\n%s", path, what, said)
					}
				}
			}
		})
	}
}

// What nobody may read without a name is asked where it is.
func TestSmokeAsksWhatIsThere(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile(filepath.Join(root, "scripts/smoke.sh"))
	if err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`(?m)^ +([a-z]+)\) ask 401 application/problem\+json (/v1/\S+) `).FindAllStringSubmatch(string(script), -1)
	if len(asked) != 3 {
		t.Fatalf("it asks %q", asked)
	}
	for _, ask := range asked {
		function, operation := ask[1], regexp.MustCompile(`(?:http\.MethodGet, |edge\.Read\()"[a-z-]+", "`+ask[2]+`"`)
		sources, err := filepath.Glob(filepath.Join(root, "functions", function, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(sources, func(name string) bool {
			content, err := os.ReadFile(name)
			return err == nil && !strings.HasSuffix(name, "_test.go") && operation.Match(content)
		}) {
			t.Errorf("%s has no %s", function, ask[2])
		}
	}
}
