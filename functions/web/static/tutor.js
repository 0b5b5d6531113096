// A conversation with the tutor: what is asked is answered where one is, word by word.
// What the answer is in the end is fetched from the server, which knows all of its
// Markdown. Without this script the same forms send, and wait for the whole answer.

import { Lost, Refused, answer, call } from "./stream.js";
import { Prose, element } from "./prose.js";
import { openQuote } from "./quotes.js";

for (const root of document.querySelectorAll("[data-tutor]")) new Talk(root);

function Talk(root) {
  const find = (name) => root.querySelector(`[data-${name}]`);
  const turns = () => [...find("thread").children];
  const page = root.closest(".talk-page"); // null: the panel beside a lesson
  const panel = root.closest(".tutor-panel");
  let line = null;      // AbortController of the answer that is followed
  let stopping = false; // somebody has pressed Stop

  root.addEventListener("submit", onSubmit);
  root.addEventListener("click", onClick);
  root.addEventListener("keydown", onKey);
  root.addEventListener("input", keepDraft);
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
  arrive();

  // start looks at what the server has rendered.
  function start() {
    for (const button of root.querySelectorAll("[data-copy-answer]")) button.hidden = !navigator.clipboard;
    const field = find("composer").question;
    if (turns().at(-1)?.matches("[data-quiz]")) find("composer").task.value = "quiz-me"; // what is written next answers it
    if (!field.value) field.value = stored(draftName()) ?? "";
    if (panel) {
      const whole = panel.querySelector("[data-whole]");
      whole.textContent = root.dataset.session ? "Open" : "All conversations";
      if (root.dataset.session) whole.href = `/tutor/${root.dataset.session}`;
      panel.querySelector("[data-new]").hidden = !root.dataset.session;
    }
    followOpen();
  }

  // arrive brings what was said last into view.
  function arrive() {
    const last = turns().findLast((turn) => turn.matches(".is-user"));
    if (!last) return;
    if (!page) find("box").scrollTop += last.getBoundingClientRect().top - find("box").getBoundingClientRect().top - 16;
    else if (!location.hash) scrollBy({ top: root.getBoundingClientRect().bottom - innerHeight, behavior: "instant" });
  }

  // Asking.
  function onSubmit(event) {
    const form = event.target.closest("[data-send]");
    if (!form) return;
    event.preventDefault();
    if (event.submitter?.matches("[data-stop]")) return stop();
    if (line) return tell("An answer is being made. Wait for its end, or stop it.");
    const starter = event.submitter?.name === "starter" ? event.submitter.value : "";
    const question = starter ? starter.slice(starter.indexOf(":") + 1) : form.question?.value.trim();
    if (!question && !form.again) return;
    const task = starter ? starter.split(":")[0] : form.task?.value;
    const parent = form.matches("[data-composer]") ? turns().at(-1)?.dataset.message ?? "root" : form.parent.value;
    ask({ id: question ? key() : undefined, content: question || undefined, parent, task: task || undefined }, form);
  }

  async function ask(prompt, form) {
    const before = turns();
    clearProblem();
    root.querySelector("[data-empty]")?.remove();
    const at = before.findIndex((turn) => turn.dataset.message === prompt.parent);
    find("thread").replaceChildren(...before.slice(0, at + 1));
    if (prompt.content) find("thread").append(asked(prompt));
    const field = find("composer").question;
    if (form.matches("[data-composer]")) {
      field.value = "";
      forget(draftName());
    }
    field.focus({ preventScroll: true });
    hideStarters(true);
    try {
      await run(() => begin(prompt), prompt);
    } catch (problem) {
      find("thread").replaceChildren(...before);
      hideStarters(before.length > 0);
      if (prompt.content && !field.value) field.value = prompt.content;
      keepDraft();
      refused(problem);
    }
  }

  // begin makes the session with its first question.
  async function begin(prompt) {
    if (root.dataset.session) return;
    const { course, lesson } = root.dataset;
    const made = await call("/v1/chat/sessions", {
      method: "POST", headers: { "Idempotency-Key": prompt.id },
      body: { course: course || undefined, lesson: lesson || undefined, task: find("composer").task.value || undefined },
    }).catch((problem) => { throw problem instanceof TypeError ? new Lost() : problem; });
    root.dataset.session = (await made.json()).id;
    if (page) history.replaceState(null, "", `/tutor/${root.dataset.session}`);
  }

  // followOpen goes on with an answer that is being made: since the page was left, in
  // another window, or by a process that is gone.
  function followOpen() {
    const last = turns().at(-1);
    if (!line && last?.dataset.state === "streaming") run(null, null, last).catch(refused);
  }

  // run shows an answer while it is made. It fails only when nothing of it has come.
  async function run(prepare, prompt, turn) {
    const own = line = new AbortController();
    stopping = false;
    turn ??= find("thread").appendChild(element("li", []));
    turn.className = "turn is-assistant is-thinking";
    const said = element("div", []);
    said.className = "prose said";
    said.dir = "auto";
    const heading = element("h3", ["Tutor"]), waiting = element("p", [element("i", []), element("i", []), element("i", [])]);
    heading.className = "hidden";
    waiting.className = "thinking";
    turn.replaceChildren(heading, said, waiting);
    const prose = new Prose(said, (text) => speak(text));
    let begun = !prompt, problem = "";
    busy(true);
    scroll();
    try {
      await prepare?.();
      for await (const { name, data } of answer(root.dataset.session, prompt, own.signal, cut)) {
        begun = true;
        if (name === "start") {
          turn.dataset.message = data.message.id;
          speak("The tutor is answering.");
        }
        if (name === "delta") {
          turn.classList.remove("is-thinking");
          prose.add(data.text);
          requestAnimationFrame(scroll);
        }
        if (name === "citation") prose.cite(data.n);
        if (name === "error") problem = data.detail;
      }
      prose.end();
      await refresh(turn.dataset.message);
      speak(problem || (stopping ? "Stopped." : "That is the whole answer."));
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
      tell("");
    }
    if (!own.signal.aborted) followOpen();
  }

  function stop() {
    if (!line || stopping || !root.dataset.session) return;
    stopping = true;
    find("stop").disabled = true;
    find("composer").question.focus({ preventScroll: true });
    call(`/v1/chat/sessions/${root.dataset.session}/stream`, { method: "DELETE" }).catch((problem) => {
      if (problem.status === 404) return; // it has just ended
      stopping = false;
      find("stop").disabled = false;
      tell("It could not be stopped. Try again.");
    });
  }

  // What the server says.
  async function refresh(at = "") {
    const fresh = await fetchPage(`/tutor/${root.dataset.session}/thread?${new URLSearchParams({ at })}`);
    const list = fresh?.querySelector("[data-thread]");
    if (!list) return;
    const old = new Map(turns().map((turn) => [turn.dataset.message, turn]));
    const next = [...list.children].map((turn) => {
      const same = old.get(turn.dataset.message);
      return same && same.dataset.as === turn.dataset.as ? same : document.adoptNode(turn);
    });
    const place = scroller().scrollTop;
    find("thread").replaceChildren(...next);
    root.querySelector("[data-empty]")?.remove();
    hideStarters(next.length > 0);
    start();
    scroller().scrollTop = place;
  }

  // load takes a conversation from its own page into the panel.
  async function load(source) {
    const fresh = (await fetchPage(source))?.querySelector("[data-tutor]");
    if (!fresh || line) return;
    const typed = find("composer").question.value, focused = root.contains(document.activeElement);
    if (fresh.dataset.session) root.dataset.session = fresh.dataset.session;
    else delete root.dataset.session;
    root.replaceChildren(...[...fresh.children].map((child) => document.adoptNode(child)));
    find("composer").question.value = typed;
    if (focused) find("composer").question.focus({ preventScroll: true });
    start();
    arrive();
  }

  function startAnew(event) {
    event.preventDefault();
    if (line) return tell("An answer is being made. Wait for its end, or stop it.");
    const source = new URL(root.dataset.source, location);
    source.searchParams.set("new", "1");
    load(source).then(() => find("composer").question.focus());
  }

  async function show(at, control) {
    const place = turns().indexOf(control.closest("li"));
    await refresh(at);
    if (page) history.replaceState(null, "", `?${new URLSearchParams({ at })}`);
    const versions = turns()[place]?.querySelector(".versions");
    (versions?.querySelector(`a[aria-label="${control.ariaLabel}"]`) ?? versions?.querySelector("a") ?? find("composer").question).focus();
    announce(versions?.querySelector("[data-version]").textContent ?? "");
  }

  // What people do.
  function onClick(event) {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    const { target } = event;
    const version = target.closest("a[data-at]"), number = target.closest(".said a.cite"), copy = target.closest("[data-copy-answer]");
    if (version && !line) {
      event.preventDefault();
      show(version.dataset.at, version);
    } else if (version) {
      event.preventDefault();
      tell("An answer is being made. Wait for its end, or stop it.");
    } else if (number && openQuote(number)) {
      event.preventDefault();
    } else if (copy) {
      navigator.clipboard.writeText(copy.closest("li").querySelector("[data-said]").innerText).then(() => {
        copy.textContent = "Copied";
        announce("Copied.");
        setTimeout(() => { copy.textContent = "Copy"; }, 2000);
      }, () => {});
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
  function asked(prompt) {
    const heading = element("h3", ["You"]), text = element("p", [prompt.content]);
    heading.className = "hidden";
    text.className = "asked";
    text.dir = "auto";
    const turn = element("li", [heading, text]);
    turn.className = "turn is-user";
    turn.dataset.message = prompt.id;
    return turn;
  }

  function busy(on) {
    root.classList.toggle("is-busy", on);
    find("stop").hidden = !on;
    find("stop").disabled = false;
    find("ask").hidden = on;
    find("thread").setAttribute("aria-busy", on);
  }

  function hideStarters(on) {
    const starters = find("starters");
    if (starters) starters.hidden = on;
  }

  function cut(broken) {
    tell(!broken ? "" : navigator.onLine ? "The connection is gone. It is being made again …" : "You are offline. The answer goes on, and appears here once you are back.");
  }

  function tell(text) {
    find("note").textContent = text;
    find("note").hidden = !text;
  }

  function clearProblem() {
    tell("");
    find("problem")?.remove();
  }

  function refused(problem) {
    if (problem.status === 401) return dispatchEvent(new Event("lectern:ended"));
    if (problem.status === 409 && problem.errors?.some((e) => e.location === "session.answering")) {
      refresh().then(() => tell("The tutor is answering something that was asked in another window. Your question is kept: send it when that is done."));
      return;
    }
    let text = "The connection is gone. Your question is kept: send it again when you are back.";
    if (problem instanceof Refused) text = problem.message + (problem.wait ? ` You can try again in ${problem.wait} s.` : "");
    else if (!(problem instanceof Lost)) text = "Something went wrong here. Reload the page: what was said is kept.";
    const box = element("div", [element("p", [text])]);
    if (problem.status === 402) {
      const link = element("a", ["See the budget"]);
      link.href = "/budget";
      box.append(element("p", [link]));
    }
    box.className = "problem";
    box.setAttribute("role", "alert");
    box.dataset.problem = "";
    find("problem")?.remove();
    find("composer").prepend(box);
  }

  // speak tells those who listen, a paragraph at a time.
  function speak(text) {
    const spoken = find("spoken");
    spoken.append(element("p", [text]));
    while (spoken.children.length > 20) spoken.firstChild.remove();
  }

  function scroller() {
    const box = find("box");
    return page ? document.scrollingElement : box;
  }

  // scroll keeps the end of the answer in view, but not past its question: who reads
  // from the beginning is left in peace.
  function scroll() {
    if (!line) return;
    const question = turns().findLast((turn) => turn.matches(".is-user"))?.getBoundingClientRect();
    const port = scroller(), top = page ? 0 : find("box").getBoundingClientRect().top;
    const end = page ? root.getBoundingClientRect().bottom - innerHeight : port.scrollHeight - port.clientHeight - port.scrollTop;
    const most = question ? question.top - top - 16 : end;
    const by = Math.min(end, most);
    if (by > 0) port.scrollTop += by;
  }

  // A question that is not sent yet is kept in this window.
  function draftName() {
    return `draft/${root.dataset.session ?? `${root.dataset.course}/${root.dataset.lesson}`}`;
  }
  function keepDraft() {
    store(draftName(), find("composer").question.value);
  }
}

function announce(text) {
  document.querySelector("[data-announce]").textContent = text;
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

function key() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
}

// Storage may be forbidden; then nothing is kept.
function store(name, text) {
  try { text ? sessionStorage.setItem(name, text) : sessionStorage.removeItem(name); } catch { /* forbidden */ }
}
function stored(name) {
  try { return sessionStorage.getItem(name); } catch { return null; }
}
function forget(name) {
  store(name, "");
}
