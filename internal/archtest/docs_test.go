package archtest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What documents tell an operator to run, set or read is there.
func TestDocumentsNameWhatIsThere(t *testing.T) {
	t.Parallel()
	found, seen := missing(t, root)
	for _, wrong := range found {
		t.Error(wrong)
	}
	for _, kind := range []string{"script", "target", "variable", "output", "resource", "link"} {
		if seen[kind] == 0 {
			t.Errorf("no document names a %s: the test reads nothing", kind)
		}
	}
}

var (
	fenced      = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```")
	quoted      = regexp.MustCompile("`[^`\n]+`")
	namedScript = regexp.MustCompile(`\bscripts/[a-z_-]+\.[a-z]+`)
	target      = regexp.MustCompile(`(?:^|[\s;&|])make ([a-z][a-z-]*)`)
	output      = regexp.MustCompile(`\boutput (?:-(?:raw|json) )?([a-z_]+)`)
	given       = regexp.MustCompile(`-var[ =]'?([a-z_]+)=`)
	assigned    = regexp.MustCompile(`(?m)^(?:# terraform.tfvars: )?([a-z_]+) *=[^=]`)
	inside      = regexp.MustCompile(`[{,]\s*([a-z_]+) *=`)
	dotted      = regexp.MustCompile("`(?:var\\.)?([a-z_]+)\\.([a-z_]+)`")
	resource    = regexp.MustCompile(`\bgoogle_[a-z0-9_]+\.[a-z_]+`)
	link        = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading     = regexp.MustCompile(`(?m)^#+ (.+)$`)
	noAnchor    = regexp.MustCompile(`[^a-z0-9 -]`)
	namedBlock  = regexp.MustCompile(`(?m)^(variable|output|resource) "([a-z0-9_]+)"(?: "([a-z0-9_]+)")? \{$`)
	makesThis   = regexp.MustCompile(`(?m)^([a-z-]+):`)
)

// missing lists what documents name and nobody has, and counts what they name.
func missing(t *testing.T, root string) (found []string, seen map[string]int) {
	t.Helper()
	has := map[string]string{} // "variable x", "output x", "resource t.n", "target x" → the text of a variable
	tf, err := filepath.Glob(filepath.Join(root, "terraform", "*.tf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range tf {
		text := read(t, name)
		for _, m := range namedBlock.FindAllStringSubmatchIndex(text, -1) {
			kind, name := text[m[2]:m[3]], text[m[4]:m[5]]
			if m[6] >= 0 {
				name += "." + text[m[6]:m[7]]
			}
			body, _, _ := strings.Cut(text[m[1]:], "\n}\n")
			has[kind+" "+name] = body
		}
	}
	for _, m := range makesThis.FindAllStringSubmatch(read(t, filepath.Join(root, "Makefile")), -1) {
		has["target "+m[1]] = "yes"
	}
	seen = map[string]int{}
	for _, name := range documents(t, root) {
		d := document{root: root, name: name, text: read(t, filepath.Join(root, name)), has: has, seen: seen}
		found = append(found, d.check(t)...)
	}
	slices.Sort(found)
	return slices.Compact(found), seen
}

// documents are the README and all that is written in docs, but for the table of settings,
// which is made from the settings.
func documents(t *testing.T, root string) []string {
	t.Helper()
	all := []string{"README.md"}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(name string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".md") && entry.Name() != "settings.md" {
			name, err = filepath.Rel(root, name)
			all = append(all, name)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return all
}

type document struct {
	root, name, text string
	has              map[string]string
	seen             map[string]int
	wrong            []string
}

func (d *document) check(t *testing.T) []string {
	t.Helper()
	code := ""
	for _, block := range fenced.FindAllStringSubmatch(d.text, -1) {
		code += block[2]
		if block[1] == "hcl" {
			d.assignments(block[2])
		}
	}
	prose := fenced.ReplaceAllString(d.text, "")
	for _, span := range quoted.FindAllString(prose, -1) {
		code += strings.Trim(span, "`") + "\n"
		if value := strings.Trim(span, "`"); inside.MatchString(value) && assigned.MatchString(value) {
			d.assignments(value)
		}
	}
	for _, m := range namedScript.FindAllString(d.text, -1) {
		d.seen["script"]++
		if _, err := os.Stat(filepath.Join(d.root, m)); err != nil {
			d.miss("the script", m)
		}
	}
	for _, m := range target.FindAllStringSubmatch(code, -1) {
		d.want("target", m[1])
	}
	for _, line := range strings.Split(code, "\n") {
		if strings.Contains(line, "# terraform.tfvars: ") {
			d.assignments(line)
		}
		if !strings.Contains(line, "terraform") {
			continue
		}
		for _, m := range output.FindAllStringSubmatch(line, -1) {
			d.want("output", m[1])
		}
		for _, m := range given.FindAllStringSubmatch(line, -1) {
			d.want("variable", m[1])
		}
	}
	for _, m := range dotted.FindAllStringSubmatch(prose, -1) {
		if body, ok := d.has["variable "+m[1]]; ok {
			d.field(m[1], m[2], body)
		}
	}
	for _, m := range resource.FindAllString(code, -1) {
		d.want("resource", m)
	}
	for _, m := range link.FindAllStringSubmatch(prose, -1) {
		d.follow(t, m[1])
	}
	return d.wrong
}

func (d *document) miss(kind, name string) {
	d.wrong = append(d.wrong, fmt.Sprintf("%s names %s %s, which is not there", d.name, kind, name))
}

func (d *document) want(kind, name string) {
	d.seen[kind]++
	if _, ok := d.has[kind+" "+name]; !ok {
		d.miss("the "+kind, name)
	}
}

// assignments are lines of terraform.tfvars: variables, and the fields of those that are objects.
func (d *document) assignments(text string) {
	for _, line := range strings.Split(text, "\n") {
		m := assigned.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		d.want("variable", m[1])
		body := d.has["variable "+m[1]]
		for _, field := range inside.FindAllStringSubmatch(line, -1) {
			d.field(m[1], field[1], body)
		}
	}
}

// field is one of a variable that is an object, or a key of one that is a map.
func (d *document) field(variable, field, body string) {
	if strings.Contains(body, "= map(") {
		body = strings.ReplaceAll(body, `"`+field+`"`, field+" =") // keys that its validation allows
	}
	if !regexp.MustCompile(`\b` + field + `\s*=`).MatchString(body) {
		d.miss("the field", variable+"."+field)
	}
}

func (d *document) follow(t *testing.T, to string) {
	t.Helper()
	if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
		return
	}
	d.seen["link"]++
	file, anchor, _ := strings.Cut(to, "#")
	name := filepath.Join(d.root, filepath.Dir(d.name), file)
	if file == "" {
		name = filepath.Join(d.root, d.name)
	}
	info, err := os.Stat(name)
	if err != nil {
		d.miss("the file", to)
		return
	}
	if anchor == "" || info.IsDir() {
		return
	}
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(read(t, name), ""), -1) {
		if strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-") == anchor {
			return
		}
	}
	d.miss("the heading", to)
}

