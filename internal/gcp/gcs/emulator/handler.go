package emulator

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ServeHTTP serves the JSON API to those who know the password, and objects to
// those who hold a signed URL.
func (e *Emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// fake-gcs-server allows every origin everything; what is allowed is said here.
	e.allowOrigin(w.Header(), r.Header.Get("Origin"))
	r = r.Clone(r.Context())
	r.Header.Del("Origin")
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/storage/v1/"), strings.HasPrefix(path, "/upload/storage/v1/"):
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(e.password())) != 1 {
			refuse(w, http.StatusUnauthorized, "AuthenticationRequired", "Authentication is required.")
			return
		}
		e.api(w, r)
	case strings.HasPrefix(path, "/"+e.opts.Bucket+"/"):
		e.signed(w, r)
	default:
		refuse(w, http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist.")
	}
}

// api passes a request of the client on and announces the object that it finished, if any.
func (e *Emulator) api(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/upload/") {
		e.fake.HTTPHandler().ServeHTTP(w, r)
		return
	}
	answer := &tee{ResponseWriter: w, status: http.StatusOK}
	e.fake.HTTPHandler().ServeHTTP(answer, r)
	if object, ok := finished(answer.status, answer.Header(), answer.body.Bytes()); ok {
		e.events.announce(object)
	}
}

// signed serves whoever holds a signed URL.
func (e *Emulator) signed(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusOK)
		return
	}
	if err := e.verify(r, time.Now()); err != nil {
		refuse(w, http.StatusForbidden, "SignatureDoesNotMatch", err.Error())
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		r.Host = publicHost
		e.fake.HTTPHandler().ServeHTTP(quiet{w, w.Header().Get("Access-Control-Allow-Origin")}, r)
	case http.MethodPut:
		e.put(w, r)
	default:
		refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed.")
	}
}

// put stores the body of a signed PUT by way of the JSON API, which obeys the
// precondition. The body goes to a file first: fake-gcs-server holds a lock while
// it reads one, and a slow sender would stop everybody.
func (e *Emulator) put(w http.ResponseWriter, r *http.Request) {
	least, most, err := lengthRange(r.Header.Get("X-Goog-Content-Length-Range"))
	if err != nil {
		refuse(w, http.StatusBadRequest, "InvalidArgument", err.Error())
		return
	}
	body, size, err := spool(r.Body, most)
	if err != nil {
		refuse(w, http.StatusBadRequest, "IncompleteBody", err.Error())
		return
	}
	defer func() { _ = body.Close() }()
	switch {
	case size > most:
		refuse(w, http.StatusBadRequest, "EntityTooLarge", "Your proposed upload is larger than the maximum object size specified in your Policy Document.")
		return
	case size < least:
		refuse(w, http.StatusBadRequest, "EntityTooSmall", "Your proposed upload is smaller than the minimum object size specified in your Policy Document.")
		return
	}
	answer := &tee{ResponseWriter: discard{make(http.Header)}, status: http.StatusOK}
	e.fake.HTTPHandler().ServeHTTP(answer, e.insertion(r, body, size))
	object, ok := finished(answer.status, answer.Header(), answer.body.Bytes())
	switch {
	case answer.status == http.StatusPreconditionFailed:
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.")
	case !ok:
		refuse(w, http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again.")
	default:
		w.Header().Set("X-Goog-Generation", object.text("generation"))
		w.Header().Set("ETag", strconv.Quote(object.text("etag")))
		w.WriteHeader(http.StatusOK)
		e.events.announce(object)
	}
}

// insertion is a signed PUT as a request of the JSON API.
func (e *Emulator) insertion(r *http.Request, body io.ReadCloser, size int64) *http.Request {
	query := url.Values{"uploadType": {"media"}, "name": {strings.TrimPrefix(r.URL.Path, "/"+e.opts.Bucket+"/")}}
	if generation := r.Header.Get("X-Goog-If-Generation-Match"); generation != "" {
		query.Set("ifGenerationMatch", generation)
	}
	in := r.Clone(r.Context())
	in.Method = http.MethodPost
	in.URL = &url.URL{Path: "/upload/storage/v1/b/" + e.opts.Bucket + "/o", RawQuery: query.Encode()}
	in.Header.Del("Content-Encoding") // it would be unpacked, to any size
	in.Body, in.ContentLength = body, size
	return in
}

// spool copies at most one byte more than most into a file without a name.
func spool(r io.Reader, most int64) (*os.File, int64, error) {
	file, err := os.CreateTemp("", "lectern-upload-")
	if err != nil {
		return nil, 0, err
	}
	_ = os.Remove(file.Name()) // it lives until it is closed
	size, err := io.Copy(file, io.LimitReader(r, most+1))
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = file.Close()
		return nil, 0, err
	}
	return file, size, nil
}

const maxObject = 5 << 30 // bytes, when the URL sets no limit

func lengthRange(header string) (least, most int64, err error) {
	if header == "" {
		return 0, maxObject, nil
	}
	from, to, ok := strings.Cut(header, ",")
	least, err1 := strconv.ParseInt(strings.TrimSpace(from), 10, 64)
	most, err2 := strconv.ParseInt(strings.TrimSpace(to), 10, 64)
	if !ok || err1 != nil || err2 != nil || least < 0 || most < least {
		return 0, 0, fmt.Errorf("x-goog-content-length-range %q is not two numbers", header)
	}
	return least, most, nil
}

// finished gives the object that an upload's answer describes, unless it is the
// answer to a beginning or to a chunk.
func finished(status int, header http.Header, body []byte) (object, bool) {
	if status != http.StatusOK || header.Get("X-Http-Status-Code-Override") != "" {
		return nil, false
	}
	var o object
	if err := json.Unmarshal(body, &o); err != nil {
		return nil, false
	}
	generation := o.text("generation")
	return o, o.text("kind") == "storage#object" && generation != "" && generation != "0"
}

// allowOrigin answers the browser's question about pages of other origins.
func (e *Emulator) allowOrigin(header http.Header, origin string) {
	if origin == "" || !slices.Contains(e.opts.Origins, origin) {
		return
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Allow-Methods", "GET, HEAD, PUT")
	header.Set("Access-Control-Allow-Headers", "Content-Type, Range, X-Goog-If-Generation-Match, X-Goog-Content-Length-Range")
	header.Set("Access-Control-Expose-Headers", "Content-Range, Content-Length, ETag, X-Goog-Generation")
	header.Set("Access-Control-Max-Age", "3600")
	header.Add("Vary", "Origin")
}

// refuse answers an error in the XML of Cloud Storage.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<?xml version='1.0' encoding='UTF-8'?><Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
}

// tee keeps a copy of an answer.
type tee struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// WriteHeader implements http.ResponseWriter.
func (t *tee) WriteHeader(status int) {
	t.status = status
	t.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (t *tee) Write(p []byte) (int, error) {
	_, _ = t.body.Write(p)
	return t.ResponseWriter.Write(p)
}

// discard is where an answer goes that only tee wants.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// quiet takes back the "*" that fake-gcs-server says about origins.
type quiet struct {
	http.ResponseWriter
	origin string
}

// WriteHeader implements http.ResponseWriter.
func (q quiet) WriteHeader(status int) {
	if q.origin == "" {
		q.Header().Del("Access-Control-Allow-Origin")
	} else {
		q.Header().Set("Access-Control-Allow-Origin", q.origin)
	}
	q.ResponseWriter.WriteHeader(status)
}

var errSignature = errors.New("the request signature we calculated does not match the signature you provided")
