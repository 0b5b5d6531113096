package ffmpeg_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lectern.dev/lectern/internal/encode"
	"lectern.dev/lectern/internal/encode/encodetest"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/ffmpeg"
)

func TestEncoder(t *testing.T) {
	t.Parallel()
	need(t)
	encodetest.Run(t, ffmpeg.Encoder{})
}

// A machine without the program will not have it at the next try either.
func TestMissingProgram(t *testing.T) {
	t.Parallel()
	_, err := (ffmpeg.Encoder{FFprobe: "no-such-ffprobe"}).Probe(t.Context(), filepath.Join(t.TempDir(), "a.mp4"))
	if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Message(err), "no-such-ffprobe is not installed") {
		t.Error(err)
	}
}

// Pictures that stand long are repeated, keyframes come at least every 10 s, and
// every packet has its time.
func TestPacketTimes(t *testing.T) {
	t.Parallel()
	need(t)
	dst := filepath.Join(t.TempDir(), "p.mp4")
	shown := []time.Duration{33_333_333, 33_333_333, 33_333_334, 4300 * time.Millisecond, 31 * time.Second, 700 * time.Millisecond}
	reel := encode.Reel{Width: 64, Height: 64}
	for i, d := range shown {
		reel.Frames = append(reel.Frames, grey(d, uint8(40+30*i)))
	}
	if err := (ffmpeg.Encoder{}).Picture(t.Context(), dst, reel); err != nil {
		t.Fatal(err)
	}
	packets := probe(t, dst, "packet=pts_time,flags", "v:0")
	var last, lastKey float64
	want, at := map[string]bool{}, time.Duration(0)
	for _, d := range shown {
		want[fmt.Sprintf("%.3f", at.Seconds())] = true
		at += d
	}
	for i, p := range packets {
		pts, err := strconv.ParseFloat(p[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		delete(want, fmt.Sprintf("%.3f", pts))
		if pts-last > 2.001 {
			t.Errorf("packet %d comes %.3f s after the one before", i, pts-last)
		}
		if strings.HasPrefix(p[1], "K") {
			lastKey = pts
		} else if i == 0 {
			t.Error("the first picture is no keyframe")
		}
		if pts-lastKey > 10 {
			t.Errorf("no keyframe for %.1f s", pts-lastKey)
		}
		last = pts
	}
	if len(want) > 0 {
		t.Errorf("no packet at %v", want)
	}
}

// Where parts meet, nothing clicks, and each part's sound begins where it should.
func TestSoundJoinsSmoothly(t *testing.T) {
	t.Parallel()
	need(t)
	const rate, frames, parts = 22_050, 40, 5
	e, dir := ffmpeg.Encoder{}, t.TempDir()
	samples := make([]int16, frames*encode.SoundFrame)
	const begin, end = 8000, 30000 // of a rising tone, which fits itself in one place only
	for i := begin; i < end; i++ {
		t := float64(i-begin) / rate
		samples[i] = int16(8000 * math.Sin(2*math.Pi*(200+600*t)*t))
	}
	length := time.Duration(len(samples)) * time.Second / rate
	part := encode.Part{Picture: filepath.Join(dir, "p.mp4"), Sound: filepath.Join(dir, "s.aac"), Duration: length}
	if err := e.Sound(t.Context(), part.Sound, rate, samples); err != nil {
		t.Fatal(err)
	}
	if err := e.Picture(t.Context(), part.Picture, encode.Reel{Width: 64, Height: 64, Frames: []encode.Frame{grey(length, 90)}}); err != nil {
		t.Fatal(err)
	}
	var cut encode.Cut
	for range parts {
		cut.Parts = append(cut.Parts, part)
	}
	film := filepath.Join(dir, "film.mp4")
	if err := e.Join(t.Context(), film, cut); err != nil {
		t.Fatal(err)
	}
	raw, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-i", film, "-f", "s16le", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	decoded := make([]int16, len(raw)/2)
	if err := binary.Read(bytes.NewReader(raw), binary.LittleEndian, decoded); err != nil {
		t.Fatal(err)
	}
	for k := range parts {
		at := k * len(samples)
		for i := at; i < at+begin-encode.SoundFrame; i++ {
			if abs(decoded[i]) > 200 {
				t.Fatalf("part %d: a click of %d, %d samples from its begin", k, decoded[i], i-at)
			}
		}
		if best := lag(decoded[at:at+len(samples)], samples); abs(best) > 4 {
			t.Errorf("part %d is %d samples off", k, best)
		}
	}
}

// lag finds by how many samples got is behind want, by correlation.
func lag(got, want []int16) int {
	best, found := math.Inf(-1), 0
	for shift := -1500; shift <= 1500; shift++ {
		sum := 0.0
		for i := 9500; i < 20000; i++ {
			sum += float64(got[i+shift]) * float64(want[i])
		}
		if sum > best {
			best, found = sum, shift
		}
	}
	return found
}

// F03: an encoder that hangs is noticed and killed, with its whole group.
func TestStalledEncoderIsKilled(t *testing.T) {
	t.Parallel()
	pids := filepath.Join(t.TempDir(), "pids")
	hung := script(t, "sleep 300 & echo $$ $! > '"+pids+"'; wait")
	for stall := 400 * time.Millisecond; ; stall *= 4 {
		start := time.Now()
		err := ffmpeg.Encoder{FFmpeg: hung, Stall: stall}.Picture(t.Context(), filepath.Join(t.TempDir(), "p.mp4"), stills(2000))
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.Message(err), "hung") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took > stall+time.Minute { // it would sleep for five
			t.Errorf("noticed after %v", took)
		}
		if b, err := os.ReadFile(pids); (err != nil || len(bytes.Fields(b)) < 2) && stall < time.Minute {
			continue // on a busy machine it had not begun to sleep
		}
		gone(t, pids)
		return
	}
}

// F03: the real encoder, stopped by a signal in the middle of its work.
func TestStoppedFFmpegIsKilled(t *testing.T) {
	t.Parallel()
	need(t)
	wrapper := script(t, `exec ffmpeg "$@"`)
	reel := stills(2000)
	draw := reel.Frames[1000].Draw
	reel.Frames[1000].Draw = func() (*image.YCbCr, error) {
		for _, pid := range children(t, wrapper) {
			_ = syscall.Kill(pid, syscall.SIGSTOP)
		}
		return draw()
	}
	err := ffmpeg.Encoder{FFmpeg: wrapper, Stall: 500 * time.Millisecond}.Picture(t.Context(), filepath.Join(filepath.Dir(wrapper), "p.mp4"), reel)
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
	if left := children(t, wrapper); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}

// F03: somebody kills ffmpeg.
func TestKilledFFmpegCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	need(t)
	wrapper := script(t, `exec ffmpeg "$@"`)
	reel := stills(2000)
	draw := reel.Frames[1000].Draw
	reel.Frames[1000].Draw = func() (*image.YCbCr, error) {
		for _, pid := range children(t, wrapper) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		return draw()
	}
	err := ffmpeg.Encoder{FFmpeg: wrapper}.Picture(t.Context(), filepath.Join(filepath.Dir(wrapper), "p.mp4"), reel)
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.Message(err), "killed") {
		t.Errorf("got %v", err)
	}
}

