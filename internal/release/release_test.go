package release

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFirstRelease(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	said := r.must("release.sh")
	w := r.world()
	w.stands(t, nil)
	if len(w.acts("build")) != 10 || len(w.Runs) != 1 {
		t.Errorf("built %q, migrated %q", w.acts("build"), w.Runs)
	}
	// The job is there, and has run, before any function is.
	applied := slices.Index(w.Acts, "apply")
	migrated := slices.Index(w.Acts, "migrate migrate@sha256:v1")
	if again := slices.Index(w.Acts[migrated:], "apply"); applied < 0 || migrated < applied || again < 0 {
		t.Errorf("the order is %q", w.Acts)
	}
	if commit := w.Objects[bucket+"released.json"][0].Commit; commit != commitOf("v1") {
		t.Errorf("the release is of commit %q", commit)
	}
	if strings.Contains(said, "secret") {
		t.Errorf("it tells a secret: %s", said)
	}
}

func TestOnlyChatIsTouched(t *testing.T) {
	t.Parallel()
	r := released(t)
	r.commit("v2", "chat")
	r.must("release.sh")
	w := r.world()
	w.stands(t, map[string]string{"chat": "v2"})
	if got := w.acts("build"); !slices.Equal(got, []string{"build chat:v2"}) {
		t.Errorf("built is %q", got)
	}
	if got := w.acts("tag"); !slices.Equal(got, []string{"tag lectern-chat-00002"}) {
		t.Errorf("tried is %q", got)
	}
	if got := w.acts("migrate"); len(got) > 0 {
		t.Errorf("migrated: %q", got)
	}
	for _, function := range functions {
		if got := len(w.Services["lectern-"+function].Revisions); got != 1 && function != "chat" {
			t.Errorf("%s has %d revisions", function, got)
		}
	}
}

func TestDocumentationTouchesNothing(t *testing.T) {
	t.Parallel()
	r := released(t)
	r.must("release.sh")
	if w := r.world(); len(w.Acts) > 0 {
		t.Errorf("it does %q", w.Acts)
	}
}

// A revert is released without a build: the image is there.
func TestRevertIsNotBuilt(t *testing.T) {
	t.Parallel()
	r := released(t)
	r.commit("v2", "chat")
	r.must("release.sh")
	r.commit("v1", "chat")
	r.change(func(w *world) { w.Acts = nil })
	r.must("release.sh")
	w := r.world()
	w.stands(t, nil)
	if got := w.acts("build"); len(got) > 0 {
		t.Errorf("built is %q", got)
	}
}

func TestFailedMigrationStopsBeforeApply(t *testing.T) {
	t.Parallel()
	r := released(t)
	r.commit("v2", "migrate", "chat")
	r.change(func(w *world) { w.BrokenMigration = "@sha256:v2" })
	r.fails("release.sh")
	w := r.world()
	w.stands(t, nil)
	if got := w.acts("apply"); len(got) > 0 {
		t.Error("it was applied all the same")
	}
	// Mended, it goes on.
	r.change(func(w *world) { w.BrokenMigration = "" })
	r.must("release.sh")
	w = r.world()
	w.stands(t, map[string]string{"chat": "v2"})
	if len(w.Runs) != 2 {
		t.Errorf("migrated is %q", w.Runs)
	}
}

// What does not pass serves nobody, and nothing that came with it does.
func TestFailedSmokeLeavesWhatServed(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*world){
		"wrong answers":           func(w *world) { w.Broken = []string{"chat@sha256:v2"} },
		"does not start":          func(w *world) { w.Dead = []string{"chat@sha256:v2"} },
		"a worker does not start": func(w *world) { w.Dead = []string{"render@sha256:v2"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := released(t)
			r.commit("v2", "chat", "courses", "render")
			r.change(spoil)
			said := r.fails("release.sh")
			if !strings.Contains(said, "serves on") {
				t.Errorf("it says %s", said)
			}
			w := r.world()
			for _, function := range functions {
				if got := w.serves(function); got != "v1" {
					t.Errorf("%s serves %s", function, got)
				}
			}
			for _, revision := range w.Seen {
				if strings.HasSuffix(revision, "2") {
					t.Errorf("%s has served", revision)
				}
			}
			if w.kept("images.json") != w.kept("released.json") {
				t.Errorf("images.json names %s", w.kept("images.json"))
			}
			// The same commit fails again, and a better one is released.
			r.fails("release.sh")
			r.commit("v3", "chat", "courses", "render")
			r.must("release.sh")
			r.world().stands(t, map[string]string{"chat": "v3", "courses": "v3", "render": "v3"})
		})
	}
}

