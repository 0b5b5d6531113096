package deck

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/draw"
	_ "image/png" // colour emoji are PNG pictures inside their font
	"math"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/language"
	"github.com/go-text/typesetting/shaping"
	xdraw "golang.org/x/image/draw"
	"golang.org/x/image/vector"
)

// press sets and draws type. It caches faces and glyphs and so serves one goroutine at a time.
type press struct {
	library   *library
	faces     map[*font.Font]*font.Face
	fallbacks map[fallbackKey]*font.Face
	glyphs    map[glyphKey]*glyph
	raster    vector.Rasterizer
	shaper    shaping.HarfbuzzShaper
	segmenter shaping.Segmenter
	wrapper   shaping.LineWrapper
}

type fallbackKey struct {
	r    rune
	lang string
	bold bool
}

// glyphKey addresses a drawn glyph: quarters of a pixel are told apart, so that letters keep their distance.
type glyphKey struct {
	face *font.Face
	id   font.GID
	size int32 // 1/64 pixel
	sub  uint8
}

// glyph is the coverage of a drawn glyph, or its colours when it has its own.
type glyph struct {
	mask   *image.Alpha
	colors *image.RGBA
	origin image.Point // of the picture's corner, from the pen
}

func newPress(l *library) *press {
	return &press{
		library:   l,
		faces:     map[*font.Font]*font.Face{},
		fallbacks: map[fallbackKey]*font.Face{},
		glyphs:    map[glyphKey]*glyph{},
	}
}

func (p *press) face(f *font.Font) *font.Face {
	if p.faces[f] == nil {
		p.faces[f] = font.NewFace(f)
	}
	return p.faces[f]
}

// chooser picks a face for each character: the role's own, else one of the system's.
type chooser struct {
	press  *press
	role   role
	lang   string
	script language.Script
	last   *font.Face
}

func (c *chooser) SetScript(s language.Script) { c.script = s }

// ResolveFace implements shaping.Fontmap. A character that no font has is drawn with
// the role's own face, as its "missing" box.
func (c *chooser) ResolveFace(r rune) *font.Face {
	own := c.press.face(c.press.library.own()[c.role])
	// What joins or varies its neighbours stays in the face of the one before.
	if joins(r) && c.last != nil {
		return c.last
	}
	if _, ok := own.NominalGlyph(r); ok {
		c.last = own
		return own
	}
	c.last = cmp.Or(c.fallback(r), own)
	return c.last
}

// has tells whether any font has the character.
func (c *chooser) has(r rune) bool {
	_, ok := c.press.library.own()[c.role].NominalGlyph(r)
	return ok || c.fallback(r) != nil
}

func (c *chooser) fallback(r rune) *font.Face {
	key := fallbackKey{r, c.lang, c.role.bold()}
	face, ok := c.press.fallbacks[key]
	if !ok {
		face = c.press.find(r, c.script, c.lang, c.role.bold())
		c.press.fallbacks[key] = face
	}
	return face
}

// joins tells whether r is a zero-width joiner, non-joiner, or variation selector.
func joins(r rune) bool {
	return r == 0x200c || r == 0x200d || (r >= 0xfe00 && r <= 0xfe0f) || (r >= 0xe0100 && r <= 0xe01ef)
}

func (p *press) find(r rune, script language.Script, lang string, bold bool) *font.Face {
	if s := language.LookupScript(r); s.Strong() {
		script = s
	}
	for _, c := range candidates(script, lang, bold) {
		fonts := p.library.load(c.file)
		if c.index >= len(fonts) {
			continue
		}
		if _, ok := fonts[c.index].NominalGlyph(r); ok {
			return p.face(fonts[c.index])
		}
	}
	return nil
}

