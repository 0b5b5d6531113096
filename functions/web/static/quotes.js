// A number in an answer opens what it points to, beside it: the source's name, the
// page, and its words. Without this script it leads to the list below the answer.

import { element } from "./prose.js";

// openQuote shows what link, a number in an answer, points to. It tells whether there
// is anything.
export function openQuote(link) {
  const cited = document.getElementById(link.hash.slice(1));
  if (!cited?.matches("[data-cited]")) return false;
  const where = element("p", [cited.querySelector(".where").lastChild.textContent.trim()]);
  where.className = "where";
  where.dir = "auto";
  const card = element("div", [where, cited.querySelector(".quoted").cloneNode(true)]);
  card.className = "quote-card";
  card.popover = "auto";
  card.tabIndex = -1;
  card.setAttribute("role", "dialog");
  card.setAttribute("aria-label", `Source ${cited.dataset.cited}`);
  card.addEventListener("toggle", (e) => { if (e.newState === "closed") card.remove(); });
  link.closest("[data-tutor]").append(card);
  card.showPopover();
  place(card, link.getBoundingClientRect());
  card.focus({ preventScroll: true });
  return true;
}

// place puts the card below the number, or above it where there is no room.
function place(card, at) {
  const box = card.getBoundingClientRect(), edge = 8;
  const left = Math.min(Math.max(at.left + at.width / 2 - box.width / 2, edge), innerWidth - box.width - edge);
  const below = at.bottom + edge + box.height < innerHeight;
  card.style.left = `${left}px`;
  card.style.top = `${below ? at.bottom + edge : Math.max(at.top - edge - box.height, edge)}px`;
}
