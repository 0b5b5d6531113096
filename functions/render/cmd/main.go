// Command render makes films: it executes the tasks of the render queue.
package main

import (
	"lectern.dev/lectern/functions/render"
	"lectern.dev/lectern/internal/edge"
)

func main() { edge.Main(render.Build) }
