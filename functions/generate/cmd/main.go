// Command generate writes courses: it executes the tasks of the generate queue.
package main

import (
	"lectern.dev/lectern/functions/generate"
	"lectern.dev/lectern/internal/edge"
)

func main() { edge.Main(generate.Build) }
