package film_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/ffmpeg"
	"lectern.dev/lectern/internal/film"
	"lectern.dev/lectern/internal/film/deck"
	"lectern.dev/lectern/internal/speech"
)

// page plays a film, and tells what a player shows: times, and how many pixels are dark.
const page = `<!doctype html><title>film</title><video id=v muted preload=auto src=/video.mp4><track default src=/captions.vtt></video>
<script>
const v = document.getElementById('v'), c = new OffscreenCanvas(1920, 1080), g = c.getContext('2d', {willReadFrequently: true})
const event = name => new Promise((ok, no) => { v.addEventListener(name, ok, {once: true}); v.addEventListener('error', () => no(v.error.message), {once: true}) })
async function about() {
	if (v.readyState < 4) await event('canplaythrough')
	return {duration: v.duration, width: v.videoWidth, height: v.videoHeight, cues: v.textTracks[0].cues.length}
}
async function seek(at) {
	const shown = new Promise(ok => v.requestVideoFrameCallback(ok)), there = event('seeked')
	v.currentTime = at
	await there
	await Promise.race([shown, new Promise(ok => setTimeout(ok, 3000))]) // no callback when the picture stays the same
	g.drawImage(v, 0, 0)
	const p = g.getImageData(0, 0, 1920, 1080).data
	let dark = 0
	for (let i = 0; i < p.length; i += 4) if (p[i] < 100) dark++
	return {at: v.currentTime, dark}
}
async function play() {
	v.currentTime = 0
	await v.play()
	const start = v.currentTime
	await new Promise(ok => { const tick = () => v.currentTime > start + 1 ? ok() : requestAnimationFrame(tick); tick() })
	v.pause()
	return {at: v.currentTime, sound: v.webkitAudioDecodedByteCount}
}
</script>`

// Chromium plays the film and finds the right picture wherever it is asked to go.
func TestChromiumPlaysAndSeeks(t *testing.T) {
	t.Parallel()
	need(t, "ffmpeg", "ffprobe", "chromium")
	s := studio(t, film.Deps{Bucket: &blob.Memory{}, Speaker: &speech.Fake{Pace: 200 * time.Millisecond}, Encoder: ffmpeg.Encoder{}})
	script := lesson(3, 3)
	f, err := s.Make(t.Context(), script, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tab := openFilm(t, f)

	about := ask[struct {
		Duration            float64
		Width, Height, Cues int
	}](t, tab, "about()")
	if math.Abs(about.Duration-f.Duration) > 0.040 || about.Width != 1920 || about.Height != 1080 || about.Cues < len(f.Transcript) {
		t.Errorf("Chromium sees %+v, the film has %.3f s", about, f.Duration)
	}
	for _, said := range shuffled(f.Transcript) {
		at := (said.Start + said.End) / 2
		got := ask[struct {
			At   float64
			Dark int
		}](t, tab, fmt.Sprintf("seek(%f)", at))
		want := darkPixels(t, script, said)
		if math.Abs(got.At-at) > 0.01 || math.Abs(float64(got.Dark-want)) > 0.02*float64(want) {
			t.Errorf("at %.2f s: Chromium is at %.2f s and shows %d dark pixels; the slide has %d", at, got.At, got.Dark, want)
		}
	}
	played := ask[struct {
		At    float64
		Sound int
	}](t, tab, "play()")
	if played.At < 1 || played.Sound == 0 {
		t.Errorf("after playing: %+v", played)
	}
}

func openFilm(t *testing.T, f *film.Film) context.Context {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(filepath.Dir(f.Video))))
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, page)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true), chromedp.Flag("autoplay-policy", "no-user-gesture-required"))
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(cancel)
	allocator, stop := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(stop)
	tab, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	if err := chromedp.Do(tab, chromedp.Navigate(server.URL)); err != nil {
		t.Fatal(err)
	}
	return tab
}

// ask evaluates a promise in the page.
func ask[T any](t *testing.T, tab context.Context, script string) T {
	t.Helper()
	v, err := chromedp.Run(tab, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return v
}

// darkPixels counts what seek counts, in the picture as the deck draws it.
func darkPixels(t *testing.T, script film.Script, said course.Transcript) int {
	t.Helper()
	d := deck.New()
	for i, s := range script.Slides {
		if s.ID != said.Slide {
			continue
		}
		l := d.Set(deck.Page{Language: script.Language, Course: script.CourseTitle, Lesson: script.LessonTitle, Number: i + 1, Total: len(script.Slides), Slide: s})
		defer l.Close()
		c := deck.NewCanvas()
		l.Draw(c, 0, s.Narration[said.Sentence].Reveals)
		dark := 0
		for p := 0; p < len(c.RGBA.Pix); p += 4 {
			if c.RGBA.Pix[p] < 100 {
				dark++
			}
		}
		return dark
	}
	t.Fatalf("no slide %s", said.Slide)
	return 0
}

// shuffled jumps back and forth.
func shuffled(all []course.Transcript) []course.Transcript {
	all = slices.Clone(all)
	rand.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	return all
}
