package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/job"
)

// F30: films are put together on a disk that is full at various points. The job
// says so in words, leaves nothing behind, others go on, and it can be resumed
// once there is space.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	want, _ := reference(t)
	for _, size := range []string{"64k", "512k"} {
		t.Run(size, func(t *testing.T) {
			t.Parallel()
			disk := smallDisk(t, size)
			p := newPlatformWith(t, []string{"TMPDIR=" + disk})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			c := client{url: "http://" + p.addr, data: p.data}
			_, err := c.makeCourse(ctx, "testdata/tea.md", 2)
			if err == nil || !strings.Contains(err.Error(), "not enough space") {
				t.Fatalf("the person reads %v\n%s", err, tail(p.stop()))
			}
			for len(films(t, disk)) > 0 && pause(ctx) { // the job has failed with its first film: another may still be going
			}
			if left := films(t, disk); len(left) > 0 {
				t.Errorf("left on the disk: %v", left)
			}
			if _, err := post[course.Course](ctx, c, "/v1/courses", map[string]string{"title": "Tea, too"}); err != nil {
				t.Errorf("other work: %v", err)
			}

			if err := syscall.Mount("lectern-small", disk, "tmpfs", syscall.MS_REMOUNT, "size=256m"); err != nil {
				t.Fatal(err)
			}
			failed, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "job "), " ")
			if _, err := post[job.Job](ctx, c, "/v1/jobs/"+failed+"/resume", nil); err != nil {
				t.Fatal(err)
			}
			if err := c.follow(ctx, failed); err != nil {
				t.Fatalf("%v\n%s", err, tail(p.stop()))
			}
			p.stop()
			got := p.final(t)
			if diff := cmp.Diff(want, without(got, "courseTea, too")); diff != "" {
				t.Errorf("the final state differs (-undisturbed +got):\n%s", diff)
			}
		})
	}
}

// smallDisk mounts a file system of that size.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lectern-disk-")
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("lectern-small", dir, "tmpfs", 0, "mode=1777,size="+size); err != nil {
		_ = os.Remove(dir)
		if errors.Is(err, syscall.EPERM) {
			t.Skip("mounting a small disk needs root")
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
		_ = os.Remove(dir)
	})
	return dir
}

// films lists what films have left on a disk.
func films(t *testing.T, disk string) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(disk, "film-*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

func without(lines []string, prefix string) (rest []string) {
	for _, l := range lines {
		if !strings.HasPrefix(l, prefix) {
			rest = append(rest, l)
		}
	}
	return rest
}
