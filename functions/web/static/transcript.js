// The transcript follows the speech: the sentence that is spoken is marked and kept
// in view, until the reader scrolls; then it waits to be asked back.

const panel = document.querySelector("[data-transcript]");
const video = document.querySelector("[data-player] video");
if (panel && video) start();

function start() {
  const scroller = panel.querySelector("[data-scroller]");
  const button = panel.querySelector("[data-follow]");
  const sentences = [...scroller.querySelectorAll("[data-end]")];
  const starts = sentences.map((s) => Number(s.dataset.seek));
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let current, following = true;

  // One stop for the tab key; the arrows go from sentence to sentence.
  const links = [...scroller.querySelectorAll("a")];
  for (const link of links) link.tabIndex = -1;
  if (sentences[0]) sentences[0].tabIndex = 0;

  // at finds the last sentence that has begun.
  function at(time) {
    let low = 0, high = starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= time + 0.05) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  function mark() {
    const sentence = sentences[at(video.currentTime)];
    if (sentence === current) return;
    current?.removeAttribute("aria-current");
    sentence?.setAttribute("aria-current", "true");
    current = sentence;
    if (following) show();
  }

  function show() {
    if (!current) return;
    const box = scroller.getBoundingClientRect(), line = current.getBoundingClientRect();
    const top = scroller.scrollTop + line.top - box.top - box.height / 3;
    scroller.scrollTo({ top, behavior: calm.matches ? "auto" : "smooth" });
  }

  function follow(on) {
    following = on;
    button.hidden = on;
    if (on) show();
  }

  for (const event of ["timeupdate", "seeked"]) video.addEventListener(event, mark);
  for (const event of ["wheel", "touchmove"]) scroller.addEventListener(event, () => follow(false), { passive: true });
  scroller.addEventListener("pointerdown", (e) => { if (e.target === scroller) follow(false); }); // the scroll bar
  button.addEventListener("click", () => {
    follow(true);
    scroller.focus({ preventScroll: true }); // the button has gone
  });
  scroller.addEventListener("click", (e) => { if (e.target.closest("a")) follow(true); });
  scroller.addEventListener("keydown", (e) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    const from = sentences.indexOf(document.activeElement);
    if (["PageDown", "PageUp", "Home", "End", " "].includes(e.key) || (step && from < 0)) follow(false);
    const next = step && from >= 0 ? sentences[from + step] : undefined;
    if (!next) return;
    e.preventDefault();
    follow(false);
    sentences[from].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}
