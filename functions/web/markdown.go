package web

import (
	"bytes"
	"html/template"
	"net/url"
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
	target := func(n int) string {
		if n > citations {
			return ""
		}
		return "p" + strconv.Itoa(n)
	}
	return safeHTML(articles, markdown, target)
}

// answerHTML does the same with the tutor's answer, in which [1] is a citation; ids
// are those of what is cited, by number.
func answerHTML(markdown string, ids map[int]string) (template.HTML, error) {
	return safeHTML(answers, markdown, func(n int) string { return ids[n] })
}

// safeHTML makes links of the citations for which target gives an id.
func safeHTML(m goldmark.Markdown, markdown string, target func(int) string) (template.HTML, error) {
	var b bytes.Buffer
	context := parser.NewContext()
	context.Set(citationTarget, target)
	document := m.Parser().Parse(text.NewReader([]byte(markdown)), parser.WithContext(context))
	if err := m.Renderer().Render(&b, []byte(markdown), document); err != nil {
		return "", err
	}
	return template.HTML(policy().SanitizeBytes(b.Bytes())), nil //nolint:gosec // sanitized by the policy below
}

var (
	articles = markdownWith(citationParser{regexp.MustCompile(`^\[\^p([1-9]\d{0,3})\]`)}, headingLevels{3}, articleRenderer{})
	answers  = markdownWith(citationParser{regexp.MustCompile(`^\[([1-9]\d{0,3})\]`)}, headingLevels{4}, articleRenderer{hosts: true})
)

func markdownWith(citations citationParser, headings headingLevels, nodes articleRenderer) goldmark.Markdown {
	return goldmark.New(
		goldmark.WithExtensions(extension.Table, extension.Strikethrough),
		goldmark.WithParserOptions(
			parser.WithInlineParsers(util.Prioritized(citations, 150)), // before links, at 200
			parser.WithASTTransformers(util.Prioritized(headings, 500)),
		),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(nodes, 100))), // before goldmark's own
	)
}

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

// citationTarget is where a parse keeps the id of what a number points to, a
// func(int) string; "": nothing.
var citationTarget = parser.NewContextKey()

// citation is [^p3] in an article, or [3] in an answer.
type citation struct {
	ast.BaseInline
	number int // 1-based
	target string
}

var kindCitation = ast.NewNodeKind("Citation")

func (*citation) Kind() ast.NodeKind              { return kindCitation }
func (c *citation) Dump(source []byte, level int) { ast.DumpHelper(c, source, level, nil, nil) }

// citationParser finds citations, whose number is the form's first group.
type citationParser struct{ form *regexp.Regexp }

func (citationParser) Trigger() []byte { return []byte{'['} }

// Parse takes only citations that have something to point to; others stay text.
func (p citationParser) Parse(_ ast.Node, block text.Reader, context parser.Context) ast.Node {
	line, _ := block.PeekLine()
	found := p.form.FindSubmatch(line)
	if found == nil {
		return nil
	}
	number, _ := strconv.Atoi(string(found[1])) // digits, at most four
	target, _ := context.Get(citationTarget).(func(int) string)
	id := target(number)
	if id == "" {
		return nil
	}
	block.Advance(len(found[0]))
	return &citation{number: number, target: id}
}

// headingLevels makes a text's headings follow the page's: the first is of the level
// top, and none is more than one level below the one before it.
type headingLevels struct{ top int }

func (h headingLevels) Transform(document *ast.Document, _ text.Reader, _ parser.Context) {
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
		heading.Level = min(h.top-1+len(open), 6)
		return ast.WalkSkipChildren, nil
	})
}

// articleRenderer writes what goldmark would write otherwise than we want it.
type articleRenderer struct {
	hosts bool // say behind a link which host it leads to
}

func (a articleRenderer) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(kindCitation, a.citation)
	if a.hosts {
		r.Register(ast.KindLink, a.link)
	}
	r.Register(ast.KindImage, a.image)
	r.Register(ast.KindRawHTML, a.rawHTML)
	r.Register(ast.KindHTMLBlock, a.htmlBlock)
	r.Register(ast.KindCodeBlock, a.code)
	r.Register(ast.KindFencedCodeBlock, a.code)
	r.Register(extensionast.KindTable, a.table)
}

func (articleRenderer) citation(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		c := n.(*citation)
		number := strconv.Itoa(c.number)
		_, _ = w.WriteString(`<sup><a class="cite" aria-label="Source ` + number + `" href="#` + template.HTMLEscapeString(c.target) + `">` + number + `</a></sup>`)
	}
	return ast.WalkContinue, nil
}

// link shows where it leads: an answer may repeat what a source wants readers to
// click, and the words of a link say nothing about that.
func (articleRenderer) link(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	to, err := url.Parse(string(n.(*ast.Link).Destination))
	if err != nil || to.Scheme != "https" && to.Scheme != "http" || to.Host == "" {
		return ast.WalkContinue, nil // its words remain
	}
	if entering {
		_, _ = w.WriteString(`<a href="` + template.HTMLEscapeString(to.String()) + `">`)
	} else {
		_, _ = w.WriteString("</a> (" + template.HTMLEscapeString(to.Host) + ")")
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