func TestCancelKillsTheGroup(t *testing.T) {
	t.Parallel()
	pids := filepath.Join(t.TempDir(), "pids")
	slow := script(t, "sleep 300 & echo $$ $! > '"+pids+"'; wait")
	ctx, cancel := context.WithCancelCause(t.Context())
	var canceled time.Time
	go func() {
		for {
			if b, err := os.ReadFile(pids); err == nil && len(bytes.Fields(b)) == 2 {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		canceled = time.Now()
		cancel(errors.New("not wanted any more"))
	}()
	err := ffmpeg.Encoder{FFmpeg: slow}.Join(ctx, filepath.Join(t.TempDir(), "film.mp4"), encode.Cut{})
	if err == nil || err.Error() != "not wanted any more" {
		t.Errorf("got %v", err)
	}
	if took := time.Since(canceled); took > time.Minute { // it would sleep for five
		t.Errorf("took %v", took)
	}
	gone(t, pids)
}

// ffmpeg may end well without having written all.
func TestLyingEncoderIsCaught(t *testing.T) {
	t.Parallel()
	liar := script(t, "cat > /dev/null; echo frame=1; echo progress=end")
	if err := (ffmpeg.Encoder{FFmpeg: liar}).Picture(t.Context(), filepath.Join(t.TempDir(), "p.mp4"), stills(3)); err == nil {
		t.Error("no error")
	}
}

func TestComplaintIsPartOfTheError(t *testing.T) {
	t.Parallel()
	broken := script(t, "cat > /dev/null; echo 'unknown encoder libx264' >&2; exit 1")
	err := ffmpeg.Encoder{FFmpeg: broken}.Picture(t.Context(), filepath.Join(t.TempDir(), "p.mp4"), stills(3))
	if !fault.Is(err, fault.Internal) || !strings.Contains(err.Error(), "unknown encoder libx264") || strings.Contains(fault.Message(err), "libx264") {
		t.Errorf("got %v", err)
	}
}

// F30: a disk that is full says so, wherever the last byte did not fit.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	need(t)
	for _, size := range []string{"4k", "32k", "200k"} {
		dir := t.TempDir()
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
			t.Skip("tmpfs cannot be mounted here: ", err)
		}
		t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
		samples := make([]int16, 400*encode.SoundFrame)
		for i := range samples {
			samples[i] = int16(i * i)
		}
		e := ffmpeg.Encoder{}
		for name, err := range map[string]error{
			"picture": e.Picture(t.Context(), filepath.Join(dir, "p.mp4"), noise(60)),
			"sound":   e.Sound(t.Context(), filepath.Join(dir, "s.aac"), 22_050, samples),
		} {
			if !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.Message(err), "not enough space") {
				t.Errorf("%s, %s: %v", size, name, err)
			}
		}
	}
}

