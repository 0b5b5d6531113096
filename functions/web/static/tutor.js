// A conversation with the tutor: what is asked is answered where one is, word by word.
// What the answer is in the end is fetched from the server, which knows all of its
// Markdown. Without this script the same forms send, and wait for the whole answer.

import { Lost, answer, call } from "./stream.js";
import { Prose } from "./prose.js";
import { openQuote } from "./quotes.js";
import { announce } from "./announce.js";
import { find, onPage, turns } from "./parts.js";
import { answerTurn, questionTurn } from "./awaited.js";
import { keepDraft, restoreDraft } from "./drafts.js";
import { fetchTalk, freshSurroundings, freshTurns, takeOver } from "./fresh.js";
import { Follower, arrive, stay } from "./scroll.js";
import { clearNotes, speak, tell, tellLine, tellProblem } from "./notes.js";

const patience = 2000; // ms until an answer of which nothing came is asked for again

for (const root of document.querySelectorAll("[data-tutor]")) new Talk(root);

function Talk(root) {
  const panel = root.closest(".tutor-panel"); // null: a page of its own
  let line = null;      // AbortController of the answer that is followed
  let stopping = false; // somebody has pressed Stop

  root.addEventListener("submit", onSubmit);
  root.addEventListener("click", onClick);
  root.addEventListener("keydown", onKey);
  root.addEventListener("input", () => keepDraft(root));
  addEventListener("pagehide", () => line?.abort());
  addEventListener("pageshow", (e) => { if (e.persisted && root.dataset.session) refresh().then(followOpen); });
  panel?.querySelector("[data-new]").addEventListener("click", startAnew);
  if (root.dataset.source) {
    new IntersectionObserver(([seen], watch) => {
      if (!seen.isIntersecting) return;
      watch.disconnect();
      load(root.dataset.source);
    }).observe(root);
  }
  start();
  arrive(root);

  // start looks at what the server has rendered.
  function start() {
    for (const button of root.querySelectorAll("[data-copy-answer]")) button.hidden = !navigator.clipboard;
    if (turns(root).at(-1)?.matches("[data-quiz]")) find(root, "composer").task.value = "quiz-me"; // what is written next answers it
    restoreDraft(root);
    if (panel) {
      const whole = panel.querySelector("[data-whole]");
      whole.textContent = root.dataset.session ? "Open" : "All conversations";
      if (root.dataset.session) whole.href = `/tutor/${root.dataset.session}`;
      panel.querySelector("[data-new]").hidden = !root.dataset.session;
    }
    followOpen();
  }

  // Asking.
  function onSubmit(event) {
    const form = event.target.closest("[data-send]");
    if (!form) return;
    event.preventDefault();
    if (event.submitter?.matches("[data-stop]")) return stop();
    if (line) return tellToWait();
    const starter = event.submitter?.name === "starter" ? event.submitter.value : "";
    const question = starter ? starter.slice(starter.indexOf(":") + 1) : form.question?.value.trim();
    if (!question && !form.again) return;
    const task = starter ? starter.split(":")[0] : form.task?.value;
    const parent = form.matches("[data-composer]") ? turns(root).at(-1)?.dataset.message ?? "root" : form.parent.value;
    ask({ id: question ? key() : undefined, content: question || undefined, parent, task: task || undefined }, form);
  }

  async function ask(prompt, form) {
    const before = turns(root), field = find(root, "composer").question;
    clearNotes(root);
    find(root, "empty")?.remove();
    const at = before.findIndex((turn) => turn.dataset.message === prompt.parent);
    find(root, "thread").replaceChildren(...before.slice(0, at + 1));
    if (prompt.content) find(root, "thread").append(questionTurn(prompt));
    if (form.matches("[data-composer]")) {
      field.value = "";
      keepDraft(root);
    }
    field.focus({ preventScroll: true });
    hideStarters(true);
    try {
      await run(() => begin(prompt), prompt);
    } catch (problem) {
      find(root, "thread").replaceChildren(...before);
      hideStarters(before.length > 0);
      if (prompt.content && !field.value) field.value = prompt.content;
      keepDraft(root);
      refused(problem);
    }
  }

  // begin makes the session with its first question.
  async function begin(prompt) {
    if (root.dataset.session) return;
    const { course, lesson } = root.dataset;
    const made = await call("/v1/chat/sessions", {
      method: "POST", headers: { "Idempotency-Key": prompt.id },
      body: { course: course || undefined, lesson: lesson || undefined, task: find(root, "composer").task.value || undefined },
    }).catch((problem) => { throw problem instanceof TypeError ? new Lost() : problem; });
    root.dataset.session = (await made.json()).id;
    if (onPage(root)) history.replaceState(null, "", `/tutor/${root.dataset.session}`);
  }

  // followOpen goes on with an answer that is being made: since the page was left, in
  // another window, or by a process that is gone.
  function followOpen() {
    const last = turns(root).at(-1);
    if (!line && last?.dataset.state === "streaming") run(null, null, last).catch(refused);
  }

  // run shows an answer while it is made. It fails only when nothing of it has come.
  async function run(prepare, prompt, open) {
    const own = line = new AbortController();
    stopping = false;
    const { turn, said } = answerTurn(open);
    if (!open) find(root, "thread").append(turn);
    const prose = new Prose(said, (text) => speak(root, text)), reader = new Follower(root);
    let begun = !prompt, heard = false, problem = "";
    busy(true);
    reader.follow();
    try {
      await prepare?.();
      for await (const { name, data } of answer(root.dataset.session, prompt, own.signal, (broken) => tellLine(root, broken))) {
        begun = heard = true;
        if (name === "start") {
          turn.dataset.message = data.message.id;
          speak(root, "The tutor is answering.");
        }
        if (name === "delta") {
          turn.classList.remove("is-thinking");
          prose.add(data.text);
          requestAnimationFrame(() => { if (line === own) reader.follow(); });
        }
        if (name === "citation") prose.cite(data.n);
        if (name === "error") problem = data.detail;
      }
      prose.end();
      await refresh(turn.dataset.message);
      reader.follow();
      speak(root, problem || (stopping ? "Stopped." : "That is the whole answer."));
    } catch (failure) {
      if (!begun) throw failure;
      turn.classList.remove("is-thinking");
      prose.end();
      refused(failure);
    } finally {
      if (line === own) {
        line = null;
        busy(false);
      }
      tell(root, "");
    }
    if (own.signal.aborted) return;
    if (onPage(root) && !document.querySelector("[data-around] [aria-current]")) freshSurroundings(root); // they do not know it yet
    if (heard) followOpen();
    else setTimeout(followOpen, patience); // the line and the page do not agree yet
  }

  function stop() {
    if (!line || stopping || !root.dataset.session) return;
    stopping = true;
    find(root, "stop").disabled = true;
    find(root, "composer").question.focus({ preventScroll: true });
    call(`/v1/chat/sessions/${root.dataset.session}/stream`, { method: "DELETE" }).catch((problem) => {
      if (problem.status === 404) return; // it has just ended
      stopping = false;
      find(root, "stop").disabled = false;
      tell(root, "It could not be stopped. Try again.");
    });
  }

  function refused(problem) {
    if (problem.status === 401) return dispatchEvent(new Event("lectern:ended"));
    if (problem.status === 409 && problem.errors?.some((e) => e.location === "session.answering")) {
      refresh().then(() => tell(root, "The tutor is answering something that was asked in another window. Your question is kept: send it when that is done."));
      return;
    }
    tellProblem(root, problem);
  }

  // What the server says.
  async function refresh(at) {
    const next = await freshTurns(root, at);
    if (!next) return;
    stay(root, () => {
      find(root, "thread").replaceChildren(...next);
      find(root, "empty")?.remove();
      hideStarters(next.length > 0);
      start();
    });
  }

  // load takes a conversation from its own page into the panel.
  async function load(source) {
    const fresh = await fetchTalk(source);
    if (!fresh || line) return;
    const typed = find(root, "composer").question.value, focused = root.contains(document.activeElement);
    takeOver(root, fresh);
    find(root, "composer").question.value = typed;
    if (focused) find(root, "composer").question.focus({ preventScroll: true });
    start();
    arrive(root);
  }

  function startAnew(event) {
    event.preventDefault();
    if (line) return tellToWait();
    const source = new URL(root.dataset.source, location);
    source.searchParams.set("new", "1");
    load(source).then(() => find(root, "composer").question.focus());
  }

  // show goes to another version of what was said; control is the arrow that was pressed.
  async function show(at, control) {
    const place = turns(root).indexOf(control.closest("li"));
    await refresh(at);
    if (onPage(root)) history.replaceState(null, "", `?${new URLSearchParams({ at })}`);
    const versions = turns(root)[place]?.querySelector(".versions");
    (versions?.querySelector(`a[aria-label="${control.ariaLabel}"]`) ?? versions?.querySelector("a") ?? find(root, "composer").question).focus();
    announce(versions?.querySelector("[data-version]").textContent ?? "");
  }

  // What people do.
  function onClick(event) {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    const version = event.target.closest("a[data-at]"), number = event.target.closest(".said a.cite"), copied = event.target.closest("[data-copy-answer]");
    if (version) {
      event.preventDefault();
      if (line) tellToWait();
      else show(version.dataset.at, version);
    } else if (number && openQuote(number)) {
      event.preventDefault();
    } else if (copied) {
      copy(copied);
    }
  }

  function onKey(event) {
    if (event.key === "Escape" && line && !root.querySelector(":popover-open")) {
      event.preventDefault();
      stop();
    }
    const typing = event.target.closest("[data-question]");
    if (!typing || event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    if (matchMedia("(pointer: coarse)").matches) return; // there is no Shift to hold: the button sends
    event.preventDefault();
    if (typing.value.trim()) typing.form.requestSubmit();
  }

  // What is seen.
  function busy(on) {
    root.classList.toggle("is-busy", on);
    find(root, "stop").hidden = !on;
    find(root, "stop").disabled = false;
    find(root, "ask").hidden = on;
    find(root, "thread").setAttribute("aria-busy", on);
  }

  function hideStarters(on) {
    const starters = find(root, "starters");
    if (starters) starters.hidden = on;
  }

  function tellToWait() {
    tell(root, "An answer is being made. Wait for its end, or stop it.");
  }
}

// copy takes an answer's words to the clipboard, and says so on its button.
function copy(button) {
  navigator.clipboard.writeText(button.closest("li").querySelector("[data-said]").innerText).then(() => {
    button.textContent = "Copied";
    announce("Copied.");
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }, () => {});
}

function key() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
}
