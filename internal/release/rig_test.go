package release

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

const root = "../.."

var functions = []string{"auth", "chat", "courses", "finalize", "generate", "ingest", "render", "sweep", "web"}

// world is that of ./cloud.
type world struct {
	Objects  map[string][]version
	Registry map[string]string
	Services map[string]*service
	Job      string
	Runs     []string
	Builders int
	Sources  map[string]string
	Next     int
	Secrets  map[string][]secret

	BrokenMigration string
	Broken, Dead    []string
	Divided         string
	Foreign         string

	Acts, Seen []string
	DieAt      int
}

type version struct {
	Generation             int
	Content, Commit, Again string
}

type secret struct {
	Data     string
	Disabled bool
}

type service struct {
	Revisions []struct{ Name, Image string }
	Pinned    string
	Tags      map[string]string
}

// players is the folder with gcloud, docker and the others that are played.
var players = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "lectern-release-")
	if err != nil {
		return "", err
	}
	cloud := filepath.Join(folder, "cloud")
	build := exec.Command("go", "build", "-o", cloud, "./cloud")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as lint has compiled it
	if out, err := build.CombinedOutput(); err != nil {
		return "", &exec.Error{Name: string(out), Err: err}
	}
	for _, name := range []string{"gcloud", "docker", "terraform", "curl", "git", "go"} {
		if err := os.Symlink(cloud, filepath.Join(folder, name)); err != nil {
			return "", err
		}
	}
	return folder, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if folder, err := players(); err == nil {
		os.RemoveAll(folder)
	}
	os.Exit(code)
}

// rig is a copy of the scripts in a world of their own.
type rig struct {
	t      *testing.T
	folder string
}

const bucket = "gs://lectern-prod-terraform/lectern/"

// newRig is an empty project after the first apply by hand, and a commit with which every
// image is of version v1.
func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t, t.TempDir()}
	scripts, err := filepath.Glob(filepath.Join(root, "scripts", "*.sh"))
	if err != nil || len(scripts) == 0 {
		t.Fatal(scripts, err)
	}
	for _, folder := range []string{"scripts", "terraform"} {
		if err := os.Mkdir(filepath.Join(r.folder, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, script := range scripts {
		content, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(r.folder, "scripts", filepath.Base(script)), content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"apis.tf", "terraform.tfvars.example"} {
		content, err := os.ReadFile(filepath.Join(root, "terraform", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(r.folder, "terraform", name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w := world{
		Objects:  map[string][]version{bucket + "variables.json": {{Generation: 1, Content: "{}"}}},
		Registry: map[string]string{}, Services: map[string]*service{}, Sources: map[string]string{"migrate": "v1"}, Next: 1,
	}
	for _, function := range functions {
		w.Sources[function] = "v1"
	}
	r.put(w)
	return r
}

// released is a rig whose first version is released.
func released(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.must("release.sh")
	r.change(func(w *world) { w.Acts = nil })
	return r
}

func (r *rig) world() (w world) {
	r.t.Helper()
	content, err := os.ReadFile(filepath.Join(r.folder, "world.json"))
	if err != nil {
		r.t.Fatal(err)
	}
	if err := json.Unmarshal(content, &w); err != nil {
		r.t.Fatal(err)
	}
	return w
}

func (r *rig) put(w world) {
	r.t.Helper()
	content, err := json.Marshal(w)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.folder, "world.json"), content, 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) change(f func(*world)) {
	r.t.Helper()
	w := r.world()
	f(&w)
	r.put(w)
}

// commit is one that makes these functions anew.
func (r *rig) commit(version string, touched ...string) {
	r.t.Helper()
	r.change(func(w *world) {
		for _, function := range touched {
			w.Sources[function] = version
		}
	})
}

// run runs a script as an operator does.
func (r *rig) run(script string, args ...string) (said string, err error) {
	r.t.Helper()
	folder, err := players()
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.CommandContext(r.t.Context(), "bash", append([]string{filepath.Join(r.folder, "scripts", script)}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"), "WORLD="+filepath.Join(r.folder, "world.json"),
		"PROJECT=lectern-prod", "REGION=europe-west1", "NAME=lectern", "STATE_BUCKET=lectern-prod-terraform", "SMOKE_PAUSE=0", "TURN_PAUSE=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // who kills it kills what it has started, and not us
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.String(), err
}

func (r *rig) must(script string, args ...string) string {
	r.t.Helper()
	said, err := r.run(script, args...)
	if err != nil {
		r.t.Fatalf("%s: %v\n%s", script, err, said)
	}
	return said
}

func (r *rig) fails(script string, args ...string) string {
	r.t.Helper()
	said, err := r.run(script, args...)
	if err == nil {
		r.t.Fatalf("%s has succeeded:\n%s", script, said)
	}
	return said
}

// kept is the newest content of an object beside the state.
func (w world) kept(name string) string {
	versions := w.Objects[bucket+name]
	if len(versions) == 0 {
		return ""
	}
	return versions[len(versions)-1].Content
}

func (w world) images(t *testing.T, name string) map[string]string {
	t.Helper()
	images := map[string]string{}
	if content := w.kept(name); content != "" {
		if err := json.Unmarshal([]byte(content), &images); err != nil {
			t.Fatalf("%s: %v in %s", name, err, content)
		}
	}
	return images
}

// serves is the version of a function that people get.
func (w world) serves(function string) string {
	s := w.Services["lectern-"+function]
	if s == nil {
		return ""
	}
	for _, revision := range slices.Backward(s.Revisions) {
		if s.Pinned == "" || revision.Name == s.Pinned {
			_, version, _ := strings.Cut(revision.Image, "@sha256:")
			return version
		}
	}
	return ""
}

// acts are those that begin with a word.
func (w world) acts(word string) (found []string) {
	for _, act := range w.Acts {
		if strings.HasPrefix(act, word+" ") || act == word {
			found = append(found, act)
		}
	}
	return found
}

// stands holds a world against a whole release of these versions, v1 unless they are named.
func (w world) stands(t *testing.T, versions map[string]string) {
	t.Helper()
	for _, function := range functions {
		want := versions[function]
		if want == "" {
			want = "v1"
		}
		if got := w.serves(function); got != want {
			t.Errorf("%s serves %s, not %s", function, got, want)
		}
		if s := w.Services["lectern-"+function]; s != nil && (s.Pinned != "" || len(s.Tags) > 0) {
			t.Errorf("%s is held at %q with tags %v", function, s.Pinned, slices.Collect(maps.Keys(s.Tags)))
		}
		if got := w.images(t, "images.json")[function]; !strings.HasSuffix(got, "@sha256:"+want) {
			t.Errorf("images.json has %q of %s", got, function)
		}
	}
	if w.kept("images.json") != w.kept("released.json") {
		t.Errorf("released.json is %s\nand images.json %s", w.kept("released.json"), w.kept("images.json"))
	}
}
