// Jobs move while one looks. Each open job on the page follows its event stream;
// when one changes its state, the parts of the page marked data-live are fetched
// anew, so that what is shown is always what the server says.

import { announce } from "./announce.js";

const maxStreams = 3;      // browsers allow six connections to a host over HTTP/1, for all tabs together
const pollEvery = 4000;    // ms, for the jobs beyond that, or where a stream is refused
const refreshEvery = 3000; // ms at least between refreshes that progress asks for

const streams = new Map(); // job id → EventSource
let poll, wait, refreshing, over = false, lastRefresh = 0;

const cards = () => [...document.querySelectorAll("[data-job]")];

function follow() {
  clearInterval(poll);
  clearTimeout(wait);
  if (document.hidden || over) return leave();
  const ids = [...new Set(cards().map((card) => card.dataset.job))];
  for (const [id, stream] of streams) {
    if (ids.includes(id)) continue;
    stream.close();
    streams.delete(id);
  }
  for (const id of ids) {
    if (streams.size < maxStreams && !streams.has(id)) open(id);
  }
  if (ids.some((id) => !streams.has(id))) poll = setInterval(pollRest, pollEvery);
  // A document on its way has no job yet that could be followed.
  if (document.querySelector("[data-arriving]")) wait = setTimeout(refresh, refreshEvery);
}

function open(id) {
  const stream = new EventSource(`/v1/jobs/${id}/events`);
  streams.set(id, stream);
  stream.addEventListener("progress", (e) => show(JSON.parse(e.data)));
  for (const end of ["done", "failed"]) {
    stream.addEventListener(end, (e) => {
      stream.close();
      finish(JSON.parse(e.data));
    });
  }
  stream.addEventListener("error", () => {
    if (stream.readyState !== EventSource.CLOSED) return; // the browser comes again by itself
    streams.delete(id);
    clearInterval(poll);
    poll = setInterval(pollRest, pollEvery);
    pollRest(); // and learn whether it is the person who is not let in any more
  });
}

function leave() {
  for (const stream of streams.values()) stream.close();
  streams.clear();
}

async function pollRest() {
  for (const id of new Set(cards().map((card) => card.dataset.job))) {
    if (streams.has(id)) continue;
    const answer = await fetch(`/v1/jobs/${id}`).catch(() => null);
    if (answer?.status === 401) return end();
    if (!answer?.ok) continue;
    const job = await answer.json();
    if (["succeeded", "failed", "canceled"].includes(job.state)) finish(job);
    else show(job);
  }
}

// end says that nobody is signed in any more; the page is left as it was.
function end() {
  over = true;
  leave();
  clearInterval(poll);
  const banner = document.querySelector("[data-ended]");
  banner.querySelector("[data-sign-in]").href = `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;
  banner.hidden = false;
}

function show(job) {
  for (const card of cards()) {
    if (card.dataset.job !== job.id) continue;
    if (card.dataset.state !== job.state) return refresh();
    const bar = card.querySelector("progress");
    const moved = bar.value;
    bar.value = job.total > 0 ? Math.floor(100 * Math.min(job.done, job.total) / job.total) : 0;
    card.querySelector("[data-job-message]").textContent = job.message;
    card.querySelector("[data-job-left]").textContent = left(job.seconds_left);
    // Something was finished: a lesson may have been written, a video may be ready.
    if (bar.value !== moved && Date.now() - lastRefresh > refreshEvery) refresh();
  }
}

// left says how long a job will still take, as words.go does.
function left(seconds) {
  if (seconds === undefined || seconds === null) return "";
  if (seconds < 10) return "a few seconds left";
  if (seconds < 90) return `about ${Math.ceil(seconds / 5) * 5} s left`;
  if (seconds < 90 * 60) return `about ${Math.ceil(seconds / 60)} min left`;
  return `about ${Math.ceil(seconds / 3600)} h left`;
}

function finish(job) {
  const title = cards().find((card) => card.dataset.job === job.id)?.querySelector("h3")?.textContent ?? "The work";
  announce(`${title}: ${{ succeeded: "done", canceled: "canceled" }[job.state] ?? "failed"}.`);
  refresh();
}

// refresh fetches the page and takes its live parts over; one at a time, and once
// more when it was asked for in between.
function refresh() {
  if (over) return;
  if (refreshing) {
    refreshing.again = true;
    return;
  }
  lastRefresh = Date.now();
  const request = refreshing = new XMLHttpRequest();
  request.responseType = "document"; // parsed without running anything
  request.open("GET", location.href.split("#")[0]);
  request.addEventListener("loadend", () => {
    refreshing = undefined;
    if (request.status === 401 || request.responseURL && new URL(request.responseURL).pathname === "/sign-in") return end();
    if (request.status === 200 && request.response) takeOver(request.response);
    follow();
    if (request.again) refresh();
  });
  request.send();
}

function takeOver(fresh) {
  if (document.querySelector("[data-no-video]") && fresh.querySelector("video")) {
    location.reload(); // the player and its scripts come with the page
    return;
  }
  const focused = document.activeElement?.id;
  for (const old of document.querySelectorAll("[data-live]")) {
    const part = fresh.querySelector(`[data-live="${old.dataset.live}"]`);
    if (!part || part.isEqualNode(old)) continue;
    if (old.dataset.when && old.dataset.when === part.dataset.when) continue; // somebody may be filling it in
    keepProgress(old, part);
    old.replaceWith(document.adoptNode(part));
  }
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus();
}

// keepProgress starts the bars of the new part where the old ones are, so that
// they go on from there.
function keepProgress(old, part) {
  for (const card of part.querySelectorAll("[data-job]")) {
    const before = old.querySelector(`[data-job="${CSS.escape(card.dataset.job)}"] progress`);
    const bar = card.querySelector("progress");
    if (!before) continue;
    const value = bar.value;
    bar.value = before.value;
    requestAnimationFrame(() => requestAnimationFrame(() => { bar.value = Math.max(value, bar.value); }));
  }
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) leave();
  else if (cards().length) refresh();
});
addEventListener("lectern:changed", refresh);
addEventListener("lectern:ended", end);
addEventListener("pagehide", leave);
addEventListener("pageshow", (e) => { if (e.persisted) refresh(); });
follow();
