package courses

import "lectern.dev/lectern/internal/edge"

// written is the answer to a write.
type written[T any] struct {
	ETag     string `header:"ETag" doc:"Version and digest of what is shown"`
	Location string `header:"Location"`
	Body     T
}

// saved is a written with its ETag.
func saved[T any](version int64, location string, body T) (*written[T], error) {
	encoded, err := edge.Encode(body)
	return &written[T]{ETag: etag(version, encoded.Bytes()), Location: location, Body: body}, err
}
