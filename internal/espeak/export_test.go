package espeak

import (
	"maps"
	"slices"
	"strings"
)

// Languages lists every tag that has a voice of its own.
func Languages() string {
	return same + strings.Join(slices.Collect(maps.Keys(special)), " ")
}
