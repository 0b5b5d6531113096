package courses

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"testing"
)

// client sends one request again and again over one connection. It is thin, since
// it runs in the process whose CPU is measured.
type client struct {
	conn    net.Conn
	reader  *bufio.Reader
	request []byte
}

func dial(b *testing.B, address, path string) *client {
	b.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: lectern.example\r\nAccept: application/json\r\n\r\n", path)
	return &client{conn, bufio.NewReaderSize(conn, 64<<10), request}
}

// get reads an answer of status 200 with a Content-Length or in chunks.
func (c *client) get(b *testing.B) {
	if _, err := c.conn.Write(c.request); err != nil {
		b.Fatal(err)
	}
	length, chunked := 0, false
	for first := true; ; first = false {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			b.Fatal(err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
			b.Fatalf("%s", line)
		}
		if len(line) == 0 {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(": ")); string(name) == "Content-Length" {
			length, _ = strconv.Atoi(string(value))
		} else if string(name) == textproto.CanonicalMIMEHeaderKey("transfer-encoding") {
			chunked = true
		}
	}
	for {
		if chunked {
			line, err := c.reader.ReadString('\n')
			if err != nil {
				b.Fatal(err)
			}
			n, err := strconv.ParseInt(line[:len(line)-2], 16, 64)
			if err != nil {
				b.Fatal(err)
			}
			length = int(n) + 2
		}
		if _, err := c.reader.Discard(length); err != nil {
			b.Fatal(err)
		}
		if !chunked || length == 2 {
			return
		}
	}
}