// A function that has never started is no reason to stop the release that mends it.
func TestFirstReleaseDoesNotStart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.change(func(w *world) { w.Dead = []string{"chat@sha256:v1"} })
	r.fails("release.sh")
	r.commit("v2", "chat")
	r.must("release.sh")
	r.world().stands(t, map[string]string{"chat": "v2"})
}

// Who has divided a function's people by hand is asked to decide first.
func TestDividedTrafficIsNotReleased(t *testing.T) {
	t.Parallel()
	r := released(t)
	r.commit("v2", "chat")
	r.change(func(w *world) { w.Divided = "lectern-chat" })
	if said := r.fails("release.sh"); !strings.Contains(said, "lectern-chat is served by several revisions") {
		t.Errorf("it says %s", said)
	}
	if got := r.world().acts("apply"); len(got) > 0 {
		t.Error("it was applied all the same")
	}
}

// Behind a load balancer nobody reaches web by Cloud Run's address, a smoke test included.
func TestWebBehindLoadBalancer(t *testing.T) {
	t.Parallel()
	for balanced, web := range map[string]string{"true": "v2", "false": "v1"} {
		t.Run(balanced, func(t *testing.T) {
			t.Parallel()
			r := released(t)
			r.commit("v2", "chat", "web")
			r.change(func(w *world) {
				w.Objects[bucket+"variables.json"][0].Content = `{"load_balancer":` + balanced + `}`
				w.Broken = []string{"web@sha256:v2"}
			})
			if _, err := r.run("release.sh"); (err == nil) != (balanced == "true") {
				t.Error(err)
			}
			w := r.world()
			if got := w.serves("web"); got != web {
				t.Errorf("web serves %s", got)
			}
			if got := slices.Contains(w.acts("tag"), "tag lectern-web-00002"); got != (balanced == "false") {
				t.Errorf("tried is %q", w.acts("tag"))
			}
			if !slices.Contains(w.acts("tag"), "tag lectern-chat-00002") {
				t.Errorf("chat is not tried: %q", w.acts("tag"))
			}
		})
	}
}

func TestRollback(t *testing.T) {
	t.Parallel()
	r := released(t)
	if said := r.fails("rollback.sh"); !strings.Contains(said, "no release before this one") {
		t.Errorf("it says %s", said)
	}
	r.commit("v2", "chat", "web", "migrate")
	r.must("release.sh")
	r.commit("v3", "chat") // and one that fails is no release
	r.change(func(w *world) { w.Broken = []string{"@sha256:v3"} })
	r.fails("release.sh")
	r.change(func(w *world) { w.Acts = nil })
	if said := r.must("rollback.sh", "--list"); strings.Count(said, "\n") != 2 {
		t.Errorf("the releases are %q", said)
	}
	r.must("rollback.sh")
	w := r.world()
	for _, function := range functions {
		if got := w.serves(function); got != "v1" {
			t.Errorf("%s serves %s", function, got)
		}
	}
	if got := w.acts("serve"); !slices.Equal(got, []string{"serve lectern-web-00001", "serve lectern-chat-00001"}) {
		t.Errorf("moved, in this order: %q", got)
	}
	images := w.images(t, "images.json")
	if commit := w.Objects[bucket+"released.json"][2].Commit; commit != commitOf("v1") {
		t.Errorf("what serves is noted as commit %q", commit)
	}
	if !strings.HasSuffix(images["chat"], "v1") || !strings.HasSuffix(images["migrate"], "v2") {
		t.Errorf("images.json has %v: the database's migrations do not go back", images)
	}
	// What is then applied by hand is tried, and moved to, without a release.
	byHand := []byte("terraform -chdir=terraform apply -auto-approve\n")
	if err := os.WriteFile(filepath.Join(r.folder, "scripts", "by-hand.sh"), byHand, 0o600); err != nil {
		t.Fatal(err)
	}
	r.must("by-hand.sh")
	if got := r.world().serves("chat"); got != "v1" {
		t.Errorf("chat serves %s", got)
	}
	r.must("smoke.sh")
	r.must("traffic.sh")
	r.world().stands(t, nil)
	// Forward again with what is better.
	r.change(func(w *world) { w.Broken = nil })
	r.commit("v4", "chat")
	r.must("release.sh")
	r.world().stands(t, map[string]string{"chat": "v4", "web": "v2"})
}

