// A conversation on a page: its parts, by the names that the templates give them.

export function find(root, name) {
  return root.querySelector(`[data-${name}]`);
}

// turns are what was said, questions and answers, in order.
export function turns(root) {
  return [...find(root, "thread").children];
}

// onPage tells whether the conversation has a page of its own; else it is the panel
// beside a lesson or a course.
export function onPage(root) {
  return root.closest(".talk-page") !== null;
}
