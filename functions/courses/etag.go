package courses

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/edge"
)

// Fresh is the condition of a read.
type Fresh struct {
	IfNoneMatch string `header:"If-None-Match" maxLength:"1000" doc:"ETag of an earlier answer: 304 when it still holds"`
}

// Conditional is the condition of a write.
type Conditional struct {
	IfMatch string `header:"If-Match" maxLength:"1000" doc:"ETag that was read: 412 when it is no longer the present one"`
}

// fetched is the answer to a read.
type fetched[T any] struct {
	Status       int
	ETag         string `header:"ETag" doc:"Version and digest of what is shown"`
	CacheControl string `header:"Cache-Control"`
	Body         edge.Encoded[T]
}

// etag is the version, for If-Match, and a digest of what is shown, for
// If-None-Match: an outline also shows how lessons and videos stand, which
// changes without a new version of the course.
func etag(version int64, shown []byte) string {
	h := fnv.New64a()
	h.Write(shown)
	return fmt.Sprintf(`"%d-%016x"`, version, h.Sum64())
}

// answer gives body, or 304 without it when the reader has it already.
func answer[T any](f Fresh, version int64, body T) (*fetched[T], error) {
	encoded, err := edge.Encode(body)
	if err != nil {
		return nil, err
	}
	tag := etag(version, encoded.Bytes())
	out := &fetched[T]{Status: http.StatusOK, ETag: tag, CacheControl: "private, no-cache", Body: encoded}
	for candidate := range strings.SplitSeq(f.IfNoneMatch, ",") {
		if c := strings.TrimSpace(candidate); c == "*" || strings.TrimPrefix(c, "W/") == tag {
			out.Status = http.StatusNotModified
		}
	}
	return out, nil
}

// condition reads If-Match: the versions before the digests. A bare version, as in
// the body, is taken too; what is no tag of ours matches nothing.
func (c Conditional) condition() course.Condition {
	if c.IfMatch == "" || strings.TrimSpace(c.IfMatch) == "*" {
		return nil
	}
	versions := course.Condition{}
	for candidate := range strings.SplitSeq(c.IfMatch, ",") {
		tag := strings.Trim(strings.TrimPrefix(strings.TrimSpace(candidate), "W/"), `"`)
		number, _, _ := strings.Cut(tag, "-")
		if v, err := strconv.ParseInt(number, 10, 64); err == nil {
			versions = append(versions, v)
		}
	}
	return versions
}
