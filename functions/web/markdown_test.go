package web

import (
	"strings"
	"testing"
)

func TestArticleHTML(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ markdown, html string }{
		"citations that exist":    {"So it is.[^p1][^p2]", `<p>So it is.<sup><a class="cite" aria-label="Source 1" href="#p1" rel="nofollow">1</a></sup><sup><a class="cite" aria-label="Source 2" href="#p2" rel="nofollow">2</a></sup></p>`},
		"a citation that doesn't": {"So it is.[^p3] [^x]", `<p>So it is.[^p3] [^x]</p>`},
		"headings below the page": {"# One\n\n## Two\n\n# Three", "<h3>One</h3>\n<h4>Two</h4>\n<h3>Three</h3>"},
		"headings without a top":  {"### One\n\n##### Two\n\n### Three", "<h3>One</h3>\n<h4>Two</h4>\n<h3>Three</h3>"},
		"a link":                  {"[out](https://example.com/a?b=c&d)", `<p><a href="https://example.com/a?b=c&amp;d" rel="nofollow noreferrer noopener" target="_blank">out</a></p>`},
		"a script's link":         {"[x](javascript:alert(1)) [y](data:text/html,x) [z](vbscript:x)", `<p>x y z</p>`},
		"an image":                {"![a *cat*](https://evil.example/cat.png)", `<p>a <em>cat</em></p>`},
		"raw HTML":                {"a <img src=x onerror=alert(1)> b\n\n<script>alert(1)</script>", "<p>a &lt;img src=x onerror=alert(1)&gt; b</p>\n<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"},
		"code":                    {"```html\n<b>&amp;\n```", `<pre tabindex="0" role="group" aria-label="Code"><code>&lt;b&gt;&amp;amp;</code></pre>`},
		"a table":                 {"|a|b|\n|-|-|\n|1|2|", "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Table\"><table><thead>\n<tr>\n<th>a</th>\n<th>b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>1</td>\n<td>2</td>\n</tr>\n</tbody>\n</table></div>"},
		"an aligned table":        {"|a|\n|-:|\n|1|", "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Table\"><table><thead>\n<tr>\n<th>a</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>1</td>\n</tr>\n</tbody>\n</table></div>"},
	} {
		got, err := articleHTML(c.markdown, 2)
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(string(got)) != c.html {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.html)
		}
	}
}
