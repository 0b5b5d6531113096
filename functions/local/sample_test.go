package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"lectern.dev/lectern/functions/local/commission"
	"lectern.dev/lectern/functions/local/house"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/course"
)

// A sample course that was deleted before it was done is not asked for again at
// every start.
func TestADeletedSampleIsForgotten(t *testing.T) {
	t.Parallel()
	needPostgres(t)
	data := dataFolder(t)
	h, err := house.Open(t.Context(), house.Options{Addr: "127.0.0.1:0", Data: data, Throwaway: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	note := filepath.Join(data, sampleFile)
	if err := os.WriteFile(note, []byte("crs_deleted"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // nobody answers at h.URL(): it would be an error to ask for another
		if done, err := makeSample(t.Context(), h, &commission.Maker{URL: h.URL()}, note); done || err != nil {
			t.Errorf("%v, %v", done, err)
		}
		if left, err := os.ReadFile(note); err != nil || len(left) > 0 {
			t.Errorf("the note says %q, %v", left, err)
		}
	}
}

// A folder with a course of -from's gets the sample course all the same.
func TestTheSampleStandsBesideOtherCourses(t *testing.T) {
	t.Parallel()
	needPostgres(t)
	data := dataFolder(t)
	h, err := house.Open(t.Context(), house.Options{Addr: "127.0.0.1:0", Data: data, Throwaway: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	if _, err := course.Create(t.Context(), h.Pool(), account.Local.Organization, account.Local.User, course.Fields{Title: "By -from"}); err != nil {
		t.Fatal(err)
	}
	asked := make(chan string, 1)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.URL.Path
		w.WriteHeader(http.StatusTeapot) // that it is asked for is enough
	}))
	defer api.Close()
	if done, err := makeSample(t.Context(), h, &commission.Maker{URL: api.URL}, filepath.Join(data, sampleFile)); done || err == nil {
		t.Errorf("%v, %v", done, err)
	}
	select {
	case got := <-asked:
		if got != "POST /v1/courses" {
			t.Errorf("it asks %s", got)
		}
	default:
		t.Error("there is no sample course")
	}
}
