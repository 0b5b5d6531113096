// Package recipe follows the Dockerfile without a container, so that tests run and
// measure what images hold.
package recipe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	environment = regexp.MustCompile(`(?m)^ENV (.*)$`)
	building    = regexp.MustCompile(`(?s)\nRUN (?:--mount=\S+ |\\\n\s*)*(package=.*?-o) /lectern ("\$package")\n`)
)

// Build makes a function's program, or migrate's, from the tree at root by the very line
// that the Dockerfile has, for this machine.
func Build(ctx context.Context, root, function, output string) error {
	file, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		return err
	}
	env, script, err := parse(string(file))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "sh", "-euc", script)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOFLAGS=", "FUNCTION="+function, "OUTPUT="+output)
	for _, setting := range env {
		if !strings.HasPrefix(setting, "GOOS=") && !strings.HasPrefix(setting, "GOARCH=") {
			cmd.Env = append(cmd.Env, setting)
		}
	}
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", function, err, said)
	}
	return nil
}

// parse gives the settings and the line that programs are built with; it writes to $OUTPUT.
func parse(dockerfile string) (env []string, script string, err error) {
	build, _, found := strings.Cut(dockerfile, "\n# A static program")
	if !found {
		return nil, "", errors.New("the Dockerfile's first target is not where it is looked for")
	}
	match := building.FindStringSubmatch(build)
	settings := environment.FindStringSubmatch(build)
	if match == nil || settings == nil {
		return nil, "", errors.New("the Dockerfile has no line that builds a program")
	}
	return strings.Fields(settings[1]), match[1] + ` "$OUTPUT" ` + match[2], nil
}
