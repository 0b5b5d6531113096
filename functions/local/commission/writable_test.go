package commission

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An -out folder that cannot be made is refused before the work, and a try leaves nothing.
func TestWritable(t *testing.T) {
	dir := t.TempDir()
	if err := Writable(filepath.Join(dir, "a", "b", "out")); err != nil || list(t, dir) != "" {
		t.Errorf("%v, left %q", err, list(t, dir))
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{filepath.Join(file, "out"), "/proc/nobody/out"} {
		if err := Writable(out); err == nil || !strings.HasPrefix(err.Error(), out+" cannot be written to: ") {
			t.Errorf("%s: %v", out, err)
		}
	}
}
