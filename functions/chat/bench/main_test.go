// Package bench measures what a stream costs a chat that forwards it, beside others
// that do the same: each server alone on one processor, the model's server, the
// readers and the database on the other, the servers in turn.
package bench

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/pprof"
	"strconv"
	"syscall"
	"testing"
	"time"

	"lectern.dev/lectern/functions/chat"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/openai/openaitest"
)

// role is what a copy of this program is to be.
const role = "LECTERN_BENCH_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "model":
		serveModel()
	case "relay":
		serveRelay(os.Getenv("UPSTREAM"))
	case "chat":
		serveProfiled(os.Getenv("LECTERN_BENCH_PROFILE"))
	}
}

// serveProfiled is the chat as it is deployed, but that it writes a profile of its
// processor's time, and of its memory beside it, from when SIGUSR1 comes until the next.
func serveProfiled(file string) {
	told := make(chan os.Signal, 2)
	signal.Notify(told, syscall.SIGUSR1)
	go func() {
		<-told
		f, err := os.Create(file)
		if err != nil {
			log.Fatal(err)
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			log.Fatal(err)
		}
		<-told
		pprof.StopCPUProfile()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Fprintf(os.Stderr, "MiB: %d live, %d in heap spans, %d idle and kept, %d in stacks; %d goroutines, %d collections\n",
			m.HeapAlloc>>20, m.HeapInuse>>20, (m.HeapIdle-m.HeapReleased)>>20, m.StackInuse>>20, runtime.NumGoroutine(), m.NumGC)
		for _, name := range []string{"heap", "goroutine"} {
			f, err := os.Create(file + "." + name)
			if err != nil {
				log.Fatal(err)
			}
			_ = pprof.Lookup(name).WriteTo(f, 0)
			_ = f.Close()
		}
	}()
	edge.Main(chat.Build)
}

// wish is what a question asks of the model: so many pieces, at a pace.
var wish = regexp.MustCompile(`(\d+) pieces, one every (\d+) ms`)

// word stands in every piece, and nowhere else.
const word = "tok"

// serveModel is a model's server, over HTTP/1.1 and, with TLS, over HTTP/2. It says
// where it listens, and the certificate that it is to be trusted by.
func serveModel() {
	script := &openaitest.Script{Forget: true, Reply: func(r openaitest.Request) openaitest.Reply {
		messages, _ := r.Body["messages"].([]any)
		last, _ := messages[len(messages)-1].(map[string]any)
		text, _ := last["content"].(string)
		asked := wish.FindStringSubmatch(text)
		if asked == nil {
			return openaitest.Reply{}
		}
		n, _ := strconv.Atoi(asked[1])
		pause, _ := strconv.Atoi(asked[2])
		return openaitest.Reply{Repeat: n, Text: word + " and some more ", Every: time.Duration(pause) * time.Millisecond}
	}}
	plain := httptest.NewServer(script)
	safe := httptest.NewUnstartedServer(script)
	safe.EnableHTTP2 = true
	safe.Config.ErrorLog = log.New(io.Discard, "", 0)
	safe.StartTLS()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: safe.Certificate().Raw})
	fmt.Printf("%s\n%s\n%s\n", plain.URL, safe.URL, certificate)
	untilTold()
}

// serveRelay forwards a stream as it is: what a proxy of a few lines does.
func serveRelay(upstream string) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}}
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			return
		}
		q, err := http.NewRequestWithContext(r.Context(), r.Method, upstream+r.URL.Path, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		q.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(q)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		_, _ = io.Copy(&flushing{w, http.NewResponseController(w)}, resp.Body)
	})}
	go func() { _ = server.Serve(listener) }()
	untilTold()
}

type flushing struct {
	io.Writer
	controller *http.ResponseController
}

func (f *flushing) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	if err == nil {
		err = f.controller.Flush()
	}
	return n, err
}

func untilTold() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, os.Interrupt)
	<-told
}
