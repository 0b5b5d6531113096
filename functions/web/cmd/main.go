// Command web serves Lectern's pages and is the gateway to its API.
package main

import (
	"lectern.dev/lectern/functions/web"
	"lectern.dev/lectern/internal/edge"
)

func main() { edge.Main(web.Build) }
