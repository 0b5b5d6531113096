package web

import (
	"bytes"
	"html/template"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extensionast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// articleHTML turns a lesson's article into HTML that is safe whoever wrote it.
// [^p1] … [^pN], N = citations, become links to the evidence below the article.
// Raw HTML is shown as the text it is; images are shown as their description,
// because fetching one would tell another host who reads.
func articleHTML(markdown string, citations int) (template.HTML, error) {
	var b bytes.Buffer
	document := articles.Parser().Parse(text.NewReader([]byte(markdown)), parser.WithContext(withCitations(citations)))
	if err := articles.Renderer().Render(&b, []byte(markdown), document); err != nil {
		return "", err
	}
	return template.HTML(policy().SanitizeBytes(b.Bytes())), nil //nolint:gosec // sanitized by the policy below
}

var articles = goldmark.New(
	goldmark.WithExtensions(extension.Table, extension.Strikethrough),
	goldmark.WithParserOptions(
		parser.WithInlineParsers(util.Prioritized(citationParser{}, 150)), // before links, at 200
		parser.WithASTTransformers(util.Prioritized(headingLevels{}, 500)),
	),
	goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(articleRenderer{}, 100))), // before goldmark's own
)

// policy is the second lock behind goldmark, which renders no raw HTML anyway.
var policy = sync.OnceValue(func() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "h3", "h4", "h5", "h6", "ul", "ol", "li", "strong", "em", "del", "code", "pre", "blockquote", "hr", "br",
		"table", "thead", "tbody", "tr", "th", "td", "sup", "div")
	p.AllowAttrs("start").Matching(regexp.MustCompile(`^\d{1,9}$`)).OnElements("ol")
	p.AllowAttrs("href").OnElements("a")
	p.AllowAttrs("class").Matching(regexp.MustCompile(`^(cite|scroll)$`)).OnElements("a", "div")
	p.AllowAttrs("aria-label").Matching(regexp.MustCompile(`^(Source \d+|Table|Code)$`)).OnElements("a", "div", "pre")
	p.AllowAttrs("role").Matching(regexp.MustCompile(`^group$`)).OnElements("div", "pre")
	p.AllowAttrs("tabindex").Matching(regexp.MustCompile(`^0$`)).OnElements("div", "pre")
	p.AllowURLSchemes("http", "https")
	p.AllowRelativeURLs(true)
	p.RequireParseableURLs(true)
	p.RequireNoFollowOnLinks(true)
	p.AddTargetBlankToFullyQualifiedLinks(true) // with rel=noopener
	p.RequireNoReferrerOnFullyQualifiedLinks(true)
	return p
})

// citationCount is where a parse keeps how many citations there are.
var citationCount = parser.NewContextKey()

func withCitations(n int) parser.Context {
	c := parser.NewContext()
	c.Set(citationCount, n)
	return c
}

// citation is [^p3] in an article.
type citation struct {
	ast.BaseInline
	number int // 1-based
}

var kindCitation = ast.NewNodeKind("Citation")

func (*citation) Kind() ast.NodeKind              { return kindCitation }
func (c *citation) Dump(source []byte, level int) { ast.DumpHelper(c, source, level, nil, nil) }

type citationParser struct{}

func (citationParser) Trigger() []byte { return []byte{'['} }

var citationForm = regexp.MustCompile(`^\[\^p([1-9]\d{0,3})\]`)

// Parse takes only citations that have something to point to; others stay text.
func (citationParser) Parse(_ ast.Node, block text.Reader, context parser.Context) ast.Node {
	line, _ := block.PeekLine()
	found := citationForm.FindSubmatch(line)
	if found == nil {
		return nil
	}
	number, _ := strconv.Atoi(string(found[1])) // digits, at most four
	if known, _ := context.Get(citationCount).(int); number > known {
		return nil
	}
	block.Advance(len(found[0]))
	return &citation{number: number}
}

// headingLevels makes an article's headings follow the page's: the first is an
// h3, and none is more than one level below the one before it.
type headingLevels struct{}

func (headingLevels) Transform(document *ast.Document, _ text.Reader, _ parser.Context) {
	var open []int // the article's own levels from the top to the present heading
	_ = ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		heading, ok := n.(*ast.Heading)
		if !ok || !entering {
			return ast.WalkContinue, nil
		}
		for len(open) > 0 && open[len(open)-1] >= heading.Level {
			open = open[:len(open)-1]
		}
		open = append(open, heading.Level)
		heading.Level = min(2+len(open), 6)
		return ast.WalkSkipChildren, nil
	})
}

// articleRenderer writes what goldmark would write otherwise than we want it.
type articleRenderer struct{}

func (a articleRenderer) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(kindCitation, a.citation)
	r.Register(ast.KindImage, a.image)
	r.Register(ast.KindRawHTML, a.rawHTML)
	r.Register(ast.KindHTMLBlock, a.htmlBlock)
	r.Register(ast.KindCodeBlock, a.code)
	r.Register(ast.KindFencedCodeBlock, a.code)
	r.Register(extensionast.KindTable, a.table)
}

func (articleRenderer) citation(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		number := strconv.Itoa(n.(*citation).number)
		_, _ = w.WriteString(`<sup><a class="cite" aria-label="Source ` + number + `" href="#p` + number + `">` + number + `</a></sup>`)
	}
	return ast.WalkContinue, nil
}

// image leaves the description, which stands in its children.
func (articleRenderer) image(util.BufWriter, []byte, ast.Node, bool) (ast.WalkStatus, error) {
	return ast.WalkContinue, nil
}

func (articleRenderer) rawHTML(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		escape(w, n.(*ast.RawHTML).Segments.Value(source))
	}
	return ast.WalkSkipChildren, nil
}

func (articleRenderer) htmlBlock(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		block := n.(*ast.HTMLBlock)
		_, _ = w.WriteString("<p>")
		escape(w, block.Lines().Value(source))
		if block.HasClosure() {
			escape(w, block.ClosureLine.Value(source))
		}
		_, _ = w.WriteString("</p>\n")
	}
	return ast.WalkSkipChildren, nil
}

// code can be scrolled sideways, so it can be focused with the keyboard.
func (articleRenderer) code(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		_, _ = w.WriteString(`<pre tabindex="0" role="group" aria-label="Code"><code>`)
		escape(w, n.Lines().Value(source))
		_, _ = w.WriteString("</code></pre>\n")
	}
	return ast.WalkSkipChildren, nil
}

func (articleRenderer) table(w util.BufWriter, _ []byte, _ ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		_, _ = w.WriteString(`<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>`)
	} else {
		_, _ = w.WriteString("</table></div>\n")
	}
	return ast.WalkContinue, nil
}

func escape(w util.BufWriter, raw []byte) {
	_, _ = w.WriteString(template.HTMLEscapeString(strings.TrimRight(string(raw), "\n")))
}