// Who rolls back twice wants the release before that, and not the one that was bad.
func TestRollbackFurther(t *testing.T) {
	t.Parallel()
	r := released(t)
	for _, version := range []string{"v2", "v3"} {
		r.commit(version, "chat")
		r.must("release.sh")
	}
	for _, want := range []string{"v2", "v1"} {
		r.must("rollback.sh")
		if got := r.world().serves("chat"); got != want {
			t.Errorf("chat serves %s, not %s", got, want)
		}
	}
	if said := r.fails("rollback.sh"); !strings.Contains(said, "no release before this one") {
		t.Errorf("it says %s", said)
	}
	r.commit("v4", "chat")
	r.must("release.sh")
	r.must("rollback.sh")
	if got := r.world().serves("chat"); got != "v1" {
		t.Errorf("before v4 served v1, and now %s", got)
	}
}

// A release that was stopped while it moved people over is taken back as a whole.
func TestRollbackOfHalfARelease(t *testing.T) {
	t.Parallel()
	r := released(t)
	r.commit("v2", "courses", "chat", "web")
	r.must("release.sh")
	r.commit("v3", "courses", "chat", "web")
	for _, script := range []string{"touched.sh", "images.sh", "migrate.sh", "apply.sh", "smoke.sh"} {
		r.must(script)
	}
	r.change(func(w *world) { w.Acts, w.DieAt = nil, 7 }) // the workers, auth, courses
	r.fails("traffic.sh")
	r.change(func(w *world) { w.Acts, w.DieAt = nil, 0 })
	if got := r.world().serves("courses"); got != "v3" {
		t.Fatalf("courses serves %s: nothing was moved", got)
	}
	r.must("rollback.sh")
	w := r.world()
	for _, function := range []string{"courses", "chat", "web"} {
		if got := w.serves(function); got != "v2" {
			t.Errorf("%s serves %s", function, got)
		}
	}
	if got := w.acts("serve"); len(got) != 1 || w.kept("images.json") != w.kept("released.json") {
		t.Errorf("moved is %q, and images.json is %s", got, w.kept("images.json"))
	}
}

// One that is killed anywhere is started again and ends where it was going: not back at what
// was bad.
func TestRollbackKilledAnywhere(t *testing.T) {
	t.Parallel()
	start := released(t)
	start.commit("v2", "chat", "web")
	start.must("release.sh")
	start.change(func(w *world) { w.Acts = nil })
	before := start.world()
	start.must("rollback.sh")
	acts := start.world().Acts
	if len(acts) < 4 { // two functions, two lists
		t.Fatalf("a roll-back is %q", acts)
	}
	for at, act := range acts[:len(acts)-1] {
		t.Run(fmt.Sprintf("%d %s", at+1, act), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			w := before
			w.DieAt = at + 1
			r.put(w)
			r.fails("rollback.sh")
			r.change(func(w *world) { w.DieAt = 0 })
			r.must("rollback.sh")
			w = r.world()
			for _, function := range functions {
				if got := w.serves(function); got != "v1" {
					t.Errorf("%s serves %s", function, got)
				}
			}
			if w.kept("images.json") != w.kept("released.json") || strings.Contains(w.kept("released.json"), "v2") {
				t.Errorf("released.json is %s\nand images.json %s", w.kept("released.json"), w.kept("images.json"))
			}
		})
	}
}

