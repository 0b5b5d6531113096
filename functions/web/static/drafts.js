// A question that is not sent yet is kept in this window, for each conversation.

import { find } from "./parts.js";

export function restoreDraft(root) {
  const field = find(root, "composer").question;
  if (!field.value) field.value = stored(name(root)) ?? "";
}

export function keepDraft(root) {
  const text = find(root, "composer").question.value;
  store(name(root), text.trim() && text);
}

function name(root) {
  return `draft/${root.dataset.session ?? `${root.dataset.course}/${root.dataset.lesson}`}`;
}

// Storage may be forbidden; then nothing is kept.
function store(key, text) {
  try { text ? sessionStorage.setItem(key, text) : sessionStorage.removeItem(key); } catch { /* forbidden */ }
}
function stored(key) {
  try { return sessionStorage.getItem(key); } catch { return null; }
}
