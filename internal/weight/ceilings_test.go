package weight

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestPackages holds the functions to what they link: each package is code that is loaded,
// initialised and patched.
func TestPackages(t *testing.T) {
	t.Parallel()
	for name, most := range functions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("go", "list", "-deps", "-tags=container,grpcnotrace", "./functions/"+name+"/cmd")
			cmd.Dir = "../.."
			cmd.Stderr = t.Output()
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			packages := strings.Count(string(out), "\n")
			if t.Logf("%d packages", packages); packages > most.packages {
				t.Errorf("%s links %d packages, and may %d: see which by go list -deps ./functions/%s/cmd and go mod why; take a smaller library, or raise the ceiling in weight_test.go and say there what for", name, packages, most.packages, name)
			}
		})
	}
}

// TestBinarySize holds the functions to their size: an instance that starts fetches it.
func TestBinarySize(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds every function")
	}
	for name, most := range functions {
		t.Run(name, func(t *testing.T) {
			mib := mebibytes(t, build(t, name))
			if t.Logf("%.1f MiB", mib); mib > float64(most.binary) {
				t.Errorf("%s has %.1f MiB, and may have %d: see what is new by go tool nm -size -sort size on an unstripped build; what keeps a whole SDK is often one use of html/template or reflection; or raise the ceiling in weight_test.go and say there what for", name, mib, most.binary)
			}
		})
	}
}

func mebibytes(tb testing.TB, file string) float64 {
	tb.Helper()
	info, err := os.Stat(file)
	if err != nil {
		tb.Fatal(err)
	}
	return float64(info.Size()) / (1 << 20)
}