// drawGlyph paints a glyph with its pen at (x, y), in pixels.
func (p *press) drawGlyph(dst *image.RGBA, face *font.Face, id font.GID, size float64, x, y float64, ink color.RGBA) {
	whole := math.Floor(x)
	sub := uint8((x - whole) * 4)
	key := glyphKey{face, id, int32(size * 64), sub}
	g, ok := p.glyphs[key]
	if !ok {
		g = p.drawn(face, id, size, float64(sub)/4)
		p.glyphs[key] = g
	}
	at := g.origin.Add(image.Pt(int(whole), int(math.Round(y))))
	switch {
	case g.mask != nil:
		draw.DrawMask(dst, g.mask.Rect.Add(at), image.NewUniform(ink), image.Point{}, g.mask, image.Point{}, draw.Over)
	case g.colors != nil:
		draw.Draw(dst, g.colors.Rect.Add(at), g.colors, image.Point{}, draw.Over)
	}
}

func (p *press) drawn(face *font.Face, id font.GID, size, dx float64) *glyph {
	scale := float32(size) / float32(face.Upem())
	switch data := face.GlyphData(id).(type) {
	case font.GlyphOutline:
		return p.outline(data, scale, float32(dx))
	case font.GlyphSVG:
		return p.outline(data.Outline, scale, float32(dx))
	case font.GlyphBitmap:
		if g := bitmap(face, id, data, scale); g != nil {
			return g
		}
		if data.Outline != nil {
			return p.outline(*data.Outline, scale, float32(dx))
		}
	case font.GlyphColor:
		if outline, ok := face.GlyphDataOutline(id); ok {
			return p.outline(outline, scale, float32(dx))
		}
	}
	return &glyph{}
}

func (p *press) outline(o font.GlyphOutline, scale, dx float32) *glyph {
	minX, minY := float32(math.Inf(1)), float32(math.Inf(1))
	maxX, maxY := float32(math.Inf(-1)), float32(math.Inf(-1))
	for _, s := range o.Segments {
		for _, a := range s.ArgsSlice() {
			x, y := a.X*scale+dx, -a.Y*scale
			minX, maxX, minY, maxY = min(minX, x), max(maxX, x), min(minY, y), max(maxY, y)
		}
	}
	left, top := int(math.Floor(float64(minX))), int(math.Floor(float64(minY)))
	width, height := int(math.Ceil(float64(maxX)))-left, int(math.Ceil(float64(maxY)))-top
	if len(o.Segments) == 0 || width <= 0 || height <= 0 || width > Width || height > Height {
		return &glyph{}
	}
	at := func(a opentype.SegmentPoint) (float32, float32) {
		return a.X*scale + dx - float32(left), -a.Y*scale - float32(top)
	}
	p.raster.Reset(width, height)
	for _, s := range o.Segments {
		x0, y0 := at(s.Args[0])
		switch s.Op {
		case opentype.SegmentOpMoveTo:
			p.raster.ClosePath()
			p.raster.MoveTo(x0, y0)
		case opentype.SegmentOpLineTo:
			p.raster.LineTo(x0, y0)
		case opentype.SegmentOpQuadTo:
			x1, y1 := at(s.Args[1])
			p.raster.QuadTo(x0, y0, x1, y1)
		case opentype.SegmentOpCubeTo:
			x1, y1 := at(s.Args[1])
			x2, y2 := at(s.Args[2])
			p.raster.CubeTo(x0, y0, x1, y1, x2, y2)
		}
	}
	p.raster.ClosePath()
	mask := image.NewAlpha(image.Rect(0, 0, width, height))
	p.raster.Draw(mask, mask.Rect, image.Opaque, image.Point{})
	return &glyph{mask: mask, origin: image.Pt(left, top)}
}

// bitmap scales a PNG glyph to the size; nil when it is none.
func bitmap(face *font.Face, id font.GID, data font.GlyphBitmap, scale float32) *glyph {
	if data.Format != font.PNG {
		return nil
	}
	src, _, err := image.Decode(bytes.NewReader(data.Data))
	if err != nil {
		return nil
	}
	extents, ok := face.GlyphExtents(id)
	if !ok {
		return nil
	}
	width, height := int(extents.Width*scale), int(-extents.Height*scale)
	if width <= 0 || height <= 0 || width > Width || height > Height {
		return nil
	}
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	xdraw.CatmullRom.Scale(img, img.Rect, src, src.Bounds(), draw.Src, nil)
	return &glyph{colors: img, origin: image.Pt(int(extents.XBearing*scale), int(-extents.YBearing*scale))}
}
