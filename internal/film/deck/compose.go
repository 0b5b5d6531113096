package deck

import (
	"image"
	"image/color"
	"strconv"
	"strings"

	"lectern.dev/lectern/internal/course"
)

// composer places one page. Its coordinates are those of a page that reads from
// the left; for a script that runs the other way, the page is mirrored.
type composer struct {
	*press
	page Page
	rtl  bool
}

// sheet is part of a page: what is there from the start, and what each point adds.
type sheet struct {
	base   []op
	points [][]op
	height float64
}

// area is a box on the page.
type area struct{ x, y, width, height float64 }

func newComposer(p *press, page Page) *composer {
	title := page.Slide.Title
	if page.Number == 0 {
		title = page.Lesson
	}
	runes := clean(title, false)
	mirrored := rtl(runes)
	switch base, _, _ := strings.Cut(strings.ToLower(page.Language), "-"); base {
	case "ar", "he", "fa", "ur", "yi", "ps", "sd", "dv":
		mirrored = true
	}
	return &composer{press: p, page: page, rtl: mirrored}
}

func (c *composer) compose() [][]op {
	if c.page.Number == 0 {
		return [][]op{c.card()}
	}
	base := append([]op{c.background(paper)}, c.footer()...)
	title, bottom := c.title()
	base = append(base, title...)
	room := area{margin, bottom + 52, inner, bodyBottom - bottom - 52}
	var s *sheet
	switch slide := c.page.Slide; {
	case slide.Kind == course.CodeSlide && slide.Code != nil:
		s = c.code(room, *slide.Code, slide.Points)
	case slide.Kind == course.TableSlide && slide.Table != nil:
		s = c.table(room, *slide.Table, slide.Points)
	case slide.Kind == course.QuoteSlide && slide.Quote != nil:
		s = c.quote(room, *slide.Quote, slide.Points)
	default:
		s = c.points(room, slide.Points, pointSize)
	}
	return append([][]op{append(base, s.base...)}, s.points...)
}

// style gives a style in the page's language.
func (c *composer) style(r role, size, leading float64, ink color.RGBA) style {
	return style{role: r, size: size, leading: leading, ink: ink, lang: c.page.Language}
}

func (c *composer) background(ink color.RGBA) op {
	return op{0, Height, func(dst *image.RGBA) { clear(dst, ink) }}
}

// rect gives a filled rectangle.
func (c *composer) rect(a area, radius float64, ink color.RGBA) op {
	x := c.mirror(a.x, a.width)
	return op{a.y, a.y + a.height, func(dst *image.RGBA) { fill(dst, x, a.y, a.width, a.height, radius, ink) }}
}

// text gives a block that stands at the reading side of a box.
func (c *composer) text(b *block, x, y, width float64) op {
	side := left
	if c.rtl {
		side = right
	}
	return c.aligned(b, x, y, width, side)
}

func (c *composer) aligned(b *block, x, y, width float64, side align) op {
	x = c.mirror(x, width)
	// Marks may reach beyond their line.
	return op{y - b.style.size, y + b.Height + b.style.size, func(dst *image.RGBA) { c.draw(dst, b, x, y, width, side) }}
}

func (c *composer) mirror(x, width float64) float64 {
	if c.rtl {
		return Width - x - width
	}
	return x
}

// card is the lesson's title card.
func (c *composer) card() []op {
	const width = 1480.0
	overline := c.line(c.page.Course, c.style(strong, 40, 1.3, glow), width)
	s := shrink(560, func(scale float64) *sheet {
		b := c.set(c.page.Lesson, c.style(display, 124*scale, 1.12, white), width)
		top := 540 - b.Height/2
		return &sheet{height: b.Height, base: []op{
			c.text(overline, margin+24, top-108, width),
			c.text(b, margin+24, top, width),
			c.rect(area{margin + 24, top + b.Height + 60, 128, 10}, 5, glow),
		}}
	})
	ops := []op{c.background(night)}
	// Rings that reach in from the far corner, as light as the eye just sees.
	for i, radius := range []float64{620, 450, 280} {
		shade := color.RGBA{R: 0x1a + uint8(i)*8, G: 0x1e + uint8(i)*9, B: 0x42 + uint8(i)*17, A: 0xff}
		ops = append(ops, c.rect(area{Width - 60 - radius, Height + 40 - radius, 2 * radius, 2 * radius}, radius, shade))
	}
	return append(ops, s.base...)
}