func need(t *testing.T) {
	t.Helper()
	for _, p := range []string{"ffmpeg", "ffprobe"} {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
}

// script is a program that stands in for ffmpeg.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ffmpeg")
	// A file that is still open for writing in a child being forked elsewhere cannot be
	// executed (ETXTBSY), so the shell is executed and reads it.
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil { //nolint:gosec // must be executable
		t.Fatal(err)
	}
	return path
}

// children lists the processes whose command line names the folder of path.
func children(t *testing.T, path string) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		line, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err == nil && bytes.Contains(line, []byte(filepath.Dir(path))) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// gone waits until the processes in the file are.
func gone(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			// A zombie that nobody collects is dead too.
			stat, err := os.ReadFile("/proc/" + f + "/stat")
			if err != nil || strings.Contains(string(stat), ") Z ") || syscall.Kill(pid, 0) != nil {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("process %d is still there", pid)
				break
			}
		}
	}
}

func probe(t *testing.T, file, entries, stream string) [][]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-select_streams", stream, "-show_entries", entries, "-of", "csv=p=0", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(string(out)) {
		rows = append(rows, strings.Split(strings.TrimSpace(line), ","))
	}
	return rows
}

func grey(shown time.Duration, luma uint8) encode.Frame {
	return encode.Frame{Shown: shown, Draw: func() (*image.YCbCr, error) {
		img := image.NewYCbCr(image.Rect(0, 0, 64, 64), image.YCbCrSubsampleRatio420)
		for i := range img.Y {
			img.Y[i] = luma
		}
		return img, nil
	}}
}

func stills(n int) encode.Reel {
	r := encode.Reel{Width: 64, Height: 64}
	for i := range n {
		r.Frames = append(r.Frames, grey(time.Second, uint8(i)))
	}
	return r
}

// noise cannot be made small.
func noise(n int) encode.Reel {
	var seed atomic.Uint32
	r := encode.Reel{Width: 640, Height: 360}
	for range n {
		r.Frames = append(r.Frames, encode.Frame{Shown: time.Second, Draw: func() (*image.YCbCr, error) {
			img := image.NewYCbCr(image.Rect(0, 0, 640, 360), image.YCbCrSubsampleRatio420)
			for i := range img.Y {
				img.Y[i] = uint8(seed.Add(2654435769) >> 13)
			}
			return img, nil
		}})
	}
	return r
}

func abs[T ~int | ~int16](v T) T { return max(v, -v) }
