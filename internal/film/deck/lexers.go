package deck

import (
	"embed"
	"io/fs"

	"github.com/alecthomas/chroma/v2"
)

// The grammars of the languages that lessons show, as chroma has them (MIT). The
// package chroma/lexers would read its 300 grammars whenever the process starts.
//
//go:embed lexers/*.xml
var grammars embed.FS

func newLexers() *chroma.LexerRegistry {
	registry := chroma.NewLexerRegistry()
	registry.Register(chroma.MustNewLexer(&chroma.Config{Name: "Go", Aliases: []string{"go", "golang"}, EnsureNL: true}, goRules))
	files, err := fs.Glob(grammars, "lexers/*.xml")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, f := range files {
		registry.Register(chroma.MustNewXMLLexer(grammars, f)) // embedded and tested
	}
	return registry
}

// goRules is the grammar of Go, which chroma has as code only.
func goRules() chroma.Rules {
	return chroma.Rules{"root": {
		{Pattern: `\s+`, Type: chroma.TextWhitespace},
		{Pattern: `//[^\n]*|/\*(.|\n)*?\*/`, Type: chroma.Comment},
		{Pattern: `(break|case|chan|const|continue|default|defer|else|fallthrough|for|func|go|goto|if|import|interface|map|package|range|return|select|struct|switch|type|var)\b`, Type: chroma.Keyword},
		{Pattern: `(true|false|iota|nil)\b`, Type: chroma.KeywordConstant},
		{Pattern: `(any|bool|byte|comparable|complex64|complex128|error|float32|float64|int|int8|int16|int32|int64|rune|string|uint|uint8|uint16|uint32|uint64|uintptr)\b`, Type: chroma.NameClass},
		{Pattern: "`[^`]*`" + `|"(\\.|[^"\\\n])*"|'(\\.[^']*|[^'\\\n])'`, Type: chroma.LiteralString},
		{Pattern: `(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]+|(\d[\d_]*)?\.\d[\d_]*([eE][+-]?\d+)?|\d[\d_]*\.?([eE][+-]?\d+)?)i?`, Type: chroma.LiteralNumber},
		{Pattern: `[^\W\d]\w*(?=\()`, Type: chroma.NameFunction},
		{Pattern: `[^\W\d]\w*`, Type: chroma.Name},
		{Pattern: `[-+*/%&|^<>=!~:.]+`, Type: chroma.Operator},
		{Pattern: `[()\[\]{},;]`, Type: chroma.Punctuation},
	}}
}
