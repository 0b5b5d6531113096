// announce tells those who listen to the page rather than look at it.
export function announce(text) {
  document.querySelector("[data-announce]").textContent = text;
}
