//go:build !container

package chat

import (
	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"lectern.dev/lectern/internal/edge"
)

// For a main that is not ours. Containers, whose main is cmd, are built without it:
// the framework brings a JSON library that keeps every method of every SDK, 10 to
// 20 MB a function.
func init() { functions.HTTP("chat", edge.Lazy(Build)) }
