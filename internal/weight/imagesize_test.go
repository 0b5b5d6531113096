package weight

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// What the images stand on, unpacked, in MiB: gcr.io/distroless/static-debian13 and
// debian:bookworm-slim.
const (
	distroless = 2
	slim       = 75
)

// imageMiB is about what an instance has of an image, unpacked: the base, the program, and
// for media what Debian says that its packages take, with all that they need. Some of
// these are in the base as well and are counted twice, about 20 MiB; the registry keeps and
// sends a third of it all.
func imageMiB(tb testing.TB, name, binary string) (float64, error) {
	tb.Helper()
	if name != "render" && name != "ingest" {
		return distroless + mebibytes(tb, binary), nil
	}
	packages, err := media()
	return slim + packages + mebibytes(tb, binary), err
}

// media asks apt about the packages of the Dockerfile's second target, as if nothing were
// installed.
var media = sync.OnceValues(func() (mib float64, err error) {
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		return 0, err
	}
	match := regexp.MustCompile(`apt-get install -y --no-install-recommends \\\n(.*) \\`).FindSubmatch(dockerfile)
	if match == nil {
		return 0, fmt.Errorf("the Dockerfile does not say what it installs")
	}
	wanted := strings.Fields(string(match[1]))
	simulated, err := exec.Command("apt-get", append([]string{"-s", "-o", "Dir::State::status=/dev/null", "install", "--no-install-recommends"}, wanted...)...).Output()
	if err != nil {
		return 0, fmt.Errorf("apt-get: %w", err)
	}
	show := []string{"show", "--no-all-versions"}
	for _, line := range regexp.MustCompile(`(?m)^Inst (\S+)`).FindAllStringSubmatch(string(simulated), -1) {
		show = append(show, line[1])
	}
	described, err := exec.Command("apt-cache", show...).Output()
	if err != nil {
		return 0, fmt.Errorf("apt-cache: %w", err)
	}
	for _, line := range regexp.MustCompile(`(?m)^Installed-Size: (\d+)`).FindAllStringSubmatch(string(described), -1) {
		var kib float64
		if _, err := fmt.Sscan(line[1], &kib); err != nil {
			return 0, err
		}
		mib += kib / 1024
	}
	return mib, nil
})

// What is said of images is what the Dockerfile makes them from.
func TestImagesStandOnWhatIsMeasured(t *testing.T) {
	t.Parallel()
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for target, base := range map[string]string{"plain": "gcr.io/distroless/static-debian13:", "media": "debian:bookworm-"} {
		if !regexp.MustCompile(`(?m)^FROM ` + regexp.QuoteMeta(base) + `\S+ AS ` + target + `$`).Match(dockerfile) {
			t.Errorf("the target %s does not stand on %s any more: measure its base anew", target, base)
		}
	}
}
