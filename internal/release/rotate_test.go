package release

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const oldKey = "canary-of-the-old-key-0123456789"

// keyed is a rig whose first version is released and whose secrets are filled.
func keyed(t *testing.T) *rig {
	t.Helper()
	r := released(t)
	r.change(func(w *world) {
		w.Secrets = map[string][]secret{}
		for _, name := range []string{"cookie-keys", "gateway-key", "root-password", "openai-api-key", "backup-api-key", "smtp-password", "dreambridge-secret", "probe-key"} {
			w.Secrets["lectern-"+name] = []secret{{Data: oldKey}}
		}
	})
	return r
}

// rotate runs the script with a secret on its standard input, and looks for secrets in
// what it says and in what it starts.
func (r *rig) rotate(stdin string, args ...string) (string, error) {
	r.t.Helper()
	file := filepath.Join(r.folder, "stdin")
	if err := os.WriteFile(file, []byte(stdin), 0o600); err != nil {
		r.t.Fatal(err)
	}
	wrapper := filepath.Join(r.folder, "scripts", "rotate-with-stdin.sh")
	if err := os.WriteFile(wrapper, []byte("exec bash -x \"$(dirname \"$0\")/rotate.sh\" \"$@\" <"+file+"\n"), 0o700); err != nil {
		r.t.Fatal(err)
	}
	said, err := r.run("rotate-with-stdin.sh", args...)
	for _, versions := range r.world().Secrets {
		for _, version := range versions {
			for _, key := range strings.Split(version.Data, ",") {
				if strings.Contains(said, key) {
					r.t.Errorf("%q tells a secret: %s", args, said)
				}
			}
		}
	}
	return said, err
}

