// What the server renders of a conversation, taken over into the page.

import { find, turns } from "./parts.js";

// freshTurns fetches a conversation's turns, the line of the message at or the newest.
// Those that have not changed stay what they are on the page, opened or focused; null:
// they could not be had.
export async function freshTurns(root, at = "") {
  const fresh = await fetchPage(`/tutor/${root.dataset.session}/thread?${new URLSearchParams({ at })}`);
  const list = fresh && find(fresh, "thread");
  if (!list) return null;
  const old = new Map(turns(root).map((turn) => [turn.dataset.message, turn]));
  return [...list.children].map((turn) => {
    const same = old.get(turn.dataset.message);
    return same && same.dataset.as === turn.dataset.as ? same : document.adoptNode(turn);
  });
}

// takeOver puts the conversation of another page into root.
export function takeOver(root, fresh) {
  if (fresh.dataset.session) root.dataset.session = fresh.dataset.session;
  else delete root.dataset.session;
  root.replaceChildren(...[...fresh.children].map((child) => document.adoptNode(child)));
}

// fetchTalk gives the conversation on a page of ours; nothing when there is none.
export async function fetchTalk(address) {
  const fresh = await fetchPage(address);
  return fresh && find(fresh, "tutor");
}

// freshSurroundings takes over what stands around a conversation that has just begun:
// its name, and the list in which it stands now.
export async function freshSurroundings(root) {
  const fresh = await fetchPage(`/tutor/${root.dataset.session}`);
  if (!fresh) return;
  document.title = fresh.title;
  for (const old of document.querySelectorAll("[data-around]")) {
    const part = fresh.querySelector(`[data-around="${old.dataset.around}"]`);
    if (part && !old.contains(document.activeElement)) old.replaceWith(document.adoptNode(part));
  }
}

// fetchPage gives a page of ours, parsed without running anything; null when there is none.
function fetchPage(address) {
  return new Promise((done) => {
    const request = new XMLHttpRequest();
    request.responseType = "document";
    request.open("GET", address);
    request.addEventListener("loadend", () => done(request.status === 200 ? request.response : null));
    request.send();
  });
}
