package edge

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

func TestMemoryLimitIsTheContainers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files []string
		want  int64
	}{
		"version 2":            {[]string{"536870912\n"}, 483183819},
		"version 2 without":    {[]string{"max\n"}, 0},
		"version 1":            {[]string{"", "1000\n"}, 900},
		"version 1 without":    {[]string{"", "9223372036854771712\n"}, 0},
		"no container":         {[]string{"", ""}, 0},
		"the first one counts": {[]string{"1000\n", "2000\n"}, 900},
	} {
		var files []string
		dir := t.TempDir()
		for i, text := range c.files {
			files = append(files, filepath.Join(dir, strconv.Itoa(i)))
			if text == "" {
				continue
			}
			if err := os.WriteFile(files[i], []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := memoryLimit(files); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
