package conversation

// codeState follows whether a place in Markdown is code.
type codeState struct {
	begun  bool // the line has more than spaces and marks
	run    int  // marks in a row just now, and which
	mark   byte
	fence  byte // of the listing that is open; 0: none
	length int  // of its marks
	span   int  // marks that opened a code span; 0: none
}

func (c *codeState) listing() bool { c.settle(); return c.fence != 0 }
func (c *codeState) inline() bool  { c.settle(); return c.span != 0 }

func (c *codeState) see(text string) {
	for i := range len(text) {
		b := text[i]
		if b == '`' || b == '~' && !c.begun {
			if c.run > 0 && c.mark != b {
				c.settle()
			}
			c.mark, c.run = b, c.run+1
			continue
		}
		c.settle()
		switch {
		case b == '\n':
			if !c.begun {
				c.span = 0 // a blank line ends a paragraph, and what is open in it
			}
			c.begun = false
		case b != ' ' && b != '\t' && b != '\r':
			c.begun = true
		}
	}
}

// settle says what the marks in a row were.
func (c *codeState) settle() {
	run := c.run
	c.run = 0
	switch {
	case run == 0:
		return
	case c.fence != 0:
		if !c.begun && c.mark == c.fence && run >= c.length {
			c.fence = 0
		}
	case run >= 3 && !c.begun:
		c.fence, c.length, c.span = c.mark, run, 0
	case c.mark != '`':
	case c.span == 0:
		c.span = run
	case c.span == run:
		c.span = 0
	}
	c.begun = true
}
