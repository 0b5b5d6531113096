// Command touched names what each image is made from. Two commits give a function the
// same name when its image would be the same program on the same base, and so a commit
// touches the functions whose names it changes. The name is the image's tag: what was
// built once is not built again, not even after a failed release or a revert.
//
//	touched                  every function, the Dockerfile's target for it, and its name
//	touched -since COMMIT    only those that differ from COMMIT, with what has changed
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	since := flag.String("since", "", "only functions that differ from this commit, with what has changed")
	flag.Parse()
	if err := run(ctx, os.Stdout, ".", *since); err != nil {
		fmt.Fprintln(os.Stderr, "touched:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, root, since string) error {
	if since != "" {
		return differing(ctx, out, root, since)
	}
	made, err := images(ctx, root)
	if err != nil {
		return err
	}
	for _, function := range slices.Sorted(maps.Keys(made)) {
		fmt.Fprintln(out, function, target(function), made[function].name())
	}
	return nil
}

// differing looks at the other commit in a folder of its own.
func differing(ctx context.Context, out io.Writer, root, commit string) error {
	now, err := images(ctx, root)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "lectern-touched-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	other := filepath.Join(temp, "tree")
	if err := git(ctx, root, "worktree", "add", "--quiet", "--detach", other, commit); err != nil {
		return err
	}
	defer func() { _ = git(context.WithoutCancel(ctx), root, "worktree", "remove", "--force", other) }()
	then, err := images(ctx, other)
	if err != nil {
		return err
	}
	for _, function := range slices.Sorted(maps.Keys(now)) {
		if changed := now[function].since(then[function]); len(changed) > 0 {
			fmt.Fprintf(out, "%s: %s\n", function, strings.Join(changed, ", "))
		}
	}
	return nil
}

func git(ctx context.Context, folder string, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = folder
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, said)
	}
	return nil
}
