package deck

import "image/color"

// The theme "paper": dark ink on warm white, the site's green for accents
// and its amber on dark, a dark panel for code.
var (
	paper     = hex(0xfbfaf7)
	ink       = hex(0x14171f)
	soft      = hex(0x667085) // footer, attribution
	hairline  = hex(0xe4e2da)
	accent    = hex(0x0d5c55)
	tint      = hex(0xe6f1ee) // accent, thinned
	white     = hex(0xffffff)
	night     = hex(0x0e1f1d) // title card and code panel
	nightText = hex(0xe8efec)
	nightLine = hex(0x234641)
	glow      = hex(0xf0b34a) // accent on night
)

// Code on night.
var (
	codeKeyword = hex(0xf0b34a)
	codeName    = hex(0x7fd0c3)
	codeString  = hex(0xa6e3a1)
	codeNumber  = hex(0xffb27a)
	codeComment = hex(0x849a95)
)

// The page, in pixels.
const (
	margin     = 128.0
	inner      = Width - 2*margin
	titleTop   = 116.0
	titleRoom  = 190.0
	bodyBottom = 930.0
	footerTop  = 986.0
	barHeight  = 8.0
	pointSize  = 54.0 // points that have the page for themselves
)

func hex(rgb uint32) color.RGBA {
	return color.RGBA{R: uint8(rgb >> 16), G: uint8(rgb >> 8), B: uint8(rgb), A: 0xff}
}
