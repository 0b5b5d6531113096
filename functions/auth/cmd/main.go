// Command auth serves the API of accounts, organisations, credentials and budgets.
package main

import (
	"lectern.dev/lectern/functions/auth"
	"lectern.dev/lectern/internal/edge"
)

func main() { edge.Main(auth.Build) }
