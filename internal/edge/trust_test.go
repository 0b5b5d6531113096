package edge

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Headers that anybody can send to a function decide nothing: no code reads them,
// but for the client's address (see Front), whether the browser has https, what the log
// calls a delivery, and those that an emulator writes.
func TestNobodyReadsHeadersThatAnybodyCanSend(t *testing.T) {
	t.Parallel()
	allowed := map[string][]string{
		"internal/edge/client.go":   {"X-Forwarded-For"},
		"internal/edge/headers.go":  {"X-Forwarded-Proto"},
		"internal/edge/delivery.go": {"X-CloudTasks-TaskName", "X-CloudTasks-TaskRetryCount"}, // for the log alone
	}
	files := 0
	for _, folder := range []string{"../../functions", "../../internal"} {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			name := strings.TrimPrefix(filepath.ToSlash(path), "../../")
			if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.Contains(name, "/emulator/") {
				return err
			}
			files++
			source, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, header := range []string{"X-CloudTasks", "X-CloudScheduler", "X-Cloud-", "X-AppEngine", "X-Real-Ip", "True-Client-Ip", "Forwarded", "X-Goog-Auth"} {
				for line := range strings.Lines(strings.ToLower(string(source))) {
					quoted := strings.Contains(line, `"`+strings.ToLower(header)) || strings.Contains(line, `"x-`+strings.ToLower(header))
					fine := slices.ContainsFunc(allowed[name], func(one string) bool { return strings.Contains(line, strings.ToLower(`"`+one+`"`)) })
					if quoted && !fine {
						t.Errorf("%s reads a header that anybody can send: %s", name, strings.TrimSpace(line))
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 100 {
		t.Errorf("only %d files were read", files)
	}
}
