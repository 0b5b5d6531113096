package edgetest

import (
	"net/http"

	"lectern.dev/lectern/internal/edge"
)

// Anyone may call a private function: who really may is shown in functions/local/house.
var Anyone = edge.CallersFunc(func(*http.Request) error { return nil })
