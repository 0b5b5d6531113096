package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// readers hold streams open and count what comes. They read connections as they are,
// so that they take as little as possible from who shares their processor.
type readers struct {
	begun, ended, broken atomic.Int64
	words, events        atomic.Int64
	why                  atomic.Value // the first thing that broke
	wg                   sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	left  atomic.Bool
}

// leave ends what is still open.
func (r *readers) leave() {
	r.left.Store(true)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		_ = c.Close()
	}
}

// open asks a question and reads its answer in the background. The connection comes
// from an address of its own for every 20,000.
func (r *readers) open(t target, i int, question string) {
	r.wg.Go(func() {
		if err := r.read(t, i, question, nil); err != nil && !r.left.Load() {
			r.broken.Add(1)
			r.why.CompareAndSwap(nil, fmt.Sprintf("question %d: %v", i, err))
		}
	})
}

var errCut = errors.New("the stream was cut")

// read follows an answer to its end; first is told when its first word came.
func (r *readers) read(t target, i int, question string, first func(time.Duration)) error {
	method, path, header, body := t.ask(i, question)
	address := strings.TrimPrefix(t.url, "http://")
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i/20000))}}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	r.mu.Lock()
	r.conns = append(r.conns, conn)
	r.mu.Unlock()
	began := time.Now()
	if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		method, path, address, header, len(body), body); err != nil {
		return err
	}
	var space [1024]byte
	held, said := 0, int64(0) // what may be half of something; words
	head := true
	for {
		n, err := conn.Read(space[held:])
		chunk := space[:held+n]
		if head && n > 0 {
			if !bytes.HasPrefix(chunk, []byte("HTTP/1.1 200")) {
				return fmt.Errorf("answered %.300q", chunk)
			}
			head = false
		}
		words, events := count(chunk, held)
		if said == 0 && words > 0 {
			r.begun.Add(1)
			if first != nil {
				first(time.Since(began))
			}
		}
		said += words
		r.words.Add(words)
		r.events.Add(events)
		whole := bytes.HasSuffix(chunk, []byte("0\r\n\r\n"))
		held = copy(space[:], chunk[max(0, len(chunk)-8):])
		if err != nil || whole {
			if !whole || err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("%w after %d words: %w", errCut, said, err)
			}
			r.ended.Add(1)
			if bytes.Contains(chunk, []byte("\"problem\"")) {
				return fmt.Errorf("ended with %q", chunk)
			}
			return nil
		}
	}
}

// count tells the words and the events in a chunk whose first bytes were looked at before.
func count(chunk []byte, before int) (words, events int64) {
	return within(chunk, word, before), within(chunk, "data: ", before)
}

// within counts what ends behind the first bytes.
func within(chunk []byte, what string, before int) (n int64) {
	for from := 0; ; {
		i := bytes.Index(chunk[from:], []byte(what))
		if i < 0 {
			return n
		}
		from += i + len(what)
		if from > before {
			n++
		}
	}
}

// until waits for a number of streams to have begun, ended or broken.
func (r *readers) until(what *atomic.Int64, n int64, most time.Duration) bool {
	for began := time.Now(); what.Load()+r.broken.Load() < n; time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > most {
			return false
		}
	}
	return true
}
