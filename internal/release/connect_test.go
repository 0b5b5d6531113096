package release

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// github is gcloud as far as scripts/connect.sh asks it: files say what is there, and each
// look at the connection finds somebody in a browser one stage further.
const github = `#!/usr/bin/env bash
cd "$WORLD"
echo "$*" >>said
case "$*" in
"builds connections describe lectern --region=europe-west1 "*)
  [ -z "${DENIED:-}" ] || { echo "ERROR: PERMISSION_DENIED: no" >&2; exit 1; }
  [ -e connection ] || { echo "ERROR: NOT_FOUND: Resource was not found" >&2; exit 1; }
  case $(wc -l <connection) in
  1) echo PENDING_USER_OAUTH,https://example.org/agree ;;
  2) echo PENDING_INSTALL_APP,https://example.org/install ;;
  *) echo COMPLETE, ;;
  esac
  echo looked >>connection ;;
"builds connections create github lectern --region=europe-west1 "*) echo made >connection ;;
"builds repositories describe lectern-course --connection=lectern --region=europe-west1 "*) [ -e repository ] || { echo "ERROR: NOT_FOUND" >&2; exit 1; } ;;
"builds repositories create lectern-course --connection=lectern --region=europe-west1 "*) echo made >repository ;;
"projects describe lectern-prod "*) echo 1234 ;;
"services enable "* | "beta services identity create "* | "projects add-iam-policy-binding "*) ;;
*) echo "gcloud is not played so: $*" >&2; exit 9 ;;
esac
`

func connect(t *testing.T, r *rig, remote string, env ...string) (out string, err error) {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "gcloud"), []byte(github), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // it waits for somebody, who here is quick
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(r.folder, "scripts/connect.sh"), remote)
	cmd.WaitDelay = time.Minute
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "WORLD="+r.folder, "PROJECT=lectern-prod", "CONNECT_PAUSE=0")
	cmd.Env = append(cmd.Env, env...)
	all, err := cmd.CombinedOutput()
	return string(all), err
}

// Somebody is shown each address once; the second run makes nothing.
func TestConnect(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, again := range []bool{false, true} {
		out, err := connect(t, r, "https://github.com/owls/lectern-course.git")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if !strings.Contains(out, `repository = { connection = "lectern", name = "lectern-course" }`) {
			t.Errorf("it says nothing for terraform.tfvars:\n%s", out)
		}
		for _, address := range []string{"open https://example.org/agree\n", "open https://example.org/install\n"} {
			if want := map[bool]int{false: 1, true: 0}[again]; strings.Count(out, address) != want {
				t.Errorf("%q is said %d times, wanted %d:\n%s", address, strings.Count(out, address), want, out)
			}
		}
	}
	said, err := os.ReadFile(filepath.Join(r.folder, "said"))
	if err != nil {
		t.Fatal(err)
	}
	for _, made := range []string{"connections create", "repositories create"} {
		if strings.Count(string(said), made) != 1 {
			t.Errorf("%s is asked for %d times", made, strings.Count(string(said), made))
		}
	}
	if !strings.Contains(string(said), "--member=serviceAccount:service-1234@gcp-sa-cloudbuild.iam.gserviceaccount.com") {
		t.Errorf("Cloud Build has no right to its secret:\n%s", said)
	}
}

// What cannot be seen is not taken for missing, and what is no repository is not connected.
func TestConnectFails(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if out, err := connect(t, r, "https://github.com/owls/lectern-course.git", "DENIED=1"); err == nil || !strings.Contains(out, "PERMISSION_DENIED") {
		t.Errorf("%v\n%s", err, out)
	}
	said, _ := os.ReadFile(filepath.Join(r.folder, "said"))
	if strings.Contains(string(said), "connections create") {
		t.Error("a connection that could not be seen was made once more")
	}
	for _, remote := range []string{"", "git@github.com:owls/lectern.git", "https://example.org/owls/lectern.git"} {
		if out, err := connect(t, r, remote); err == nil || !strings.Contains(out, "Which repository?") {
			t.Errorf("%q: %v\n%s", remote, err, out)
		}
	}
}
