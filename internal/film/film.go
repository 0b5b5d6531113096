// Package film makes a lesson's video: narration is spoken, slides are drawn, each
// slide becomes a segment that is kept and used again, and the segments are joined
// without encoding again. Captions, transcript and chapters come from the script itself.
package film

import (
	"context"
	"errors"
	"fmt"
	"image/jpeg"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"golang.org/x/sync/errgroup"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/encode"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/film/deck"
	"lectern.dev/lectern/internal/speech"
	"lectern.dev/lectern/internal/trail"
)

// Deps are the parts that a studio works with.
type Deps struct {
	Bucket  blob.Store // keeps segments under segments/, addressed by content
	Speaker speech.Speaker
	Encoder encode.Encoder
	TempDir string // where films are put together; empty: the system's
}

// Studio makes films. It is safe for concurrent use.
type Studio struct {
	bucket  blob.Store
	speaker speech.Speaker
	encoder encode.Encoder
	tempDir string
	deck    *deck.Deck
}

// New makes a studio.
func New(d Deps) *Studio {
	return &Studio{d.Bucket, d.Speaker, d.Encoder, d.TempDir, deck.New()}
}

// Film is a finished film in a local folder, which Close removes.
type Film struct {
	course.Manifest
	Video    string // MP4
	Captions string // WebVTT
	Text     string // Markdown
	Poster   string // JPEG
	dir      string
}

// Close removes the film's files.
func (f *Film) Close() error { return os.RemoveAll(f.dir) }

// Progress is told what has been done. It is called from one goroutine at a time, soon after each unit.
type Progress func(done, total int, message string)

// drift is how far picture and sound may be apart at the end.
const drift = 40 * time.Millisecond

// Make makes the film. It ends within 2 s of ctx and leaves no file or process behind
// then. A fault.Unavailable can be tried again and goes on with the segments that were
// finished; a script without slides is Invalid.
func (s *Studio) Make(ctx context.Context, script Script, progress Progress) (*Film, error) {
	if len(script.Slides) == 0 {
		return nil, fault.New(fault.Invalid, "The lesson has no slides yet, so there is nothing to film.")
	}
	dir, err := os.MkdirTemp(s.tempDir, "film-")
	if err != nil {
		return nil, noSpace(err)
	}
	film, err := s.make(ctx, dir, script, progress)
	if err != nil {
		err = errors.Join(noSpace(err), os.RemoveAll(dir))
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	return film, nil
}

func (s *Studio) make(ctx context.Context, dir string, script Script, progress Progress) (*Film, error) {
	scenes := scenesOf(script)
	count := &counter{total: unitsOf(len(script.Slides)), tell: progress}
	speaking, span := trail.Begin(ctx, "film narrate", attribute.Int("lectern.slides", len(script.Slides)))
	rate, err := s.narrate(speaking, dir, script.Language, scenes, count)
	span.End(err)
	if err != nil {
		return nil, err
	}
	begin := 0
	for _, sc := range scenes {
		sc.plan(rate)
		sc.begin = begin
		begin += sc.total
	}
	shooting, span := trail.Begin(ctx, "film shoot")
	cut, err := s.shoot(shooting, dir, scenes, count)
	span.End(err)
	if err != nil {
		return nil, err
	}
	film := &Film{
		Manifest: manifest(scenes), dir: dir,
		Video: filepath.Join(dir, course.VideoFile), Captions: filepath.Join(dir, course.CaptionsFile),
		Text: filepath.Join(dir, course.TranscriptFile), Poster: filepath.Join(dir, course.PosterFile),
	}
	for _, c := range film.Chapters {
		cut.Chapters = append(cut.Chapters, encode.Chapter{Start: time.Duration(c.Start * float64(time.Second)), Title: c.Title})
	}
	joining, span := trail.Begin(ctx, "film join")
	err = s.join(joining, film.Video, cut)
	span.End(err)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		os.WriteFile(film.Captions, captions(film.Transcript), 0o600),
		os.WriteFile(film.Text, transcript(script, film.Manifest), 0o600),
		s.poster(film.Poster, scenes[0].page))
	if err != nil {
		return nil, err
	}
	count.add("Joining the film")
	return film, nil
}

func scenesOf(script Script) []*scene {
	pages := script.pages()
	scenes := make([]*scene, len(pages))
	for i, page := range pages {
		scenes[i] = &scene{page: page}
		if i > 0 {
			scenes[i].from, scenes[i].slide = &pages[i-1], script.Slides[i-1]
		}
	}
	return scenes
}