// Where a revision is gone nobody is moved, so that nobody is left between two releases.
func TestRollbackIsWholeOrRefused(t *testing.T) {
	t.Parallel()
	r := released(t)
	r.commit("v2", "auth", "chat", "web")
	r.must("release.sh")
	r.change(func(w *world) {
		w.Acts = nil
		auth := w.Services["lectern-auth"]
		auth.Revisions = auth.Revisions[1:]
	})
	said := r.fails("rollback.sh")
	if w := r.world(); !strings.Contains(said, "nobody was moved") || len(w.Acts) > 0 {
		t.Errorf("it has done %q and says %s", w.Acts, said)
	}
}

// Only what has passed is moved to: not what somebody has applied since.
func TestNewerRevisionIsNotServed(t *testing.T) {
	t.Parallel()
	r := released(t)
	r.commit("v2", "chat")
	for _, script := range []string{"touched.sh", "images.sh", "migrate.sh", "apply.sh", "smoke.sh"} {
		r.must(script)
	}
	r.change(func(w *world) {
		chat := w.Services["lectern-chat"]
		chat.Revisions = append(chat.Revisions, struct{ Name, Image string }{"lectern-chat-00003", "chat@sha256:other"})
	})
	if said := r.fails("traffic.sh"); !strings.Contains(said, "newer revision") {
		t.Errorf("it says %s", said)
	}
	if got := r.world().serves("chat"); got != "v1" {
		t.Errorf("chat serves %s", got)
	}
}

// Somebody else who releases at the same time is not overwritten.
func TestListOfImagesIsNotOverwritten(t *testing.T) {
	t.Parallel()
	r := released(t)
	r.commit("v2", "chat")
	for _, script := range []string{"touched.sh", "images.sh", "migrate.sh"} {
		r.must(script)
	}
	r.change(func(w *world) { w.DieAt = -1 }) // another one writes whenever it was read
	said := r.fails("apply.sh")
	if w := r.world(); !strings.Contains(said, "412") || strings.Contains(w.kept("images.json"), "v2") {
		t.Errorf("it says %s, and images.json is %s", said, w.kept("images.json"))
	}
}

// commitOf is the commit whose newest image is of that version.
func commitOf(version string) string { return version + strings.Repeat("0", 40-len(version)) }

func word(act string) string { first, _, _ := strings.Cut(act, " "); return first }

// A release that is killed after any act is started again and ends as if nothing had been;
// meanwhile nobody is served by what has not passed.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(*testing.T) *rig{"first": newRig, "later": released} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := begin(t)
			start.commit("v2", "chat", "web", "render", "migrate")
			before := start.world()
			start.must("release.sh")
			acts := start.world().Acts
			for at := range acts {
				if 0 < at && at < len(acts)-1 && word(acts[at-1]) == word(acts[at]) && word(acts[at]) == word(acts[at+1]) {
					continue // in the middle of many builds or moves: the first and the last are killed
				}
				t.Run(fmt.Sprintf("%d %s", at+1, acts[at]), func(t *testing.T) {
					t.Parallel()
					r := newRig(t)
					w := before
					w.DieAt = at + 1
					r.put(w)
					if said := r.fails("release.sh"); strings.Contains(said, "released:") {
						t.Fatalf("it was not killed: %s", said)
					}
					w = r.world()
					for _, function := range functions {
						if moved := slices.Contains(acts[:at+1], "serve lectern-"+function+"-00002"); name == "later" && w.serves(function) != "v1" && !moved {
							t.Errorf("%s serves %s", function, w.serves(function))
						}
					}
					if strings.Contains(w.kept("released.json"), "v2") && (w.serves("chat") != "v2" || w.serves("web") != "v2") {
						t.Error("it is noted as released, and does not serve yet")
					}
					r.change(func(w *world) { w.DieAt = 0 })
					r.must("release.sh")
					r.world().stands(t, map[string]string{"chat": "v2", "web": "v2", "render": "v2"})
				})
			}
		})
	}
}