func TestPlantedDocumentsAreFound(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, text := range map[string]string{
		"Makefile":        "test: lint\n",
		"scripts/here.sh": "",
		"terraform/x.tf": "variable \"size\" {\n  type = object({\n    width = optional(number, 1)\n  })\n}\n\n" +
			"variable \"warm\" {\n  type = map(number)\n  validation {\n    condition = contains([\"web\"], x)\n  }\n}\n\n" +
			"output \"cost\" {\n  value = 1\n}\n\nresource \"google_sql_user\" \"x\" {\n}\n",
		"docs/other.md": "# A heading, here\n",
	} {
		add := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(add), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(add, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		"Run `make test` and scripts/here.sh; see [it](docs/other.md#a-heading-here).": "",
		"`terraform output -json cost`, `terraform apply -var size=1`, `size.width`":   "",
		"```hcl\nsize = { width = 3 }\nwarm = { web = 1 }\n```\n":                      "",
		"with `warm = { web = 1 }` and google_sql_user.x":                              "",
		"Run `make nothing`.":                                       "the target nothing",
		"Run scripts/gone.sh.":                                      "the script scripts/gone.sh",
		"See [it](docs/gone.md).":                                   "the file docs/gone.md",
		"See [it](docs/other.md#gone).":                             "the heading docs/other.md#gone",
		"`terraform output gone`":                                   "the output gone",
		"```sh\nterraform -chdir=terraform output -raw gone\n```\n": "the output gone",
		"`terraform apply -var gone=1`":                             "the variable gone",
		"```hcl\ngone = 1\n```\n":                                   "the variable gone",
		"```hcl\nsize = { height = 3 }\n```\n":                      "the field size.height",
		"with `size = { height = 3 }`":                              "the field size.height",
		"with `warm = { gone = 1 }`":                                "the field warm.gone",
		"`size.height` says":                                        "the field size.height",
		"```sh\n# terraform.tfvars: gone = { a = 1 }\n```\n":        "the variable gone",
		"```sh\nterraform -chdir=terraform state rm google_sql_user.x google_sql_user.gone\n```\n": "the resource google_sql_user.gone",
	} {
		if err := os.WriteFile(filepath.Join(folder, "README.md"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		found, _ := missing(t, folder)
		if said := strings.Join(found, "\n"); want == "" && said != "" || !strings.Contains(said, want) {
			t.Errorf("%q: found %q, want %q", text, said, want)
		}
	}
}
