package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tmaxmax/go-sse"
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

// Nothing that a text, an id or JSON made elsewhere holds can forge an event: what is
// read is what was sent.
func TestEventsAreReadAsTheyWereSent(t *testing.T) {
	t.Parallel()
	hostile := []string{
		"", " ", "plain", "\n", "\r", "\r\n\r\n", "\n\nevent: done\ndata: {}\n\n", "\rdata: forged\r\r", ": comment\n", "\u2028\u2029\u0085",
		"\x00", "\ufeff", "</script>&", "\"}\n\ndata: {\"a\":\"", "id: 7", "👩‍🚀é", "\xff\xfe", strings.Repeat("x\n", 1000),
	}
	check := func(parts []string) {
		var sent []Message
		var wire []byte
		for i, text := range parts {
			var data any = map[string]string{"text": text}
			if i%2 == 1 { // as from elsewhere, with line breaks between its parts
				indented, err := json.MarshalIndent(data, "\r", "\n")
				if err != nil {
					t.Fatal(err)
				}
				data = json.RawMessage(indented)
			}
			m := Message{ID: "answer." + strconv.Itoa(i), Event: "delta", Data: data}
			var err error
			if wire, err = m.encode(wire); err != nil {
				t.Fatal(err)
			}
			sent = append(sent, m)
		}
		n := 0
		for e, err := range sse.Read(bytes.NewReader(wire), &sse.ReadConfig{MaxEventSize: 1 << 20}) {
			if err != nil {
				t.Fatal(err)
			}
			if n == len(sent) {
				t.Fatalf("an event too many: %+v", e)
			}
			var got struct{ Text string }
			if err := json.Unmarshal([]byte(e.Data), &got); err != nil {
				t.Fatal(err)
			}
			if e.LastEventID != sent[n].ID || e.Type != sent[n].Event || got.Text != strings.ToValidUTF8(parts[n], "\ufffd\ufffd") && got.Text != strings.ToValidUTF8(parts[n], "\ufffd") {
				t.Fatalf("sent %q, read %+v", parts[n], e)
			}
			n++
		}
		if n != len(sent) {
			t.Fatalf("%d events of %d", n, len(sent))
		}
	}
	check(hostile)
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		parts := make([]string, random.IntN(5))
		for i := range parts {
			for range random.IntN(6) {
				parts[i] += hostile[random.IntN(len(hostile)-2)]
			}
		}
		check(parts)
	}
}

func TestALineBreakInANameIsRefused(t *testing.T) {
	t.Parallel()
	for _, m := range []Message{{ID: "a\nb"}, {ID: "a\x00"}, {Event: "a\rdata: b"}, {Event: "a", Data: func() {}}, {Data: json.RawMessage("{\n")}} {
		if b, err := m.encode(nil); err == nil {
			t.Errorf("%q", b)
		}
	}
}

// Nothing is written when the handler has returned, also by a comment whose time had come.
func TestNothingIsWrittenAfterTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := httptest.NewRecorder()
		Stream(w, httptest.NewRequest("GET", "/", nil), func(context.Context, func(Message) error) error {
			time.Sleep(heartbeat)
			return nil
		})
		length := w.Body.Len()
		time.Sleep(time.Hour)
		if w.Body.Len() != length {
			t.Errorf("%q", w.Body.String()[length:])
		}
	})
}

// A reader has the whole time for each write, also in the middle of a quick stream.
func TestEachWriteHasItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &deadlines{discard: discard{http.Header{}}}
		Stream(w, httptest.NewRequest("GET", "/", nil), func(_ context.Context, send func(Message) error) error {
			for range 100 {
				if err := send(Message{Event: "delta", Data: json.RawMessage("{}")}); err != nil {
					return err
				}
				if left := w.left(); left < streamWriteTime*8/10 || left > streamWriteTime {
					t.Errorf("a write had %v", left)
				}
				time.Sleep(300 * time.Millisecond)
			}
			return nil
		})
		if w.set > 40 {
			t.Errorf("%d deadlines for 100 quick writes", w.set)
		}
	})
}

// While a stream is silent its deadline never passes, which would end it over HTTP/2.
func TestSilenceOutlivesNoDeadline(t *testing.T) {
	t.Parallel()
	for name, stream := range map[string]func(http.ResponseWriter, context.Context){
		"events": func(w http.ResponseWriter, ctx context.Context) {
			Stream(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx), func(ctx context.Context, send func(Message) error) error {
				_ = send(Message{Event: "delta", Data: json.RawMessage("{}")})
				time.Sleep(900 * time.Millisecond)
				_ = send(Message{Event: "delta", Data: json.RawMessage("{}")})
				<-ctx.Done()
				return nil
			})
		},
		"data": func(w http.ResponseWriter, ctx context.Context) {
			s := NewDataStream(w)
			_ = s.Send([]byte("data: {}\n\n"))
			s.Alive(ctx, func() {})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, leave := context.WithCancel(t.Context())
				w := &deadlines{discard: discard{http.Header{}}}
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					stream(w, ctx)
				}()
				for range 600 {
					time.Sleep(100*time.Millisecond + time.Microsecond)
					synctest.Wait()
					if left := w.left(); left < 3*time.Second {
						t.Fatalf("the deadline is %v away", left)
					}
				}
				leave()
				<-ended
			})
		})
	}
}

type deadlines struct {
	discard
	mu       sync.Mutex
	deadline time.Time
	set      int
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.deadline = t; !t.IsZero() {
		d.set++
	}
	return nil
}

// left is how far away the deadline is.
func (d *deadlines) left() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Until(d.deadline)
}

func (d *deadlines) FlushError() error { return nil }

func BenchmarkStreamSend(b *testing.B) {
	b.ReportAllocs()
	Stream(&deadlines{discard: discard{http.Header{}}}, httptest.NewRequest("GET", "/", nil), func(_ context.Context, send func(Message) error) error {
		m := Message{ID: "msg_06fz3qk8v0g1m2n4p5r6s7t8.17", Event: "delta", Data: json.RawMessage(`{"text":"some words of an answer"}`)}
		for b.Loop() {
			if err := send(m); err != nil {
				return err
			}
		}
		return nil
	})
}
