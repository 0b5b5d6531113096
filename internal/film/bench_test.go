package film_test

import (
	"context"
	"image"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/encode"
	"lectern.dev/lectern/internal/ffmpeg"
	"lectern.dev/lectern/internal/film"
	"lectern.dev/lectern/internal/speech"
)

// BenchmarkRender240s is the lesson that every way of making films is measured
// with: 10 slides of 24 s, 6 pictures each, fades between them. Speech is excluded:
// a hum of the right length stands in.
func BenchmarkRender240s(b *testing.B) {
	need(b, "ffmpeg", "ffprobe")
	script := lesson(10, 5)
	for i := range script.Slides {
		for k := range script.Slides[i].Narration {
			script.Slides[i].Narration[k].Text += string(rune('a'+i)) + string(rune('a'+k))
		}
	}
	for b.Loop() {
		bucket := &blob.Memory{}
		timed := &timedEncoder{Encoder: ffmpeg.Encoder{}}
		s := studio(b, film.Deps{Bucket: bucket, Speaker: hum{}, Encoder: timed})
		own, children, start := cpu(syscall.RUSAGE_SELF), cpu(syscall.RUSAGE_CHILDREN), time.Now()
		f, err := s.Make(b.Context(), script, nil)
		if err != nil {
			b.Fatal(err)
		}
		wall := time.Since(start)
		own, children = cpu(syscall.RUSAGE_SELF)-own, cpu(syscall.RUSAGE_CHILDREN)-children
		b.ReportMetric(f.Duration/wall.Seconds(), "x-realtime")
		b.ReportMetric((own + children).Seconds(), "cpu-s")
		b.ReportMetric(own.Seconds(), "own-cpu-s")
		b.ReportMetric(f.Duration, "film-s")
		b.ReportMetric(time.Duration(timed.picture.Load()).Seconds(), "picture-s")
		b.ReportMetric(time.Duration(timed.drawing.Load()).Seconds(), "drawing-s")
		b.ReportMetric(time.Duration(timed.sound.Load()).Seconds(), "sound-s")
		b.ReportMetric(time.Duration(timed.join.Load()).Seconds(), "join-s")
		b.ReportMetric(rss(), "child-MB")
		f.Close()

		script.Slides[4].Points[2] = course.Point{Text: "One point was changed" + f.Video}
		start = time.Now()
		f, err = s.Make(b.Context(), script, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(100*time.Since(start).Seconds()/wall.Seconds(), "%again")
		f.Close()
	}
}

// hum lasts 4.5 s a sentence.
type hum struct{}

func (hum) Speak(context.Context, speech.Request) (speech.Audio, error) {
	a := speech.Audio{Rate: 22_050, Samples: make([]int16, 22_050*44/10)}
	for i := range a.Samples {
		a.Samples[i] = int16((i*i/64)%8192 - 4096)
	}
	return a, nil
}

func (hum) Voice(string) string { return "hum" }

// timedEncoder measures the time within each step; steps of two slides overlap.
type timedEncoder struct {
	encode.Encoder
	picture, drawing, sound, join atomic.Int64
}

func (e *timedEncoder) Picture(ctx context.Context, dst string, reel encode.Reel) error {
	defer since(&e.picture, time.Now())
	for i, f := range reel.Frames {
		reel.Frames[i].Draw = func() (*image.YCbCr, error) {
			defer since(&e.drawing, time.Now())
			return f.Draw()
		}
	}
	return e.Encoder.Picture(ctx, dst, reel)
}

func (e *timedEncoder) Sound(ctx context.Context, dst string, rate int, samples []int16) error {
	defer since(&e.sound, time.Now())
	return e.Encoder.Sound(ctx, dst, rate, samples)
}

func (e *timedEncoder) Join(ctx context.Context, dst string, cut encode.Cut) error {
	defer since(&e.join, time.Now())
	return e.Encoder.Join(ctx, dst, cut)
}

func since(sum *atomic.Int64, start time.Time) { sum.Add(int64(time.Since(start))) }

// cpu is what this process, or its children, have used.
func cpu(who int) time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(who, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rss is the largest child's memory, in MB.
func rss() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u) != nil {
		return 0
	}
	return float64(u.Maxrss) / 1024
}
