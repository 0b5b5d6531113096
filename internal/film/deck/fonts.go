package deck

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/alecthomas/chroma/v2"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/language"
)

// The embedded faces: Inter Display (SIL OFL 1.1) and JetBrains Mono (Apache 2.0); see the licences beside them.
//
//go:embed fonts
var embedded embed.FS

// role is what a face is used for.
type role int

const (
	body role = iota
	strong
	display
	italic
	mono
	roles
)

var roleFiles = [roles]string{
	body:    "fonts/InterDisplay-Regular.otf",
	strong:  "fonts/InterDisplay-SemiBold.otf",
	display: "fonts/InterDisplay-Bold.otf",
	italic:  "fonts/InterDisplay-Italic.otf",
	mono:    "fonts/JetBrainsMono-Regular.ttf",
}

// bold tells which weight stands in when the embedded face lacks a character.
func (r role) bold() bool { return r == strong || r == display }

// library holds parsed fonts. Fonts are shared; faces, which cache, are not (see press).
type library struct {
	own    func() [roles]*font.Font
	lexers func() *chroma.LexerRegistry // for code

	once   sync.Once
	system map[string]string // file name → path, of the fonts that the machine has

	mu     sync.Mutex
	loaded map[string][]*font.Font // by path; nil for a file that is no font
}

func newLibrary() *library {
	return &library{
		own: sync.OnceValue(parseOwn), lexers: sync.OnceValue(newLexers),
		loaded: map[string][]*font.Font{},
	}
}

// parseOwn parses the embedded faces, at the first slide and not at every start.
func parseOwn() (own [roles]*font.Font) {
	for r, name := range roleFiles {
		b, err := embedded.ReadFile(name)
		if err != nil {
			panic(err) // it was there when this program was built
		}
		face, err := font.ParseTTF(bytes.NewReader(b))
		if err != nil {
			panic(fmt.Errorf("%s: %w", name, err))
		}
		own[r] = face.Font
	}
	return own
}

// fontFolders are where systems keep their fonts.
var fontFolders = []string{"/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "/System/Library/Fonts"}

func (l *library) path(name string) string {
	l.once.Do(func() {
		l.system = map[string]string{}
		for _, folder := range fontFolders {
			// A folder that is missing or closed to us has no fonts for us.
			_ = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					l.system[d.Name()] = path
				}
				return nil
			})
		}
	})
	return l.system[name]
}

// load gives the fonts of a file of the system, or nil when there is none of that name.
func (l *library) load(name string) []*font.Font {
	path := l.path(name)
	if path == "" {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if fonts, ok := l.loaded[path]; ok {
		return fonts
	}
	l.loaded[path] = nil
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	faces, err := font.ParseTTC(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	for _, f := range faces {
		l.loaded[path] = append(l.loaded[path], f.Font)
	}
	return l.loaded[path]
}

// candidate is a font of the system that may have a character: a file, and the font's index in it.
type candidate struct {
	file  string
	index int
}

// candidates lists Debian's Noto and DejaVu files for a script, best first.
func candidates(script language.Script, lang string, bold bool) []candidate {
	weight := "Regular"
	if bold {
		weight = "Bold"
	}
	var list []candidate
	add := func(family string) {
		list = append(list, candidate{family + "-" + weight + ".ttf", 0})
		if bold {
			list = append(list, candidate{family + "-Regular.ttf", 0})
		}
	}
	switch script {
	case language.Han, language.Hiragana, language.Katakana, language.Hangul, language.Bopomofo:
		// Han is drawn as the language writes it; the collection holds JP, KR, SC, TC, HK in this order.
		list = append(list, candidate{"NotoSansCJK-" + weight + ".ttc", hanIndex(script, lang)})
	case language.Common, language.Inherited, language.Latin, language.Greek, language.Cyrillic:
	default:
		if name := scriptNames[script]; name != "" {
			add("NotoSans" + name)
			add("NotoSerif" + name)
		}
	}
	for _, family := range []string{"NotoSans", "NotoSansSymbols", "NotoSansSymbols2", "NotoSansMath"} {
		add(family)
	}
	list = append(list, candidate{"NotoColorEmoji.ttf", 0}, candidate{"DejaVuSans.ttf", 0},
		candidate{"NotoSansCJK-" + weight + ".ttc", hanIndex(script, lang)})
	return list
}

func hanIndex(script language.Script, lang string) int {
	lang = strings.ToLower(lang)
	switch {
	case script == language.Hiragana || script == language.Katakana || strings.HasPrefix(lang, "ja"):
		return 0
	case script == language.Hangul || strings.HasPrefix(lang, "ko"):
		return 1
	case strings.HasPrefix(lang, "zh-hant") || strings.HasPrefix(lang, "zh-tw"):
		return 3
	case strings.HasPrefix(lang, "zh-hk"):
		return 4
	default:
		return 2
	}
}

// scriptNames are the scripts as Noto's files name them.
var scriptNames = map[language.Script]string{
	language.Arabic: "Arabic", language.Armenian: "Armenian", language.Bengali: "Bengali",
	language.Cherokee: "Cherokee", language.Devanagari: "Devanagari", language.Ethiopic: "Ethiopic",
	language.Georgian: "Georgian", language.Gujarati: "Gujarati", language.Gurmukhi: "Gurmukhi",
	language.Hebrew: "Hebrew", language.Kannada: "Kannada", language.Khmer: "Khmer", language.Lao: "Lao",
	language.Malayalam: "Malayalam", language.Mongolian: "Mongolian", language.Myanmar: "Myanmar",
	language.Oriya: "Oriya", language.Sinhala: "Sinhala", language.Syriac: "Syriac", language.Tamil: "Tamil",
	language.Telugu: "Telugu", language.Thaana: "Thaana", language.Thai: "Thai", language.Tibetan: "Tibetan",
	language.Tifinagh: "Tifinagh", language.Yi: "Yi", language.Nko: "NKo", language.Javanese: "Javanese",
	language.Balinese: "Balinese", language.Runic: "Runic", language.Ogham: "Ogham", language.Gothic: "Gothic",
	language.Coptic: "Coptic", language.Canadian_Aboriginal: "CanadianAboriginal",
}
