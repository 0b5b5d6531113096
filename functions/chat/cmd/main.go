// Command chat serves the tutor.
package main

import (
	"lectern.dev/lectern/functions/chat"
	"lectern.dev/lectern/internal/edge"
)

func main() { edge.Main(chat.Build) }
