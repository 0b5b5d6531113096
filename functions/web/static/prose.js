// An answer's text while it comes: paragraphs, lists, headings, code and emphasis, made
// of elements and text nodes alone. When the answer is whole, the server's rendering,
// which knows all of Markdown, takes its place.

// Prose writes into an element. onBlock is told the text of each block that is whole.
export class Prose {
  constructor(element, onBlock = () => {}) {
    this.element = element;
    this.onBlock = onBlock;
    this.rest = "";     // of the text: the block that is not whole yet
    this.cited = [];    // numbers that point to something
    this.open = null;   // that block's element
    this.frame = 0;
  }

  add(text) {
    this.rest += text;
    this.frame ||= requestAnimationFrame(() => this.show());
  }

  cite(number) {
    this.cited.push(number);
  }

  // end shows what is left at once.
  end() {
    cancelAnimationFrame(this.frame);
    this.show();
    if (this.open) this.onBlock(this.open.textContent);
  }

  show() {
    this.frame = 0;
    let cut;
    while ((cut = end(this.rest)) > 0) {
      this.put(this.rest.slice(0, cut));
      if (this.open) this.onBlock(this.open.textContent);
      this.open = null;
      this.rest = this.rest.slice(cut);
    }
    this.put(this.rest);
  }

  put(text) {
    if (!text.trim()) return;
    const made = block(text, this.cited);
    if (this.open) this.open.replaceWith(made);
    else this.element.append(made);
    this.open = made;
  }
}

// end gives where the first block of a text ends, -1 when it may still go on: at an
// empty line, in code at the closing fence.
function end(text) {
  const fence = /^\s*(```+|~~~+)/.exec(text);
  if (fence) {
    const close = text.indexOf("\n" + fence[1], fence[0].length);
    const line = close < 0 ? -1 : text.indexOf("\n", close + 1);
    return line < 0 ? -1 : line + 1;
  }
  const found = /\S[^]*?\n[ \t]*\n/.exec(text);
  return found ? found.index + found[0].length : -1;
}

function block(text, cited) {
  const lines = text.replace(/^\s*\n/, "").trimEnd().split("\n");
  const fence = /^\s*(```+|~~~+)/.exec(lines[0]);
  if (fence) {
    const last = lines.length > 1 && lines.at(-1).trim().startsWith(fence[1]) ? -1 : undefined;
    return element("pre", [element("code", [lines.slice(1, last).join("\n")])]);
  }
  const heading = /^(#{1,6})\s+(.*)/.exec(lines[0]);
  if (heading && lines.length === 1) return element(`h${Math.min(3 + heading[1].length, 6)}`, inline(heading[2], cited));
  if (/^\s*>/.test(lines[0])) return element("blockquote", [element("p", inline(lines.map((l) => l.replace(/^\s*>\s?/, "")).join(" "), cited))]);
  if (/^\s*\|/.test(lines[0])) return element("pre", [lines.join("\n")]);
  return listOrParagraph(lines, cited);
}

const item = /^\s*(?:[-*+]|(\d{1,9})[.)])\s+(.*)/;

function listOrParagraph(lines, cited) {
  const at = lines.findIndex((line) => item.test(line));
  if (at < 0) return element("p", inline(lines.join("\n"), cited));
  const first = item.exec(lines[at]), texts = [];
  for (const line of lines.slice(at)) {
    const found = item.exec(line);
    if (found) texts.push(found[2]);
    else texts[texts.length - 1] += " " + line.trim();
  }
  const list = element(first[1] ? "ol" : "ul", texts.map((text) => element("li", inline(text, cited))));
  if (first[1]) list.start = Number(first[1]);
  if (at === 0) return list;
  return element("div", [element("p", inline(lines.slice(0, at).join("\n"), cited)), list]);
}

// A block longer than this, in characters, is shown as it is: finding marks in it would
// take longer than a frame.
const longest = 3000;

const marks = /(?<!`)(`{1,3})(?!`)([^`]+)\1(?!`)|\*\*(?=\S)([^]+?\S)\*\*|__(?=\S)([^]+?\S)__|\*(?=[^\s*])([^*]*?[^\s*])\*|\[(\d{1,4})\](?![[(:])|!?\[([^\]\n]*)\]\(([^)\s]*)[^)]*\)/g;

// inline gives nodes of a text. Links are shown as their words: the server decides
// which may be clicked.
function inline(text, cited) {
  if (text.length > longest) return [text];
  const nodes = [];
  let from = 0;
  for (const found of text.matchAll(marks)) {
    const [whole, , code, bold, bold2, slanted, number, words] = found;
    if (number !== undefined && !cited.includes(Number(number))) continue;
    nodes.push(text.slice(from, found.index));
    if (code !== undefined) nodes.push(element("code", [code]));
    else if (bold ?? bold2) nodes.push(element("strong", inline(bold ?? bold2, cited)));
    else if (slanted) nodes.push(element("em", inline(slanted, cited)));
    else if (number) nodes.push(element("sup", [cite(number)]));
    else nodes.push(...inline(words, cited));
    from = found.index + whole.length;
  }
  nodes.push(text.slice(from));
  return nodes;
}

function cite(number) {
  const mark = element("span", [number]);
  mark.className = "cite";
  return mark;
}

export function element(name, children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}
