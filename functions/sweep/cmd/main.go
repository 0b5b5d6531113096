// Command sweep makes good what was lost on the way; the scheduler calls it.
package main

import (
	"lectern.dev/lectern/functions/sweep"
	"lectern.dev/lectern/internal/edge"
)

func main() { edge.Main(sweep.Build) }
