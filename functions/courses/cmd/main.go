// Command courses serves the API of courses, sources and jobs.
package main

import (
	"lectern.dev/lectern/functions/courses"
	"lectern.dev/lectern/internal/edge"
)

func main() { edge.Main(courses.Build) }
