// What is told beside the words of a conversation: what goes on, what went wrong.

import { Lost, Refused } from "./stream.js";
import { element } from "./prose.js";
import { find } from "./parts.js";

// tell says what goes on; "" that there is nothing to say.
export function tell(root, text) {
  find(root, "note").textContent = text;
  find(root, "note").hidden = !text;
}

// speak tells those who listen, a paragraph at a time.
export function speak(root, text) {
  const spoken = find(root, "spoken");
  spoken.append(element("p", [text]));
  while (spoken.children.length > 20) spoken.firstChild.remove();
}

// tellLine says that the line is broken, or there again.
export function tellLine(root, broken) {
  tell(root, !broken ? "" : navigator.onLine ? "The connection is gone. It is being made again …" : "You are offline. The answer goes on, and appears here once you are back.");
}

export function tellProblem(root, problem) {
  const box = element("div", [element("p", [inWords(problem)])]);
  if (problem.status === 402) {
    const link = element("a", ["See the budget"]);
    link.href = "/budget";
    box.append(element("p", [link]));
  }
  box.className = "problem";
  box.setAttribute("role", "alert");
  box.dataset.problem = "";
  find(root, "problem")?.remove();
  find(root, "composer").prepend(box);
}

function inWords(problem) {
  if (problem instanceof Refused) return problem.message + (problem.wait ? ` You can try again in ${problem.wait} s.` : "");
  if (problem instanceof Lost) return "The connection is gone. Your question is kept: send it again when you are back.";
  return "Something went wrong here. Reload the page: what was said is kept.";
}

export function clearNotes(root) {
  tell(root, "");
  find(root, "problem")?.remove();
}
