// The player's own controls. Without this script the browser's are there; with it
// they give way to one bar with chapters, speed, and keys for everything.

const player = document.querySelector("[data-player]");
if (player) start(player);

function start(player) {
  const video = player.querySelector("video");
  const find = (name) => player.querySelector(`[data-${name}]`);
  const position = find("position"), speed = find("speed");
  const chapters = [...document.querySelectorAll("[data-chapter]")];
  const starts = chapters.map((link) => Number(link.dataset.seek));
  const captions = () => video.textTracks[0];
  const length = () => video.duration || Number(position.max);

  const keys = {
    " ": toggle, k: toggle,
    j: () => by(-10), l: () => by(10),
    ArrowLeft: () => by(-5), ArrowRight: () => by(5),
    n: nextChapter, p: previousChapter,
    "<": () => faster(-1), ">": () => faster(1),
    c: toggleCaptions, f: toggleFull, m: toggleMute,
  };

  video.controls = false;
  find("controls").hidden = false;
  showTicks();
  wire();
  showState();
  remember();

  // Moving about.
  function seek(seconds) {
    video.currentTime = Math.min(Math.max(seconds, 0), length());
    showTime();
  }
  function by(seconds) {
    seek(video.currentTime + seconds);
  }
  function toggle() {
    if (video.paused) video.play().catch(() => {}); // told by the error event
    else video.pause();
  }

  function chapterAt(time) {
    let at = -1;
    while (at + 1 < starts.length && starts[at + 1] <= time + 0.05) at++;
    return at;
  }
  function previousChapter() { // first to this one's start, then to the one before
    const at = chapterAt(video.currentTime);
    const target = video.currentTime - (starts[at] ?? 0) > 2 ? at : at - 1;
    seek(starts[Math.max(target, 0)] ?? 0);
  }
  function nextChapter() {
    const next = starts[chapterAt(video.currentTime) + 1];
    if (next !== undefined) seek(next);
  }
  function faster(steps) {
    const at = Math.min(Math.max(speed.selectedIndex + steps, 0), speed.length - 1);
    speed.selectedIndex = at;
    setSpeed();
  }
  function setSpeed() {
    video.playbackRate = Number(speed.value);
    store("speed", speed.value);
  }
  function toggleCaptions() {
    const track = captions();
    if (!track) return;
    track.mode = track.mode === "showing" ? "hidden" : "showing";
    showState();
  }
  function toggleFull() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (player.requestFullscreen) player.requestFullscreen();
    else video.webkitEnterFullscreen?.(); // iPhones make only the video itself full
  }
  function toggleMute() {
    video.muted = !video.muted;
  }

  // What the bar shows.
  function showTime() {
    const now = video.currentTime;
    position.value = now;
    position.style.setProperty("--played", `${100 * now / length()}%`);
    position.setAttribute("aria-valuetext", `${clock(now)} of ${clock(length())}`);
    find("time").textContent = clock(now);
    const at = chapterAt(now);
    find("now").textContent = chapters[at]?.lastElementChild.textContent ?? "";
    chapters.forEach((link, i) => {
      if (i === at) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
  }
  function showState() {
    player.classList.toggle("playing", !video.paused);
    player.classList.toggle("muted", video.muted);
    find("play").setAttribute("aria-label", video.paused ? "Play" : "Pause");
    find("mute").setAttribute("aria-pressed", video.muted);
    find("captions").setAttribute("aria-pressed", captions()?.mode === "showing");
    find("full").setAttribute("aria-label", document.fullscreenElement ? "Leave full screen" : "Full screen");
  }
  function showTicks() {
    for (const start of starts) {
      if (start <= 0) continue;
      const tick = document.createElement("i");
      tick.style.left = `${100 * start / length()}%`;
      find("ticks").append(tick);
    }
  }

  function wire() {
    find("play").addEventListener("click", toggle);
    video.addEventListener("click", toggle);
    find("mute").addEventListener("click", toggleMute);
    find("captions").addEventListener("click", toggleCaptions);
    find("full").addEventListener("click", toggleFull);
    speed.addEventListener("change", setSpeed);
    position.addEventListener("input", () => seek(Number(position.value)));
    for (const button of player.querySelectorAll("[data-by]")) {
      button.addEventListener("click", () => by(Number(button.dataset.by)));
    }
    for (const event of ["timeupdate", "seeked", "loadedmetadata", "durationchange"]) video.addEventListener(event, showTime);
    for (const event of ["play", "pause", "volumechange", "ended"]) video.addEventListener(event, showState);
    video.textTracks.addEventListener("change", showState);
    video.addEventListener("error", () => { find("broken").hidden = false; });
    document.addEventListener("fullscreenchange", showState);
    document.addEventListener("click", seekByLink);
    document.addEventListener("keydown", onKey);
    speed.value = stored("speed") ?? "1";
    if (speed.selectedIndex < 0) speed.value = "1";
    video.playbackRate = Number(speed.value);
  }

  // Links into the video (chapters, transcript, slides) move this player instead of
  // opening the file.
  function seekByLink(event) {
    const link = event.target.closest("a[data-seek]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    seek(Number(link.dataset.seek));
    if (link.closest("#evidence")) player.scrollIntoView({ block: "center", behavior: calm() ? "auto" : "smooth" });
    video.play().catch(() => {});
  }

  // Keys work wherever one is on the page, except where they mean something already.
  function onKey(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const on = event.target;
    if (on.closest("input:not([type=range]), textarea, select, [contenteditable]")) return;
    if (event.key.startsWith("Arrow") && on.closest("[data-scroller]")) return;
    if (event.key === " " && on.closest("button, summary, [data-scroller]")) return;
    const act = keys[event.key] ?? (/^[0-9]$/.test(event.key) ? () => seek(length() * Number(event.key) / 10) : undefined);
    if (!act) return;
    event.preventDefault();
    act();
  }

  // Where one was in this very video is where one goes on.
  function remember() {
    const place = `at/${player.dataset.lesson}/${player.dataset.content}`;
    let saved = 0;
    video.addEventListener("timeupdate", () => {
      if (Math.abs(video.currentTime - saved) < 2) return;
      saved = video.currentTime;
      store(place, String(Math.floor(saved)));
    });
    video.addEventListener("ended", () => store(place, "0"));
    const before = Number(stored(place) ?? 0);
    if (before < 5 || before > length() * 0.95) return;
    const resume = () => {
      seek(before);
      find("resumed").hidden = false;
      find("restart").addEventListener("click", () => seek(0));
      video.addEventListener("play", () => { find("resumed").hidden = true; }, { once: true });
    };
    if (video.readyState >= HTMLMediaElement.HAVE_METADATA) resume();
    else video.addEventListener("loadedmetadata", resume, { once: true });
  }
}

function clock(seconds) {
  const s = Math.floor(seconds || 0), two = (n) => String(n).padStart(2, "0");
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

function calm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

// Storage may be forbidden; then nothing is remembered.
function store(key, value) {
  try { localStorage.setItem(key, value); } catch { /* forbidden */ }
}
function stored(key) {
  try { return localStorage.getItem(key); } catch { return null; }
}
