// Where the reader is in a conversation.

import { find, onPage, turns } from "./parts.js";

const margin = 16; // px above a question

// arrive brings what was said last into view.
export function arrive(root) {
  const last = lastQuestion(root);
  if (!last) return;
  if (!onPage(root)) find(root, "box").scrollTop += last.getBoundingClientRect().top - top(root) - margin;
  else if (!location.hash) scrollBy({ top: belowPage(root), behavior: "instant" });
}

// Follower keeps the end of an answer in view while it grows, but not past its question:
// who reads from the beginning is left in peace, and so is who has gone up.
export class Follower {
  constructor(root) {
    this.root = root;
    this.last = -Infinity; // where it left the reader
  }

  follow() {
    const { root } = this, port = scroller(root), question = lastQuestion(root);
    if (port.scrollTop < this.last - 1) return; // the reader has gone up
    const end = onPage(root) ? belowPage(root) : port.scrollHeight - port.clientHeight - port.scrollTop;
    const most = question ? question.getBoundingClientRect().top - top(root) - margin : end;
    const by = Math.min(end, most);
    if (by > 0) port.scrollTop += by;
    this.last = port.scrollTop;
  }
}

// stay lets change rebuild the conversation under the reader, who stays where they are.
export function stay(root, change) {
  const port = scroller(root), place = port.scrollTop;
  change();
  port.scrollTop = place;
}

function lastQuestion(root) {
  return turns(root).findLast((turn) => turn.matches(".is-user"));
}

function scroller(root) {
  return onPage(root) ? document.scrollingElement : find(root, "box");
}

function top(root) {
  return onPage(root) ? 0 : find(root, "box").getBoundingClientRect().top;
}

function belowPage(root) {
  return root.getBoundingClientRect().bottom - innerHeight;
}
