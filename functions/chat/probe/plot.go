package main

import (
	"fmt"
	"html"
	"math"
	"strings"
	"time"
)

// histogram draws how many times fall into steps that grow by the same factor, since
// what is waited for seldom is waited for much longer than usual.
func histogram(sorted []time.Duration) string {
	const rows, width = 10, 50
	low, high := float64(max(sorted[0], time.Microsecond)), float64(max(sorted[len(sorted)-1], time.Microsecond))
	factor := math.Pow(high/low, 1.0/rows)
	if factor < 1.01 { // all alike
		return fmt.Sprintf("  %10.2f ms  %s %d\n", millis(sorted[0]), strings.Repeat("█", width), len(sorted))
	}
	var counts [rows]int
	for _, d := range sorted {
		row := int(math.Log(max(float64(d), low)/low) / math.Log(factor))
		counts[min(row, rows-1)]++
	}
	most := 0
	for _, n := range counts {
		most = max(most, n)
	}
	var b strings.Builder
	for i, n := range counts {
		from := time.Duration(low * math.Pow(factor, float64(i)))
		bar := strings.Repeat("█", n*width/most)
		if n > 0 && bar == "" {
			bar = "▏"
		}
		fmt.Fprintf(&b, "  %10.2f ms  %s %d\n", millis(from), bar, n)
	}
	return b.String()
}

// picture draws the share of answers that had their first text, and their end, after
// a time.
func picture(r *result) string {
	const w, h, left, bottom, top = 720, 400, 60, 350, 50
	s := r.Speed
	longest := time.Millisecond
	if n := len(s.lasts); n > 0 {
		longest = max(longest, s.lasts[n-1])
	}
	x := func(d time.Duration) float64 { return left + float64(d)/float64(longest)*(w-left-20) }
	y := func(share float64) float64 { return bottom - share*(bottom-top) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", w, h)
	fmt.Fprintf(&b, `<title>How long %d answers took</title>`+"\n"+`<rect width="%d" height="%d" fill="#fff"/>`+"\n", len(s.lasts), w, h)
	fmt.Fprintf(&b, `<text x="%d" y="20" font-size="14">%s: %d answers, %d at a time</text>`+"\n", left, html.EscapeString(r.URL), len(s.lasts), s.Concurrency)
	for _, share := range []float64{0, 0.25, 0.5, 0.75, 1} {
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.0f %%</text>`+"\n", left, y(share), w-20, left-6, y(share)+4, 100*share)
	}
	for i := range 6 {
		at := longest * time.Duration(i) / 5
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%.0f ms</text>`+"\n", x(at), bottom+18, millis(at))
	}
	for i, line := range []struct {
		name, colour string
		times        []time.Duration
	}{{"first text", "#0b6", s.firsts}, {"last event", "#05c", s.lasts}} {
		fmt.Fprintf(&b, `<path d="M%d %.1f`, left, y(0))
		for n, d := range line.times {
			fmt.Fprintf(&b, "H%.1fV%.1f", x(d), y(float64(n+1)/float64(len(line.times))))
		}
		fmt.Fprintf(&b, `H%d" fill="none" stroke="%s" stroke-width="2"/>`+"\n", w-20, line.colour)
		fmt.Fprintf(&b, `<text x="%d" y="38" fill="%s">%s</text>`+"\n", left+90*i, line.colour, line.name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}
