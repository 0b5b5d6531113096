package edge

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// containerLimits say, in bytes, how much memory the container may have: of cgroups,
// version 2 and 1.
// https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files
var containerLimits = []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}

// limitMemory has the garbage collector run more often, rather than let the process
// come near to what its container may have: by itself it lets the memory double
// between two runs. GOMEMLIMIT sets another limit, or "off" none.
func limitMemory() {
	if n := memoryLimit(containerLimits); n > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(n)
	}
}

// memoryLimit is nine tenths of the first limit that is one: the rest is for the
// system's share. 0: there is none.
func memoryLimit(files []string) int64 {
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 && n < 1<<50 { // "max", or as good as that
			return n / 10 * 9
		}
	}
	return 0
}
