// A question and its awaited answer, as they look before the server has rendered them.

import { element } from "./prose.js";

export function questionTurn(prompt) {
  const turn = element("li", [heading("You"), text(element("p", [prompt.content]), "asked")]);
  turn.className = "turn is-user";
  turn.dataset.message = prompt.id;
  return turn;
}

// answerTurn makes turn, or a new one, that of an answer which is awaited. It gives
// the turn, and where the answer's text belongs.
export function answerTurn(turn = element("li", [])) {
  const said = text(element("div", []), "prose said");
  const waiting = element("p", [element("i", []), element("i", []), element("i", [])]);
  waiting.className = "thinking";
  turn.className = "turn is-assistant is-thinking";
  turn.replaceChildren(heading("Tutor"), said, waiting);
  return { turn, said };
}

function heading(who) {
  const made = element("h3", [who]);
  made.className = "hidden";
  return made;
}

// text is people's or the model's: in whatever script, it runs its own way.
function text(made, name) {
  made.className = name;
  made.dir = "auto";
  return made;
}
