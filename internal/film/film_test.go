package film_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/encode"
	"lectern.dev/lectern/internal/espeak"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/ffmpeg"
	"lectern.dev/lectern/internal/film"
	"lectern.dev/lectern/internal/film/deck"
	"lectern.dev/lectern/internal/speech"
)

// The main path on the real programs: what comes out is what was asked for, to the pixel.
func TestRealFilm(t *testing.T) {
	t.Parallel()
	need(t, "ffmpeg", "ffprobe", "espeak-ng")
	s := studio(t, film.Deps{Bucket: &blob.Memory{}, Speaker: espeak.Speaker{}, Encoder: ffmpeg.Encoder{}})
	script := lesson(2, 2)
	script.Slides[0].Title = `100 %: 'quoted', {braces}; \N and` + "\na new line"
	script.Slides[1].Kind = course.CodeSlide
	script.Slides[1].Code = &course.Code{Language: "go", Text: "func main() {\n\tprintln(\"50 %\")\n}"}
	var told []int
	f, err := s.Make(t.Context(), script, func(done, total int, message string) {
		if total != 7 || message == "" {
			t.Errorf("told %d of %d: %q", done, total, message)
		}
		told = append(told, done)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !slices.Equal(told, []int{1, 2, 3, 4, 5, 6, 7}) {
		t.Errorf("progress: %v", told)
	}
	checkContainer(t, f)
	checkPictures(t, f, script)
	checkTexts(t, f, script)
}

// checkContainer looks at streams, times, chapters and the order of boxes.
func checkContainer(t *testing.T, f *film.Film) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_chapters", "-show_format", f.Video).Output()
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Streams []struct {
			CodecName  string `json:"codec_name"`
			Profile    string
			PixFmt     string `json:"pix_fmt"`
			ColorSpace string `json:"color_space"`
			Width      int
			Height     int
			Channels   int
			StartTime  string `json:"start_time"`
			Duration   string
		}
		Chapters []struct {
			StartTime string `json:"start_time"`
			Tags      struct{ Title string }
		}
	}
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	v, a := p.Streams[0], p.Streams[1]
	if v.CodecName != "h264" || v.Profile != "High" || v.PixFmt != "yuv420p" || v.ColorSpace != "bt709" || v.Width != 1920 || v.Height != 1080 {
		t.Errorf("picture: %+v", v)
	}
	if a.CodecName != "aac" || a.Profile != "LC" || a.Channels != 1 {
		t.Errorf("sound: %+v", a)
	}
	for name, s := range map[string]string{"picture": v.Duration, "sound": a.Duration} {
		d, err := strconv.ParseFloat(s, 64)
		if err != nil || math.Abs(d-f.Duration) > 0.040 {
			t.Errorf("%s lasts %s s, the film %.3f s", name, s, f.Duration)
		}
	}
	if v.StartTime != "0.000000" || a.StartTime != "0.000000" {
		t.Errorf("picture begins at %s, sound at %s", v.StartTime, a.StartTime)
	}
	if len(p.Chapters) != 2 || !strings.HasPrefix(p.Chapters[0].Tags.Title, `100 %: 'quoted', {braces}; \N and`) {
		t.Errorf("chapters: %+v", p.Chapters)
	}
	head, err := os.ReadFile(f.Video)
	if err != nil {
		t.Fatal(err)
	}
	if moov, mdat := strings.Index(string(head), "moov"), strings.Index(string(head), "mdat"); moov < 0 || moov > mdat {
		t.Errorf("moov at %d, mdat at %d: playing waits for the whole file", moov, mdat)
	}
}

// checkPictures compares decoded frames with what the deck draws.
func checkPictures(t *testing.T, f *film.Film, script film.Script) {
	t.Helper()
	d := deck.New()
	p := deck.Page{Language: script.Language, Course: script.CourseTitle, Lesson: script.LessonTitle, Total: len(script.Slides)}
	pictures := decode(t, f.Video)
	compare := func(what string, at float64, p deck.Page, points int) {
		l := d.Set(p)
		defer l.Close()
		c := deck.NewCanvas()
		l.Draw(c, 0, points)
		if s := ssim(c.YCbCr.Y, pictures.at(t, at)); s < 0.98 {
			t.Errorf("%s at %.2f s: SSIM %.4f", what, at, s)
		}
	}
	compare("the card", 1, p, 0)
	for _, said := range f.Transcript {
		for i, s := range script.Slides {
			if s.ID == said.Slide {
				p.Number, p.Slide = i+1, s
				compare(fmt.Sprintf("slide %d, sentence %d", i+1, said.Sentence+1), said.Start+0.2, p, s.Narration[said.Sentence].Reveals)
			}
		}
	}
	compare("the end", f.Duration-0.02, p, len(p.Slide.Points))
}

