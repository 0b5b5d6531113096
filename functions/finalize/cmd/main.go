// Command finalize hears of objects that are complete in the bucket.
package main

import (
	"lectern.dev/lectern/functions/finalize"
	"lectern.dev/lectern/internal/edge"
)

func main() { edge.Main(finalize.Build) }
