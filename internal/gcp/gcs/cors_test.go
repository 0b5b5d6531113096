package gcs_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/gcp/gcs/emulator"
)

// A browser sends a document with the headers that are signed, from a page of another
// origin: the bucket must take that method, and each of these headers.
func TestTerraformsBucketTakesWhatIsSigned(t *testing.T) {
	t.Parallel()
	e := start(t, emulator.Options{Bucket: "lectern"})
	request, err := open(t, e).SignUpload(t.Context(), "sources/a", blob.UploadOptions{ContentType: "application/pdf", MaxBytes: 100, Valid: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../../terraform/bucket.tf")
	if err != nil {
		t.Fatal(err)
	}
	rule := regexp.MustCompile(`method\s+= \["` + request.Method + `"\]\n\s+response_header = \[(.*)\]`).FindSubmatch(text)
	if rule == nil {
		t.Fatalf("terraform/bucket.tf lets nobody %s", request.Method)
	}
	var taken []string
	for header := range strings.SplitSeq(string(rule[1]), ", ") {
		taken = append(taken, strings.Trim(header, `"`))
	}
	slices.Sort(taken)
	if signed := slices.Sorted(maps.Keys(request.Headers)); !slices.Equal(taken, signed) {
		t.Errorf("the bucket takes %v; signed are %v", taken, signed)
	}
}