func checkTexts(t *testing.T, f *film.Film, script film.Script) {
	t.Helper()
	vtt, err := os.ReadFile(f.Captions)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(f.Text)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range script.Slides {
		for _, n := range s.Narration {
			if !strings.Contains(string(text), n.Text) {
				t.Errorf("the transcript lacks %q", n.Text)
			}
		}
	}
	if !strings.HasPrefix(string(vtt), "WEBVTT\n\n1\n00:00:0") || strings.Count(string(vtt), "-->") < 4 {
		t.Errorf("captions: %.200s", vtt)
	}
	poster, err := os.Open(f.Poster)
	if err != nil {
		t.Fatal(err)
	}
	defer poster.Close()
	if img, err := jpeg.Decode(poster); err != nil || img.Bounds() != image.Rect(0, 0, deck.Width, deck.Height) {
		t.Errorf("poster: %v", err)
	}
}

// decoded are the pictures of a video.
type decoded struct {
	times []float64
	file  *os.File // raw 4:2:0
}

func decode(t *testing.T, video string) decoded {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time", "-of", "csv=p=0", video).Output()
	if err != nil {
		t.Fatal(err)
	}
	var d decoded
	for line := range strings.FieldsSeq(string(out)) {
		at, err := strconv.ParseFloat(strings.Trim(line, ","), 64)
		if err != nil {
			t.Fatal(err)
		}
		d.times = append(d.times, at)
	}
	raw := filepath.Join(t.TempDir(), "raw.yuv")
	if err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-i", video, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "yuv420p", raw).Run(); err != nil {
		t.Fatal(err)
	}
	if d.file, err = os.Open(raw); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.file.Close() })
	return d
}

// at gives the luma of the picture that is shown at a time.
func (d decoded) at(t *testing.T, at float64) []byte {
	t.Helper()
	n, _ := slices.BinarySearch(d.times, at+1e-9)
	luma := make([]byte, deck.Width*deck.Height)
	if _, err := d.file.ReadAt(luma, int64(n-1)*deck.Width*deck.Height*3/2); err != nil {
		t.Fatalf("no picture at %.2f: %v", at, err)
	}
	return luma
}

// ssim is the structural similarity of two pictures, over blocks of 8×8.
func ssim(a, b []byte) float64 {
	const w, h, n = deck.Width, deck.Height, 64.0
	const c1, c2 = 6.5025, 58.5225
	sum, blocks := 0.0, 0.0
	for y := 0; y+8 <= h; y += 8 {
		for x := 0; x+8 <= w; x += 8 {
			var sa, sb, saa, sbb, sab float64
			for j := range 8 {
				for i := range 8 {
					p, q := float64(a[(y+j)*w+x+i]), float64(b[(y+j)*w+x+i])
					sa, sb, saa, sbb, sab = sa+p, sb+q, saa+p*p, sbb+q*q, sab+p*q
				}
			}
			ma, mb := sa/n, sb/n
			va, vb, cov := saa/n-ma*ma, sbb/n-mb*mb, sab/n-ma*mb
			sum += (2*ma*mb + c1) * (2*cov + c2) / ((ma*ma + mb*mb + c1) * (va + vb + c2))
			blocks++
		}
	}
	return sum / blocks
}