// title gives the slide's title and where it ends.
func (c *composer) title() ([]op, float64) {
	s := shrink(titleRoom, func(scale float64) *sheet {
		b := c.set(c.page.Slide.Title, c.style(display, 76*scale, 1.14, ink), inner)
		return &sheet{height: b.Height, base: []op{c.text(b, margin, titleTop, inner)}}
	})
	return append(s.base, c.rect(area{margin, titleTop - 36, 72, 8}, 4, accent)), titleTop + s.height
}

// footer names the course and lesson, and shows how far the lesson is.
func (c *composer) footer() []op {
	const size, numberWidth = 26.0, 160.0
	where := c.line(c.page.Course, c.style(strong, size, 1.4, soft), inner*0.42)
	lesson := c.line(c.page.Lesson, c.style(body, size, 1.4, soft), inner*0.46)
	number := c.line(strconv.Itoa(c.page.Number)+" / "+strconv.Itoa(c.page.Total), c.style(body, size, 1.4, soft), numberWidth)
	far := right
	if c.rtl {
		far = left
	}
	part := float64(c.page.Number) / float64(max(1, c.page.Total))
	gap := 0.0
	if where.Width > 0 {
		gap = where.Width + 28
	}
	return []op{
		c.text(where, margin, footerTop, inner*0.42),
		c.text(lesson, margin+gap, footerTop, inner*0.46),
		c.aligned(number, Width-margin-numberWidth, footerTop, numberWidth, far),
		c.rect(area{0, Height - barHeight, Width, barHeight}, 0, hairline),
		c.rect(area{0, Height - barHeight, Width * part, barHeight}, 0, accent),
	}
}

// points lists the points as large as they fit, and spreads them when there is room.
func (c *composer) points(room area, points []course.Point, size float64) *sheet {
	if len(points) == 0 {
		return &sheet{}
	}
	return shrink(room.height, func(scale float64) *sheet {
		st := c.style(body, size*scale, 1.32, ink)
		indent := st.size * 0.95
		blocks := make([]*block, len(points))
		total := 0.0
		for i, p := range points {
			blocks[i] = c.set(p.Text, st, room.width-indent)
			total += blocks[i].Height
		}
		gap := 0.55 * st.size
		if spaces := float64(len(points) - 1); spaces > 0 {
			gap = max(gap, min(1.2*st.size, (room.height-total)/spaces))
		}
		s := &sheet{height: -gap}
		y := room.y
		for _, b := range blocks {
			dot := 0.28 * st.size
			first := st.size * st.leading
			if len(b.lines) > 0 {
				first = 2 * (b.lines[0].baseline - 0.36*st.size) // the bullet stands at half the height of capitals
			}
			s.points = append(s.points, []op{
				c.rect(area{room.x, y + first/2 - dot/2, dot, dot}, dot/3.2, accent),
				c.text(b, room.x+indent, y, room.width-indent),
			})
			y += b.Height + gap
			s.height += b.Height + gap
		}
		return s
	})
}

// quote sets the source's own words apart.
func (c *composer) quote(room area, q course.Quote, points []course.Point) *sheet {
	quoteRoom := room.height
	if len(points) > 0 {
		quoteRoom *= 0.62
	}
	s := shrink(quoteRoom, func(scale float64) *sheet {
		b := c.set(q.Text, c.style(italic, 66*scale, 1.34, ink), room.width-120)
		by := c.set(q.Attribution, c.style(strong, 32*max(scale, 0.5), 1.4, accent), room.width-120)
		y := room.y + 8
		height := b.Height + 32*scale + by.Height
		return &sheet{height: height + 8, base: []op{
			c.rect(area{room.x, y, 10, height}, 5, accent),
			c.text(b, room.x+64, y, room.width-120),
			c.text(by, room.x+64, y+b.Height+32*scale, room.width-120),
		}}
	})
	return c.below(room, s, points)
}

// below adds the points under what is there.
func (c *composer) below(room area, s *sheet, points []course.Point) *sheet {
	top := s.height + 48
	rest := area{room.x, room.y + top, room.width, room.height - top}
	s.points = c.points(rest, points, 42).points
	return s
}
