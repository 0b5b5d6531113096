// Command ingest reads uploaded documents: it executes the tasks of the ingest queue.
package main

import (
	"lectern.dev/lectern/functions/ingest"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/source/extract"
)

func main() {
	extract.ChildMain()
	edge.Main(ingest.Build)
}
