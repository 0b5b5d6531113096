package deck

import (
	"encoding/binary"
	"image"
	"image/color"
	"image/draw"

	"golang.org/x/image/vector"
)

// fill paints a rectangle; corners are rounded by radius pixels.
func fill(dst *image.RGBA, x, y, width, height, radius float64, ink color.RGBA) {
	const bend = 0.5522847498 // a quarter circle as a Bézier curve
	r := min(radius, width/2, height/2)
	left, top := int(x), int(y)
	box := image.Rect(left, top, int(x+width)+1, int(y+height)+1)
	raster := vector.NewRasterizer(box.Dx(), box.Dy())
	x0, y0 := float32(x-float64(left)), float32(y-float64(top))
	x1, y1 := x0+float32(width), y0+float32(height)
	q, k := float32(r), float32(r*(1-bend))
	raster.MoveTo(x0+q, y0)
	raster.LineTo(x1-q, y0)
	raster.CubeTo(x1-k, y0, x1, y0+k, x1, y0+q)
	raster.LineTo(x1, y1-q)
	raster.CubeTo(x1, y1-k, x1-k, y1, x1-q, y1)
	raster.LineTo(x0+q, y1)
	raster.CubeTo(x0+k, y1, x0, y1-k, x0, y1-q)
	raster.LineTo(x0, y0+q)
	raster.CubeTo(x0, y0+k, x0+k, y0, x0+q, y0)
	raster.ClosePath()
	mask := image.NewAlpha(image.Rect(0, 0, box.Dx(), box.Dy()))
	raster.Draw(mask, mask.Rect, image.Opaque, image.Point{})
	draw.DrawMask(dst, box, image.NewUniform(ink), image.Point{}, mask, image.Point{}, draw.Over) // clips, which raster does not
}

func clear(dst *image.RGBA, ink color.RGBA) {
	draw.Draw(dst, dst.Rect, image.NewUniform(ink), image.Point{}, draw.Src)
}

// convert writes the rows from y0 to y1 of src as 4:2:0 BT.709 in limited range,
// which is what players expect of HD video. Rows begin and end at even numbers.
// The race detector would look at every one of two million pixels for half a second.
//
//go:norace
func convert(dst *image.YCbCr, src *image.RGBA, y0, y1 int) {
	// ITU-R BT.709 in 16-bit fixed point: Kr = 0.2126, Kb = 0.0722, luma 16–235, chroma 16–240.
	const (
		yr, yg, yb = 11966, 40254, 4064
		ur, ug, ub = -6596, -22189, 28784
		vr, vg, vb = 28784, -26145, -2639
	)
	w := src.Rect.Dx()
	for y := y0; y < y1; y += 2 {
		top, bottom := src.Pix[y*src.Stride:][:4*w], src.Pix[(y+1)*src.Stride:][:4*w]
		lumaTop, lumaBottom := dst.Y[y*dst.YStride:][:w], dst.Y[(y+1)*dst.YStride:][:w]
		cb, cr := dst.Cb[y/2*dst.CStride:][:w/2], dst.Cr[y/2*dst.CStride:][:w/2]
		for x := 0; x < w; x += 2 {
			var r, g, b int32
			for i, row := range [2][]byte{top, bottom} {
				p := row[4*x:][:8]
				r0, g0, b0, r1, g1, b1 := int32(p[0]), int32(p[1]), int32(p[2]), int32(p[4]), int32(p[5]), int32(p[6])
				first := uint8((yr*r0 + yg*g0 + yb*b0 + 16<<16 + 1<<15) >> 16)
				second := uint8((yr*r1 + yg*g1 + yb*b1 + 16<<16 + 1<<15) >> 16)
				if i == 0 {
					lumaTop[x], lumaTop[x+1] = first, second
				} else {
					lumaBottom[x], lumaBottom[x+1] = first, second
				}
				r, g, b = r+r0+r1, g+g0+g1, b+b0+b1
			}
			cb[x/2] = uint8((ur*r + ug*g + ub*b + 128<<18 + 1<<17) >> 18)
			cr[x/2] = uint8((vr*r + vg*g + vb*b + 128<<18 + 1<<17) >> 18)
		}
	}
}

// Blend writes the picture that is part/whole of the way from one picture to the next.
func Blend(dst, from, to *image.YCbCr, part, whole int) {
	weight := uint64(part<<8) / uint64(whole)
	mix(dst.Y, from.Y, to.Y, weight)
	mix(dst.Cb, from.Cb, to.Cb, weight)
	mix(dst.Cr, from.Cr, to.Cr, weight)
}

// mix works on eight bytes at a time: the even and the odd ones, each with room for its product.
//
//go:norace
func mix(dst, from, to []byte, weight uint64) {
	const even, half = 0x00ff00ff00ff00ff, 0x0080008000800080
	from, to = from[:len(dst)], to[:len(dst)]
	rest := 256 - weight
	for len(dst) >= 8 {
		a, b := binary.LittleEndian.Uint64(from), binary.LittleEndian.Uint64(to)
		low := (a&even*rest + b&even*weight + half) >> 8 & even
		high := (a>>8&even*rest + b>>8&even*weight + half) &^ even
		binary.LittleEndian.PutUint64(dst, low|high)
		dst, from, to = dst[8:], from[8:], to[8:]
	}
	for i := range dst {
		dst[i] = uint8((uint64(from[i])*rest + uint64(to[i])*weight + 128) >> 8)
	}
}
