package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// image is all that a function's image is made from: what it is, such as a file's path
// or a module's, and which content or version of it.
type image map[string]string

// name is short enough for a tag and long enough that no two are the same.
func (i image) name() string {
	hash := sha256.New()
	for _, what := range slices.Sorted(maps.Keys(i)) {
		fmt.Fprintf(hash, "%s\x00%s\n", what, i[what])
	}
	return hex.EncodeToString(hash.Sum(nil))[:24]
}

// since lists what differs from another, sorted.
func (i image) since(other image) []string {
	var changed []string
	for what, which := range i {
		if other[what] != which {
			changed = append(changed, what)
		}
	}
	for what := range other {
		if _, ok := i[what]; !ok {
			changed = append(changed, what)
		}
	}
	slices.Sort(changed)
	return changed
}

// target is the part of the Dockerfile that a function's image is made by: whose work is
// done by children has them beside it.
func target(function string) string {
	if function == "render" || function == "ingest" {
		return "media"
	}
	return "plain"
}

// without leaves out the other targets of a Dockerfile, so that a new Debian for films
// makes no other image anew. Comments count: it is not worth a parser.
func without(dockerfile, target string) string {
	var kept strings.Builder
	keep := true
	for line := range strings.Lines(dockerfile) {
		if words := strings.Fields(line); len(words) == 4 && words[0] == "FROM" && words[2] == "AS" {
			keep = words[3] == "build" || words[3] == target
		}
		if keep {
			kept.WriteString(line)
		}
	}
	return kept.String()
}