// What was made once is not made again.
func TestSegmentsAreReused(t *testing.T) {
	t.Parallel()
	bucket, speaker, encoder := &blob.Memory{}, &speech.Fake{}, &encode.Fake{}
	s := studio(t, film.Deps{Bucket: bucket, Speaker: speaker, Encoder: encoder})
	make := func(script film.Script) (pictures, sounds, sentences int) {
		t.Helper()
		p0, s0 := encoder.Counts()
		n0 := len(speaker.Spoken())
		f, err := s.Make(t.Context(), script, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		p1, s1 := encoder.Counts()
		return p1 - p0, s1 - s0, len(speaker.Spoken()) - n0
	}
	check := func(what string, script film.Script, pictures, sounds, sentences int) {
		t.Helper()
		if p, s, n := make(script); p != pictures || s != sounds || n != sentences {
			t.Errorf("%s: %d pictures, %d sounds, %d sentences; want %d, %d, %d", what, p, s, n, pictures, sounds, sentences)
		}
	}
	check("the first film", lesson(4, 2), 5, 5, 8)
	check("the same again", lesson(4, 2), 0, 0, 0)

	script := lesson(4, 2)
	script.Slides[2].Points[0].Text = "Another point"
	check("a changed slide costs itself and the fade into the next", script, 2, 0, 0)

	script = lesson(4, 2)
	script.Slides[2].Narration[1].Text = "Quite another sentence."
	check("a changed sentence costs its slide", script, 1, 1, 1)

	script = lesson(4, 2)
	script.Slides[2].Points[0].Evidence = []course.Evidence{{Passage: "psg_1"}}
	check("what a point rests on is not seen", script, 0, 0, 0)

	script = lesson(4, 2)
	script.Slides[1], script.Slides[3] = script.Slides[3], script.Slides[1]
	if _, _, sentences := make(script); sentences != 0 {
		t.Errorf("another order: %d sentences spoken again", sentences)
	}
}

// A render that stopped half-way goes on with what was finished: only what was in
// the making, one segment for each processor, is made again.
func TestStoppedRenderGoesOn(t *testing.T) {
	t.Parallel()
	bucket, speaker, encoder := &blob.Memory{}, &speech.Fake{}, &encode.Fake{}
	s := studio(t, film.Deps{Bucket: bucket, Speaker: speaker, Encoder: encoder})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.Make(ctx, lesson(8, 1), func(done, _ int, _ string) {
		if done == 9+4 { // all nine scenes are spoken, four are encoded
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	before, _ := encoder.Counts()
	f, err := s.Make(t.Context(), lesson(8, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	after, _ := encoder.Counts()
	if after < 9 || after > 9+runtime.GOMAXPROCS(0) {
		t.Errorf("%d pictures were encoded before the stop and %d after, for 9 segments", before, after-before)
	}
	if n := len(speaker.Spoken()); n != 8 {
		t.Errorf("%d sentences were spoken, of 8", n)
	}
}

func TestContentKey(t *testing.T) {
	t.Parallel()
	key := film.ContentKey(lesson(2, 2), "voice")
	if len(key) != 32 || key != film.ContentKey(lesson(2, 2), "voice") {
		t.Errorf("key %q", key)
	}
	for what, change := range map[string]func(*film.Script){
		"language":  func(s *film.Script) { s.Language = "de" },
		"course":    func(s *film.Script) { s.CourseTitle += "!" },
		"lesson":    func(s *film.Script) { s.LessonTitle += "!" },
		"title":     func(s *film.Script) { s.Slides[1].Title += "!" },
		"point":     func(s *film.Script) { s.Slides[1].Points[0].Text += "!" },
		"sentence":  func(s *film.Script) { s.Slides[1].Narration[0].Text += "!" },
		"reveals":   func(s *film.Script) { s.Slides[1].Narration[0].Reveals = 0 },
		"a slide":   func(s *film.Script) { s.Slides = s.Slides[:1] },
		"slide ids": func(s *film.Script) { s.Slides[0].ID = "sld_x" },
	} {
		s := lesson(2, 2)
		change(&s)
		if film.ContentKey(s, "voice") == key {
			t.Errorf("a change of %s keeps the key", what)
		}
	}
	if film.ContentKey(lesson(2, 2), "other voice") == key {
		t.Error("another voice keeps the key")
	}
}

// Odd scripts make films too: the times add up, and what is never revealed appears at last.
func TestOddScripts(t *testing.T) {
	t.Parallel()
	s := studio(t, film.Deps{Bucket: &blob.Memory{}, Speaker: &speech.Fake{}, Encoder: &encode.Fake{}})
	say := func(texts ...string) (n []course.Sentence) {
		for _, text := range texts {
			n = append(n, course.Sentence{Text: text})
		}
		return n
	}
	points := []course.Point{{Text: "One"}, {Text: "Two"}}
	for name, slides := range map[string][]course.Slide{
		"no narration":      {{Kind: "points", Title: "Silent", Points: points}},
		"no points":         {{Kind: "points", Title: "Bare", Narration: say("Words.")}},
		"nothing at all":    {{}},
		"empty sentences":   {{Kind: "points", Points: points, Narration: say("", " ", "Words.")}},
		"only empty ones":   {{Kind: "points", Points: points, Narration: say("", " ")}},
		"never revealed":    {{Kind: "points", Points: points, Narration: say("Words.", "More words.")}},
		"revealed backward": {{Kind: "points", Points: points, Narration: []course.Sentence{{Text: "a", Reveals: 9}, {Text: "b", Reveals: -1}}}},
		"kind without body": {{Kind: "code", Title: "No code", Points: points, Narration: say("Words.")}},
	} {
		f, err := s.Make(t.Context(), film.Script{Slides: append(slides, lesson(1, 1).Slides...)}, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		end := 0.0
		for _, said := range f.Transcript {
			if said.Start < end || said.End <= said.Start || said.End > f.Duration {
				t.Errorf("%s: sentence from %.3f to %.3f after %.3f in a film of %.3f s", name, said.Start, said.End, end, f.Duration)
			}
			end = said.End
		}
		if len(f.Chapters) != 2 || f.Chapters[0].Start != 0 || f.Chapters[1].Start < 3 {
			t.Errorf("%s: chapters %+v", name, f.Chapters)
		}
		f.Close()
	}
	if _, err := s.Make(t.Context(), film.Script{}, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("no slides: %v", err)
	}
}

// A voice may be slow or down: its failure is the film's, and nothing is left behind.
func TestFailuresLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	down := fault.New(fault.Unavailable, "down")
	for name, fail := range map[string]func(*blob.Memory, *speech.Fake, *encode.Fake){
		"speech": func(_ *blob.Memory, s *speech.Fake, _ *encode.Fake) { s.Fail(down) },
		"encode": func(_ *blob.Memory, _ *speech.Fake, e *encode.Fake) { e.Fail(down) },
		"bucket": func(b *blob.Memory, _ *speech.Fake, _ *encode.Fake) { b.Fail(down) },
	} {
		bucket, speaker, encoder, dir := &blob.Memory{}, &speech.Fake{}, &encode.Fake{}, t.TempDir()
		fail(bucket, speaker, encoder)
		s := studio(t, film.Deps{Bucket: bucket, Speaker: speaker, Encoder: encoder, TempDir: dir})
		if _, err := s.Make(t.Context(), lesson(3, 2), nil); !errors.Is(err, down) {
			t.Errorf("%s: %v", name, err)
		}
		empty(t, dir)
	}
}

// A cancel ends the programs and removes the folder within 2 s.
func TestCancel(t *testing.T) {
	t.Parallel()
	need(t, "ffmpeg", "ffprobe")
	took := time.Hour
	for try := 0; took > 2*time.Second && try < 5; try++ { // a busy machine is given another try
		took = cancelFilm(t)
	}
	if took > 2*time.Second {
		t.Errorf("it went on for %v", took)
	}
}

// cancelFilm cancels a film in the making, and tells how long that went on.
func cancelFilm(t *testing.T) time.Duration {
	t.Helper()
	dir := t.TempDir()
	s := studio(t, film.Deps{Bucket: &blob.Memory{}, Speaker: &speech.Fake{}, Encoder: ffmpeg.Encoder{}, TempDir: dir})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var canceled time.Time
	_, err := s.Make(ctx, lesson(20, 2), func(done, _ int, _ string) {
		if done == 23 { // the second picture of 21 is done, others are in the making
			canceled = time.Now()
			cancel()
		}
	})
	took := time.Since(canceled)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	empty(t, dir)
	return took
}

// F30: a full disk has a reason that people understand, and leaves nothing behind.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	need(t, "ffmpeg", "ffprobe")
	for _, size := range []string{"64k", "800k"} {
		dir := t.TempDir()
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
			t.Skip("tmpfs cannot be mounted here: ", err)
		}
		t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
		s := studio(t, film.Deps{Bucket: &blob.Memory{}, Speaker: &speech.Fake{Pace: 20 * time.Millisecond}, Encoder: ffmpeg.Encoder{}, TempDir: dir})
		_, err := s.Make(t.Context(), lesson(3, 2), nil)
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.Message(err), "not enough space") {
			t.Errorf("%s: %v", size, err)
		}
		empty(t, dir)
	}
}

// A film whose parts do not add up is not handed over.
func TestFilmIsLookedAt(t *testing.T) {
	t.Parallel()
	s := studio(t, film.Deps{Bucket: &blob.Memory{}, Speaker: &speech.Fake{}, Encoder: shortEncoder{&encode.Fake{}}})
	if _, err := s.Make(t.Context(), lesson(2, 1), nil); err == nil {
		t.Error("no error")
	}
}

// shortEncoder loses the end of the picture.
type shortEncoder struct{ *encode.Fake }

func (e shortEncoder) Probe(ctx context.Context, path string) (encode.Media, error) {
	m, err := e.Fake.Probe(ctx, path)
	m.PictureEnd -= 100 * time.Millisecond
	return m, err
}

func studio(t testing.TB, d film.Deps) *film.Studio {
	t.Helper()
	if d.TempDir == "" {
		d.TempDir = t.TempDir()
	}
	s := film.New(d)
	return s
}

// lesson writes a lesson of some slides, each with some points and a sentence for each.
func lesson(slides, points int) film.Script {
	s := film.Script{Language: "en", CourseTitle: "Debian for Beginners", LessonTitle: "Packages: how software arrives"}
	for i := range slides {
		slide := course.Slide{ID: fmt.Sprintf("sld_%d", i), Kind: course.PointsSlide, Title: fmt.Sprintf("Part %d: what a package holds", i+1)}
		for p := range points {
			slide.Points = append(slide.Points, course.Point{Text: fmt.Sprintf("Point %d of slide %d says something that fills about a line", p+1, i+1)})
			slide.Narration = append(slide.Narration, course.Sentence{Text: fmt.Sprintf("This is sentence %d of slide %d.", p+1, i+1), Reveals: p + 1})
		}
		s.Slides = append(s.Slides, slide)
	}
	return s
}

func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func need(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
}
