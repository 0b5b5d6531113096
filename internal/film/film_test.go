package film_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/espeak"
	"lectern.dev/lectern/internal/ffmpeg"
	"lectern.dev/lectern/internal/film"
)

// The main path on the real programs.
func TestMakeForReal(t *testing.T) {
	t.Parallel()
	need(t, "ffmpeg", "ffprobe", "espeak-ng")
	s := studio(t, film.Deps{Bucket: &blob.Memory{}, Speaker: espeak.Speaker{}, Encoder: ffmpeg.Encoder{}})
	start := time.Now()
	f, err := s.Make(t.Context(), lesson(3, 3), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(time.Since(start), f.Duration)
	if os.Getenv("KEEP") != "" {
		exec.Command("cp", f.Video, f.Captions, f.Text, f.Poster, "/tmp/filmwork/").Run()
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func studio(t testing.TB, d film.Deps) *film.Studio {
	t.Helper()
	if d.TempDir == "" {
		d.TempDir = t.TempDir()
	}
	s, err := film.New(d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// lesson writes a lesson of some slides, each with some points and a sentence for each.
func lesson(slides, points int) film.Script {
	s := film.Script{Language: "en", CourseTitle: "Debian for Beginners", LessonTitle: "Packages: how software arrives"}
	for i := range slides {
		slide := course.Slide{ID: fmt.Sprintf("sld_%d", i), Kind: course.PointsSlide, Title: fmt.Sprintf("Part %d: what a package holds", i+1)}
		for p := range points {
			slide.Points = append(slide.Points, course.Point{Text: fmt.Sprintf("Point %d of slide %d says something that fills about a line", p+1, i+1)})
			slide.Narration = append(slide.Narration, course.Sentence{
				Text:    fmt.Sprintf("This is sentence number %d of slide %d, and it explains the point at some length.", p+1, i+1),
				Reveals: p + 1,
			})
		}
		s.Slides = append(s.Slides, slide)
	}
	return s
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
