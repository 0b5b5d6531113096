package matrix

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"lectern.dev/lectern/internal/account"
)

// The documents and the API are held against each other by schemathesis: examples,
// the edges of every schema, and random requests, some valid and some not. Every
// answer must be one that the document declares: status, content type, headers, form;
// none may be our fault, and nothing may be let in without a valid sign-in. The same
// requests are sent every time.
func TestContract(t *testing.T) {
	t.Parallel()
	program, err := filepath.Abs("../../.tools/schemathesis/bin/schemathesis")
	if err == nil {
		_, err = os.Stat(program)
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err, "(make setup-test)")
	}
	config, err := filepath.Abs("testdata/schemathesis.toml")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	for name, args := range map[string][]string{
		"anonymous": {"--exclude-checks", unspoken, "--phases", "examples,fuzzing"},
		"owner": {
			"--phases", "examples,coverage,fuzzing",
			"--header", "Authorization: " + w.signedIn(t, account.Local.User),
			// The header stays when the check takes what is generated away.
			"--exclude-checks", unspoken + ",ignored_auth",
			// These would end the sign-in, and a stream of a job that nobody works on never ends.
			"--exclude-operation-id", "sign-out", "--exclude-operation-id", "sign-out-everywhere", "--exclude-operation-id", "watch-job",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, program, append([]string{
				"--config-file", config, "run", w.URL() + "/openapi.json", "--seed", "1", "--max-examples", "4",
				"--continue-on-failure", "--no-shrink", "--no-color", "--warnings", "off", "--request-timeout", "20",
			}, args...)...)
			cmd.Dir = t.TempDir() // it leaves a folder of notes
			cmd.WaitDelay = time.Minute
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// unspoken is the check that valid data is accepted: that a password is not a common
// one, and a cursor one that a list gave, no schema can say.
const unspoken = "positive_data_acceptance"
