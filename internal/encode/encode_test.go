package encode_test

import (
	"errors"
	"testing"

	"lectern.dev/lectern/internal/encode"
	"lectern.dev/lectern/internal/encode/encodetest"
)

func TestFake(t *testing.T) {
	t.Parallel()
	encodetest.Run(t, &encode.Fake{})
}

func TestFakeFails(t *testing.T) {
	t.Parallel()
	var f encode.Fake
	failure := errors.New("out of film")
	f.Fail(failure)
	if err := f.Join(t.Context(), "", encode.Cut{}); !errors.Is(err, failure) {
		t.Errorf("got %v", err)
	}
}
