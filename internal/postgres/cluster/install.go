package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// oldest is the oldest major version whose SQL we use.
const oldest = 15

// findBinaries gives the folder of initdb and postgres: of the version that made
// dir when it exists, else the newest.
func findBinaries(dir string) (string, error) {
	candidates, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // Debian and Ubuntu keep them off PATH
	slices.SortFunc(candidates, func(a, b string) int { return major(b) - major(a) })
	if path, err := exec.LookPath("postgres"); err == nil {
		candidates = append(candidates, filepath.Dir(path))
	}
	made, _ := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	want := strings.TrimSpace(string(made))
	for _, bin := range candidates {
		if _, err := os.Stat(filepath.Join(bin, "initdb")); err != nil {
			continue
		}
		out, err := exec.Command(filepath.Join(bin, "postgres"), "--version").Output()
		if err != nil {
			continue
		}
		version := strings.TrimPrefix(string(out), "postgres (PostgreSQL) ")
		number, _, _ := strings.Cut(version, ".")
		if n, _ := strconv.Atoi(number); n >= oldest && (want == "" || want == number) {
			return bin, nil
		}
	}
	if want != "" {
		return "", fmt.Errorf("%s was made by PostgreSQL %s, which is not installed; install postgresql-%s or choose another data folder", dir, want, want)
	}
	return "", fmt.Errorf("PostgreSQL %d or newer is not installed; install it (Debian: apt-get install postgresql) and try again", oldest)
}

func major(bin string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	return n
}

// identity is the user that the server runs as; nil is ourselves.
type identity struct{ uid, gid int }

func serverUser() (*identity, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.Atoi(u.Uid)
		gid, errGID := strconv.Atoi(u.Gid)
		if errUID == nil && errGID == nil {
			return &identity{uid, gid}, nil
		}
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as; start Lectern as an ordinary user")
}

// capDACOverride lets the server reach its folder below /root, which user postgres
// may not enter. See capabilities(7).
const capDACOverride = 1

func (id *identity) attributes() *syscall.SysProcAttr {
	if id == nil {
		return &syscall.SysProcAttr{}
	}
	return &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: uint32(id.uid), Gid: uint32(id.gid)},
		AmbientCaps: []uintptr{capDACOverride},
	}
}

// owns tells whether a folder is the server's alone.
func (id *identity) owns(folder string) bool {
	info, err := os.Lstat(folder)
	if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		return false
	}
	uid := os.Geteuid()
	if id != nil {
		uid = id.uid
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == uid
}

// own gives a folder, with all that is in it, to the server's user.
func (id *identity) own(dir string) error {
	if id == nil {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, id.uid, id.gid)
	})
}
