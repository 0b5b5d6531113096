package edge

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAnIdleStreamIsKeptAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		w := httptest.NewRecorder()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			Stream(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx), func(ctx context.Context, _ func(Message) error) error {
				<-ctx.Done()
				return nil
			})
		}()
		time.Sleep(time.Minute) // of the bubble's clock
		leave()
		<-ended
		if beats := strings.Count(w.Body.String(), "\n: "); beats < 4 {
			t.Errorf("%d heartbeats in a minute; a follower doubts after 15 s", beats)
		}
	})
}

// A reader that takes nothing ends its own stream, and only that.
func TestAReaderThatIsGoneEndsTheStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		Stream(&refusing{discard{http.Header{}}, 2}, httptest.NewRequest("GET", "/", nil), func(ctx context.Context, _ func(Message) error) error {
			<-ctx.Done()
			return nil
		})
		if took := time.Since(began); took > time.Minute {
			t.Errorf("the stream went on for %v", took)
		}
	})
}

// refusing fails every write after the first few, as a connection whose write
// deadline has passed.
type refusing struct {
	discard
	after int
}

func (r *refusing) Write(p []byte) (int, error) {
	if r.after--; r.after < 0 {
		return 0, context.DeadlineExceeded
	}
	return len(p), nil
}

func (r *refusing) FlushError() error { return nil }
