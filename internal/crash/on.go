//go:build crashpoints

// Package crash marks the lines at which tests kill the process, to show that
// nothing is lost there.
package crash

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var passed atomic.Int64

// Point kills this process with SIGKILL when CRASHPOINT names it: "job.claimed",
// or "job.claimed:3" for the third time it is passed. With CRASHPOINT=list every
// point that is passed is printed to stderr, for a harness that enumerates them.
func Point(name string) {
	wanted, count, _ := strings.Cut(os.Getenv("CRASHPOINT"), ":")
	if wanted == "list" {
		fmt.Fprintln(os.Stderr, "crashpoint", name)
	}
	if wanted != name {
		return
	}
	nth, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		nth = 1
	}
	if passed.Add(1) == nth {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal needs a moment; nothing more happens here
	}
}