// A key of our own: a new one comes first, the one before is still taken, all who read it
// get new instances, who makes with it last; and later the old one goes.
func TestRotateKeys(t *testing.T) {
	t.Parallel()
	for what, readers := range map[string][]string{"cookie_keys": {"chat", "courses", "auth"}, "gateway_key": {"auth", "chat", "courses", "web"}} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := keyed(t)
			name := "lectern-" + strings.ReplaceAll(what, "_", "-")
			if said, err := r.rotate("", what); err != nil {
				t.Fatal(said, err)
			}
			w := r.world()
			versions := w.Secrets[name]
			keys := strings.Split(versions[len(versions)-1].Data, ",")
			if len(versions) != 2 || len(keys) != 2 || keys[1] != oldKey || !regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`).MatchString(keys[0]) {
				t.Errorf("%+v", versions)
			}
			var renewed []string
			for _, function := range readers {
				renewed = append(renewed, "renew lectern-"+function)
			}
			if got := w.acts("renew"); !slices.Equal(got, renewed) {
				t.Errorf("renewed: %q", got)
			}
			for _, function := range readers {
				s := w.Services["lectern-"+function]
				if newest := s.Revisions[len(s.Revisions)-1].Name; !strings.HasSuffix(newest, "-renewed") || !slices.Contains(w.Seen, newest) {
					t.Errorf("%s does not serve", newest)
				}
			}
			if said, err := r.rotate("", what); err == nil || !strings.Contains(said, "There are two keys") {
				t.Error(said, err)
			}
			if said, err := r.rotate("", "--finish", what); err != nil {
				t.Fatal(said, err)
			}
			w = r.world()
			versions = w.Secrets[name]
			if len(versions) != 3 || versions[2].Data != keys[0] || !versions[0].Disabled || !versions[1].Disabled || versions[2].Disabled {
				t.Errorf("%+v", versions)
			}
			if got := w.Acts[len(w.Acts)-1]; !strings.HasPrefix(got, "disable") {
				t.Errorf("instances that read the old ones may start: the last is %s", got)
			}
			if said, err := r.rotate("", "--finish", what); err != nil || len(r.world().Secrets[name]) != 3 {
				t.Error(said, err)
			}
		})
	}
}

// What others have given out comes from the standard input.
func TestRotateGiven(t *testing.T) {
	t.Parallel()
	for what, acts := range map[string][]string{
		"openai_api_key":     {"renew lectern-chat", "renew lectern-generate", "renew lectern-render"},
		"backup_api_key":     {"renew lectern-chat", "renew lectern-generate"},
		"smtp_password":      {"renew lectern-auth", "renew lectern-sweep"},
		"dreambridge_secret": {"migrate"},
		"root_password":      {"migrate"},
		"probe_key":          {},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := keyed(t)
			before := len(r.world().Acts)
			said, err := r.rotate("canary of the new key\n", what)
			if err != nil {
				t.Fatal(said, err)
			}
			w := r.world()
			versions := w.Secrets["lectern-"+strings.ReplaceAll(what, "_", "-")]
			if got := versions[len(versions)-1].Data; what != "root_password" && got != "canary of the new key" || what == "root_password" && len(got) != 43 {
				t.Errorf("the new version is %q", got)
			}
			got := w.Acts[before+1:]
			if !slices.EqualFunc(got, acts, strings.HasPrefix) {
				t.Errorf("it has done %q, want %q", got, acts)
			}
			if said, err := r.rotate("", "--finish", what); err != nil || !r.world().Secrets["lectern-"+strings.ReplaceAll(what, "_", "-")][0].Disabled {
				t.Error(said, err)
			}
		})
	}
}

// What was interrupted is gone on with; what cannot be done is refused before anything is.
func TestRotateInterrupted(t *testing.T) {
	t.Parallel()
	r := keyed(t)
	r.change(func(w *world) { w.Acts, w.DieAt = nil, 3 })
	if said, err := r.rotate("", "cookie_keys"); err == nil {
		t.Fatal(said)
	}
	r.change(func(w *world) { w.Acts, w.DieAt = nil, 0 })
	if said, err := r.rotate("", "--again", "cookie_keys"); err != nil {
		t.Fatal(said, err)
	}
	if w := r.world(); len(w.Secrets["lectern-cookie-keys"]) != 2 || len(w.acts("renew")) != 3 {
		t.Errorf("%+v, %q", w.Secrets["lectern-cookie-keys"], w.Acts)
	}

	// A revision that has not passed is not what new instances are made from.
	r = keyed(t)
	r.change(func(w *world) {
		s := w.Services["lectern-chat"]
		s.Pinned = s.Revisions[len(s.Revisions)-1].Name
		s.Revisions = append(s.Revisions, struct{ Name, Image string }{"lectern-chat-candidate", "chat@sha256:v2"})
	})
	if said, err := r.rotate("", "--again", "cookie_keys"); err == nil || !strings.Contains(said, "a newer revision than the one that serves") || len(r.world().acts("renew")) > 0 {
		t.Error(said, err)
	}
	for _, wrong := range [][]string{{}, {"--finish"}, {"nothing"}, {"cookie_keys", "x"}, {"canary"}} {
		if said, err := r.rotate("", wrong...); err == nil || !strings.Contains(said, "Which secret?") {
			t.Errorf("%q: %s", wrong, said)
		}
	}
	for _, stdin := range []string{"", "one\ntwo\n"} {
		if said, err := r.rotate(stdin, "smtp_password"); err == nil || len(r.world().Secrets["lectern-smtp-password"]) != 1 {
			t.Errorf("%q: %s", stdin, said)
		}
	}
}

// The script's list of who reads what is what the functions read.
func TestRotateKnowsTheReaders(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile(filepath.Join(root, "scripts/rotate.sh"))
	if err != nil {
		t.Fatal(err)
	}
	settings, err := os.ReadFile(filepath.Join(root, "docs/settings.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range regexp.MustCompile(`(?m)^  \[(\w+)\]="?([a-z ]*)"?$`).FindAllStringSubmatch(string(script), -1) {
		var read []string
		for _, row := range regexp.MustCompile("(?m)^\\| `"+strings.ToUpper(entry[1])+"` \\| ([a-z, ]+) \\|").FindAllStringSubmatch(string(settings), -1) {
			for _, reader := range strings.Split(row[1], ", ") {
				if reader != "local" {
					read = append(read, reader)
				}
			}
		}
		listed := strings.Fields(entry[2])
		slices.Sort(listed)
		slices.Sort(read)
		if !slices.Equal(listed, slices.Compact(read)) {
			t.Errorf("%s is read by %q; scripts/rotate.sh has %q", entry[1], read, listed)
		}
	}
}
