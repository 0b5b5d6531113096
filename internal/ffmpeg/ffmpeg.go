// Package ffmpeg implements the encode port with the ffmpeg and ffprobe programs.
//
// ffmpeg sees numbers and names of files that we made, never text of users:
// pictures and sound come through its standard input, chapter titles in a file.
package ffmpeg

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"lectern.dev/lectern/internal/encode"
	"lectern.dev/lectern/internal/fault"
)

// Encoder runs a process per part. The zero value is ready.
type Encoder struct {
	FFmpeg  string        // path of the program; empty: ffmpeg from PATH
	FFprobe string        // path of the program; empty: ffprobe from PATH
	Stall   time.Duration // a child that does nothing for so long is killed; 0: 8 s
}

var _ encode.Encoder = Encoder{}

const (
	timescale = 90_000           // ticks a second of the video track; as MPEG has it
	heartbeat = 2 * time.Second  // a picture that stands longer is repeated: players stall on long samples
	keyEvery  = 10 * time.Second // and seek to keyframes
)

// Picture encodes each picture once (again per heartbeat, which costs next to
// nothing), as if at a constant rate; a bitstream filter then gives every packet its real time.
func (e Encoder) Picture(ctx context.Context, dst string, reel encode.Reel) error {
	if len(reel.Frames) == 0 {
		return fault.New(fault.Internal, "a reel without frames")
	}
	frames, plan := schedule(reel)
	args := []string{
		"-f", "rawvideo", "-pixel_format", "yuv420p", "-framerate", strconv.Itoa(frameRate),
		"-video_size", fmt.Sprintf("%dx%d", reel.Width, reel.Height), "-i", "pipe:0",
		"-c:v", "libx264", "-profile:v", "high", "-preset", "superfast", "-crf", "20", "-bf", "0",
		// Slides neither move nor cut: what looks for that costs half of the time and saves nothing.
		"-x264-params", "scenecut=0:rc-lookahead=0:subme=0:weightp=0",
		"-threads", "1", // segments run in parallel instead
		"-g", "100000", "-forced-idr", "1", "-force_key_frames", plan.keyTimes(),
		"-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709", "-color_range", "tv",
		"-bsf:v", "setts=time_base=1/" + strconv.Itoa(timescale) + ":ts=" + plan.times(),
		"-video_track_timescale", strconv.Itoa(timescale), "-f", "mp4", dst,
	}
	progress, err := e.ffmpeg(ctx, slices.Concat(tellProgress, args), func(w io.Writer) error {
		for _, f := range frames {
			img, err := f.Draw()
			if err != nil {
				return err
			}
			for range f.repeats {
				if err := writePicture(w, img, reel.Width, reel.Height); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	// ffmpeg ends with 0 after some failures, so what it says it wrote is counted.
	if got := lastValue(progress, "frame"); got != strconv.Itoa(len(plan.starts)) {
		return fault.New(fault.Internal, "ffmpeg wrote %s pictures of %d", got, len(plan.starts))
	}
	return nil
}

// Sound encodes with the fast coder: the default one costs more than all pictures together.
func (e Encoder) Sound(ctx context.Context, dst string, rate int, samples []int16) error {
	if len(samples) == 0 || len(samples)%encode.SoundFrame != 0 {
		return fault.New(fault.Internal, "%d samples are no whole number of sound frames", len(samples))
	}
	args := []string{
		"-f", "s16le", "-ar", strconv.Itoa(rate), "-ac", "1", "-i", "pipe:0",
		"-c:a", "aac", "-aac_coder", "fast", "-b:a", "96k", "-f", "adts", "pipe:1",
	}
	adts, err := e.ffmpeg(ctx, args, func(w io.Writer) error {
		// x86 and ARM are little-endian, as s16le is.
		_, err := w.Write(unsafe.Slice((*byte)(unsafe.Pointer(&samples[0])), 2*len(samples)))
		return err
	})
	if err != nil {
		return err
	}
	frames, err := trimPriming(adts, len(samples)/encode.SoundFrame)
	if err != nil {
		return err
	}
	return full(os.WriteFile(dst, frames, 0o600))
}

// Join copies packets: pictures through the concat demuxer, which takes the length
// of each from the list, and sound as one run of AAC frames.
func (e Encoder) Join(ctx context.Context, dst string, cut encode.Cut) error {
	dir, err := os.MkdirTemp(filepath.Dir(dst), "join-")
	if err != nil {
		return full(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // best effort: the caller removes the folder above
	list, sound, chapters := filepath.Join(dir, "list"), filepath.Join(dir, "sound.aac"), filepath.Join(dir, "chapters")
	if err := writeList(list, cut.Parts); err != nil {
		return err
	}
	if err := concatenate(sound, cut.Parts); err != nil {
		return err
	}
	if err := os.WriteFile(chapters, chapterFile(cut), 0o600); err != nil {
		return full(err)
	}
	_, err = e.ffmpeg(ctx, slices.Concat(tellProgress, []string{
		"-f", "concat", "-safe", "0", "-i", list, "-f", "aac", "-i", sound, "-f", "ffmetadata", "-i", chapters,
		"-map", "0:v:0", "-map", "1:a:0", "-map_metadata:g", "-1", "-map_chapters", "2", "-c", "copy",
		"-video_track_timescale", strconv.Itoa(timescale), "-movflags", "+faststart", "-fflags", "+bitexact", "-f", "mp4", dst,
	}), nil)
	return err
}

// tellProgress makes ffmpeg write how far it is twice a second: a sign of life.
var tellProgress = []string{"-progress", "pipe:1"}

func (e Encoder) ffmpeg(ctx context.Context, args []string, feed func(io.Writer) error) ([]byte, error) {
	common := []string{"-hide_banner", "-y", "-v", "error", "-nostats"}
	if feed == nil {
		common = append(common, "-nostdin")
	}
	return child{program: orDefault(e.FFmpeg, "ffmpeg"), args: slices.Concat(common, args), feed: feed, stall: e.stall()}.run(ctx)
}

// Probe asks ffprobe.
func (e Encoder) Probe(ctx context.Context, path string) (encode.Media, error) {
	out, err := child{program: orDefault(e.FFprobe, "ffprobe"), stall: e.stall(), args: []string{
		"-v", "error", "-of", "json", "-show_chapters", "-show_entries",
		"format=duration:stream=codec_type,codec_name,profile,width,height,channels,start_time,duration:chapter=id", path,
	}}.run(ctx)
	if err != nil {
		return encode.Media{}, err
	}
	return parseProbe(out)
}

func (e Encoder) stall() time.Duration {
	if e.Stall > 0 {
		return e.Stall
	}
	return stallLimit
}

func parseProbe(out []byte) (encode.Media, error) {
	var said struct {
		Format  struct{ Duration string }
		Streams []struct {
			Type      string `json:"codec_type"`
			Codec     string `json:"codec_name"`
			Profile   string
			Width     int
			Height    int
			Channels  int
			StartTime string `json:"start_time"`
			Duration  string
		}
		Chapters []struct{}
	}
	if err := json.Unmarshal(out, &said); err != nil {
		return encode.Media{}, err
	}
	m := encode.Media{Duration: seconds(said.Format.Duration), ChapterCount: len(said.Chapters)}
	for _, s := range said.Streams {
		switch s.Type {
		case "video":
			m.Picture, m.Width, m.Height = s.Codec+" "+s.Profile, s.Width, s.Height
			m.PictureEnd = seconds(s.StartTime) + seconds(s.Duration)
		case "audio":
			m.Sound, m.Channels = s.Codec, s.Channels
			m.SoundEnd = seconds(s.StartTime) + seconds(s.Duration)
		}
	}
	return m, nil
}

// lastValue finds the last "key=value" line of ffmpeg's -progress output.
func lastValue(progress []byte, key string) string {
	value := ""
	for line := range strings.Lines(string(progress)) {
		if v, ok := strings.CutPrefix(line, key+"="); ok {
			value = strings.TrimSpace(v)
		}
	}
	return value
}

func seconds(s string) time.Duration {
	f, _ := strconv.ParseFloat(s, 64) // absent or "N/A": 0
	return time.Duration(f * float64(time.Second))
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
