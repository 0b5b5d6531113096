package commission

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Progress shows what goes on: a bar that stays on its line on a terminal, else a
// plain line when the stage or the tenth changes.
type Progress struct {
	out      io.Writer
	terminal bool
	last     string // what was shown
	width    int    // of the bar's line that is on the terminal
}

// NewProgress writes to out.
func NewProgress(out *os.File) *Progress {
	info, err := out.Stat()
	return &Progress{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

const barWidth = 30

// Show is a Show.
func (p *Progress) Show(stage, message string, done, total int64, left *time.Duration) {
	share := 0
	if total > 0 {
		share = int(min(100, 100*done/total))
	}
	if !p.terminal {
		p.plain(stage, message, share)
		return
	}
	filled := barWidth * share / 100
	text := fmt.Sprintf("%-8s [%s%s] %3d %%  %s", stage, strings.Repeat("#", filled), strings.Repeat(".", barWidth-filled), share, shorten(message, 60))
	if left != nil && *left >= time.Second {
		text += fmt.Sprintf("  (%s left)", left.Round(time.Second))
	}
	p.draw(text)
}

// End leaves the bar's line.
func (p *Progress) End() {
	if p.terminal && p.width > 0 {
		_, _ = fmt.Fprintln(p.out)
		p.width = 0
	}
}

func (p *Progress) draw(text string) {
	if text == p.last {
		return
	}
	p.last = text
	width := len([]rune(text))
	_, _ = fmt.Fprintf(p.out, "\r%s%s", text, strings.Repeat(" ", max(0, p.width-width)))
	p.width = width
}

func (p *Progress) plain(stage, message string, share int) {
	key := fmt.Sprintf("%s|%d", stage, share/10)
	if key == p.last {
		return
	}
	p.last = key
	_, _ = fmt.Fprintf(p.out, "%s: %d %% %s\n", stage, share, line(message))
}

func shorten(s string, most int) string {
	runes := []rune(line(s))
	if len(runes) <= most {
		return string(runes)
	}
	return string(runes[:most-1]) + "…"
}
