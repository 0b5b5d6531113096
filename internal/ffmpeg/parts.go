package ffmpeg

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lectern.dev/lectern/internal/encode"
	"lectern.dev/lectern/internal/fault"
)

// repeated is a picture that is encoded one or more times in a row.
type repeated struct {
	encode.Frame
	repeats int
}

// plan is a reel's timing: numbers of ours, never text of users.
type plan struct {
	starts []int64 // when each packet is shown, in ticks
	keys   []int   // which packets are keyframes
}

// frameRate is what ffmpeg takes the pictures for; only the last packet lasts as long as it says.
const frameRate = 30

// schedule repeats pictures that stand longer than a heartbeat and marks keyframes.
// A last repeat stands for one frame at the end, since that is how long ffmpeg lets
// the last packet last. Times are rounded from the sum, never summed from rounded times: no drift.
func schedule(reel encode.Reel) ([]repeated, plan) {
	var p plan
	var at, lastKey time.Duration
	frames := make([]repeated, len(reel.Frames))
	for i, f := range reel.Frames {
		n := max(1, int((f.Shown+heartbeat-1)/heartbeat))
		frames[i] = repeated{f, n}
		for k := range n {
			start := at + f.Shown*time.Duration(k)/time.Duration(n)
			if len(p.starts) == 0 || start-lastKey > keyEvery-heartbeat {
				p.keys = append(p.keys, len(p.starts))
				lastKey = start
			}
			p.starts = append(p.starts, ticks(start))
		}
		at += f.Shown
	}
	if end := ticks(at - time.Second/frameRate); end > p.starts[len(p.starts)-1] {
		frames[len(frames)-1].repeats++
		p.starts = append(p.starts, end)
	}
	return frames, p
}

// times gives the start of packet N as an expression: a balanced tree of choices,
// since ffmpeg takes no expression that is deeper than 100 levels.
func (p plan) times() string {
	var b strings.Builder
	var choose func(first, last int)
	choose = func(first, last int) {
		if first == last {
			b.WriteString(strconv.FormatInt(p.starts[first], 10))
			return
		}
		middle := (first + last + 1) / 2
		fmt.Fprintf(&b, `if(lt(N\,%d)\,`, middle)
		choose(first, middle-1)
		b.WriteString(`\,`)
		choose(middle, last)
		b.WriteString(")")
	}
	choose(0, len(p.starts)-1)
	return b.String()
}

// keyTimes lists where the encoder, which knows only the constant rate, makes
// keyframes. Rounded down: some versions take the first frame at or after a time, some the nearest.
func (p plan) keyTimes() string {
	times := make([]string, len(p.keys))
	for i, k := range p.keys {
		times[i] = strconv.Itoa(k*1_000_000/frameRate) + "us"
	}
	return strings.Join(times, ",")
}

func ticks(d time.Duration) int64 {
	return (int64(d)*timescale + int64(time.Second)/2) / int64(time.Second)
}

// writePicture writes the planes as rawvideo has them: without the padding between rows.
func writePicture(w io.Writer, img *image.YCbCr, width, height int) error {
	if img.Rect.Dx() != width || img.Rect.Dy() != height || img.SubsampleRatio != image.YCbCrSubsampleRatio420 {
		return fault.New(fault.Internal, "a picture of %v in a reel of %dx%d", img.Rect, width, height)
	}
	for _, p := range []struct {
		pixels                []byte
		stride, width, height int
	}{
		{img.Y, img.YStride, width, height},
		{img.Cb, img.CStride, width / 2, height / 2},
		{img.Cr, img.CStride, width / 2, height / 2},
	} {
		if p.stride == p.width {
			if _, err := w.Write(p.pixels[:p.width*p.height]); err != nil {
				return err
			}
			continue
		}
		for y := range p.height {
			if _, err := w.Write(p.pixels[y*p.stride:][:p.width]); err != nil {
				return err
			}
		}
	}
	return nil
}

// trimPriming gives n AAC frames without the first, which holds only the
// encoder's run-up (ISO/IEC 14496-3: each frame overlaps the one before). Since the
// part begins in silence, its second frame decodes right without it, and n frames
// last exactly as long as the n×1024 samples: joined parts neither drift nor click.
func trimPriming(b []byte, n int) ([]byte, error) {
	start, end, frames := 0, 0, 0
	for end+7 <= len(b) && frames <= n {
		// ADTS header: 12 bits of ones, and the frame's length in 13 bits from bit 30.
		if b[end] != 0xff || b[end+1]&0xf0 != 0xf0 {
			return nil, fault.New(fault.Internal, "not an ADTS frame at byte %d", end)
		}
		size := int(b[end+3]&3)<<11 | int(b[end+4])<<3 | int(b[end+5])>>5
		if frames == 0 {
			start = size
		}
		end += size
		frames++
	}
	if frames != n+1 || end > len(b) {
		return nil, fault.New(fault.Internal, "ffmpeg wrote %d sound frames of %d", frames, n+1)
	}
	return b[start:end], nil
}

func writeList(path string, parts []encode.Part) error {
	var b bytes.Buffer
	b.WriteString("ffconcat version 1.0\n")
	for _, p := range parts {
		fmt.Fprintf(&b, "file '%s'\nduration %dus\n", strings.ReplaceAll(p.Picture, "'", `'\''`), p.Duration.Microseconds())
	}
	return full(os.WriteFile(path, b.Bytes(), 0o600))
}

func concatenate(path string, parts []encode.Part) error {
	out, err := os.Create(path)
	if err != nil {
		return full(err)
	}
	for _, p := range parts {
		if err := appendFile(out, p.Sound); err != nil {
			return full(errors.Join(err, out.Close()))
		}
	}
	return full(out.Close())
}

func appendFile(w io.Writer, path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	_, err = io.Copy(w, in)
	return err
}

// chapterFile writes the chapters as ffmetadata, where = ; # \ and the line's end are escaped.
func chapterFile(cut encode.Cut) []byte {
	escape := strings.NewReplacer("=", `\=`, ";", `\;`, "#", `\#`, `\`, `\\`, "\n", " ", "\r", " ", "\x00", "")
	var b bytes.Buffer
	b.WriteString(";FFMETADATA1\n")
	for i, c := range cut.Chapters {
		end := cut.Duration()
		if i+1 < len(cut.Chapters) {
			end = cut.Chapters[i+1].Start
		}
		fmt.Fprintf(&b, "[CHAPTER]\nTIMEBASE=1/1000\nSTART=%d\nEND=%d\ntitle=%s\n",
			c.Start.Milliseconds(), end.Milliseconds(), escape.Replace(c.Title))
	}
	return b.Bytes()
}

// full gives a full disk its kind and leaves other errors as they are.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fault.Wrap(fault.Unavailable, err, "There is not enough space to make the video.")
	}
	return err
}