// narrate has every sentence spoken and gives the sound's rate.
func (s *Studio) narrate(ctx context.Context, dir, language string, scenes []*scene, count *counter) (int, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	rates := make([]int, len(scenes))
	for i, sc := range scenes {
		group.Go(func() error {
			for _, n := range sc.slide.Narration {
				said, rate, err := s.speak(ctx, dir, language, n.Text)
				if err != nil {
					return err
				}
				if rates[i] != 0 && rate != 0 && rate != rates[i] {
					return fmt.Errorf("the voice changed its rate from %d to %d", rates[i], rate)
				}
				rates[i] = max(rates[i], rate)
				sc.said = append(sc.said, said)
			}
			count.add("Speaking the narration")
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	rate := 0
	for _, r := range rates {
		if rate != 0 && r != 0 && r != rate {
			return 0, fmt.Errorf("the voice changed its rate from %d to %d", rate, r)
		}
		rate = max(rate, r)
	}
	if rate == 0 {
		rate = defaultRate
	}
	return rate, nil
}

// shoot makes the segments, as many at once as there are processors.
func (s *Studio) shoot(ctx context.Context, dir string, scenes []*scene, count *counter) (encode.Cut, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	cut := encode.Cut{Parts: make([]encode.Part, len(scenes))}
	for i, sc := range scenes {
		group.Go(func() error {
			sound, err := s.sound(ctx, dir, sc)
			if err != nil {
				return err
			}
			picture, err := s.picture(ctx, dir, sc)
			if err != nil {
				return err
			}
			cut.Parts[i] = encode.Part{Picture: picture, Sound: sound, Duration: sc.duration()}
			count.add("Drawing and encoding the slides")
			return nil
		})
	}
	return cut, group.Wait()
}

// join puts the film together and looks at what came out, as ffmpeg's word alone is not enough.
func (s *Studio) join(ctx context.Context, dst string, cut encode.Cut) error {
	if err := s.encoder.Join(ctx, dst, cut); err != nil {
		return err
	}
	m, err := s.encoder.Probe(ctx, dst)
	if err != nil {
		return err
	}
	want := cut.Duration()
	if m.Picture != "h264 High" || m.Sound != "aac" || m.Width != deck.Width || m.Height != deck.Height ||
		(m.PictureEnd-want).Abs() > drift || (m.SoundEnd-want).Abs() > drift {
		return fault.New(fault.Internal, "the film of %v came out as %+v", want, m)
	}
	return nil
}

func (s *Studio) poster(dst string, card deck.Page) error {
	layout := s.deck.Set(card)
	defer layout.Close()
	canvas := deck.NewCanvas()
	layout.Draw(canvas, 0, 0)
	f, err := os.Create(dst)
	if err != nil {
		return err
	}
	return errors.Join(jpeg.Encode(f, canvas.RGBA, &jpeg.Options{Quality: 88}), f.Close())
}

// manifest lists chapters and sentences with their times. The title card belongs to the first chapter.
func manifest(scenes []*scene) course.Manifest {
	last := scenes[len(scenes)-1]
	m := course.Manifest{Duration: last.since(last.total).Seconds(), Chapters: []course.Chapter{}, Transcript: []course.Transcript{}}
	for i, sc := range scenes[1:] {
		start := sc.since(0)
		if i == 0 {
			start = 0
		}
		m.Chapters = append(m.Chapters, course.Chapter{Start: start.Seconds(), Title: sc.slide.Title, Slide: sc.slide.ID})
		for _, c := range sc.cues {
			if c.sentence < 0 || sc.said[c.sentence].samples == 0 {
				continue
			}
			m.Transcript = append(m.Transcript, course.Transcript{
				Start: sc.since(c.start).Seconds(), End: sc.since(c.end).Seconds(),
				Text: sc.slide.Narration[c.sentence].Text, Slide: sc.slide.ID, Sentence: c.sentence,
			})
		}
	}
	return m
}

// unitsOf is how many units of work a film is: each slide and the title card are
// spoken and drawn, and all are joined once. The job is told so before the work
// begins, for a total that grows makes its progress run backwards.
func unitsOf(slides int) int { return 2*(slides+1) + 1 }

// counter tells how many units are done.
type counter struct {
	mu          sync.Mutex
	done, total int
	tell        Progress
}

func (c *counter) add(message string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done++
	if c.tell != nil {
		c.tell(c.done, c.total, message)
	}
}

// noSpace gives a full disk its kind.
func noSpace(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fault.Wrap(fault.Unavailable, err, "There is not enough space to make the video.")
	}
	return err
}
