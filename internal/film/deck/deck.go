// Package deck draws the slides of a lesson: a theme, typesetting for every
// script, and pictures that build up point by point.
package deck

import (
	"image"
	"sync"

	"lectern.dev/lectern/internal/course"
)

// The size of every picture, in pixels.
const (
	Width  = 1920
	Height = 1080
)

// Version names the look. It changes with every change of a drawn pixel, since it
// is part of what addresses a stored segment.
const Version = "paper-2"

// Page is what a picture shows.
type Page struct {
	Language string // BCP 47
	Course   string // title of the course
	Lesson   string // title of the lesson
	Number   int    // 1-based place among the lesson's slides; 0: the lesson's title card
	Total    int    // slides in the lesson
	Slide    course.Slide
}

// Deck draws pages. It is safe for concurrent use.
type Deck struct {
	presses sync.Pool
}

// New makes a deck; the fonts are loaded with its first page.
func New() *Deck {
	l := newLibrary()
	return &Deck{presses: sync.Pool{New: func() any { return newPress(l) }}}
}

// Layout is a page whose text is set: what is drawn at the start, and what each point adds.
// It serves one goroutine; Close it after use.
type Layout struct {
	deck  *Deck
	press *press
	steps [][]op
}

// op paints something between the rows y0 and y1.
type op struct {
	y0, y1 float64
	paint  func(dst *image.RGBA)
}

// Set typesets a page.
func (d *Deck) Set(page Page) *Layout {
	p := d.presses.Get().(*press)
	return &Layout{deck: d, press: p, steps: newComposer(p, page).compose()}
}

// Close gives back what the layout borrowed.
func (l *Layout) Close() {
	if l.press != nil {
		l.deck.presses.Put(l.press)
		l.press = nil
	}
}

// Steps is the number of pictures: 0 shows no point, Steps()-1 shows all.
func (l *Layout) Steps() int { return len(l.steps) }

// Canvas is a picture in the making.
type Canvas struct {
	RGBA  *image.RGBA
	YCbCr *image.YCbCr // 4:2:0, BT.709, limited range
}

// NewCanvas makes an empty canvas.
func NewCanvas() *Canvas {
	box := image.Rect(0, 0, Width, Height)
	return &Canvas{RGBA: image.NewRGBA(box), YCbCr: image.NewYCbCr(box, image.YCbCrSubsampleRatio420)}
}

// Draw adds the steps from first to last. Step 0 covers the whole canvas; later ones
// add to what is there, and only the rows that they touch are converted again.
func (l *Layout) Draw(c *Canvas, first, last int) {
	y0, y1 := float64(Height), 0.0
	for _, step := range l.steps[first : last+1] {
		for _, o := range step {
			o.paint(c.RGBA)
			y0, y1 = min(y0, o.y0), max(y1, o.y1)
		}
	}
	top, bottom := max(0, int(y0))&^1, min(Height, int(y1)+2)&^1
	if top < bottom {
		convert(c.YCbCr, c.RGBA, top, bottom)
	}
}
