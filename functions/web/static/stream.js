// An answer of the tutor as it is made: server-sent events over fetch, which unlike
// EventSource can send a question. A connection that breaks is made again, from
// behind the last event that has come.
// https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation

const silence = 40000;   // ms without even a heartbeat, after which a connection is dead
const mostTries = 12;    // connections in a row that bring nothing: about a minute and a half
const longestPause = 15000;
const longestEvent = 1 << 20;

// Refused is an answer of the API that is no success.
export class Refused extends Error {
  constructor(status, problem, wait) {
    super(problem?.detail || "The tutor does not answer right now.");
    this.status = status;
    this.errors = problem?.errors ?? [];
    this.wait = wait; // seconds to wait, when it says so
  }
  get temporary() {
    return this.status >= 500;
  }
}

// Lost says that the line stayed broken.
export class Lost extends Error {}

// answer gives the events of an answer until its last: of the one to prompt, which is
// sent first, or else of the one that is being made. cut(true) is called when the line
// is broken, cut(false) when it is there again.
export async function* answer(session, prompt, signal, cut = () => {}) {
  const path = `/v1/chat/sessions/${encodeURIComponent(session)}`;
  let last = "", tries = 0;
  while (true) {
    const line = new AbortController();
    const hangUp = () => line.abort();
    signal.addEventListener("abort", hangUp);
    try {
      const response = prompt && !last
        ? await call(`${path}/messages`, { method: "POST", body: prompt, signal: line.signal })
        : await call(`${path}/stream`, { headers: last ? { "Last-Event-ID": last } : {}, signal: line.signal });
      if (response.status === 204) return; // there is no more
      for await (const event of events(response.body, hangUp)) {
        if (tries) cut(false);
        tries = 0;
        if (event.id) last = event.id;
        yield event;
        if (event.name === "done" || event.name === "error") return;
      }
    } catch (problem) {
      if (signal.aborted) return;
      if (problem instanceof Refused && !(problem.temporary && (last || tries < 2))) throw problem;
      if (!(problem instanceof Refused || problem instanceof TypeError || problem.name === "AbortError")) throw problem;
      if (tries >= mostTries) throw problem instanceof Refused ? problem : new Lost();
    } finally {
      signal.removeEventListener("abort", hangUp);
      line.abort();
    }
    if (signal.aborted) return;
    if (++tries > 1) cut(true);
    await pause(tries, signal);
  }
}

// call asks the API. What is sent is sent as JSON.
export async function call(address, { method = "GET", body, headers = {}, signal } = {}) {
  const response = await fetch(address, {
    method, signal, cache: "no-store",
    headers: { Accept: "text/event-stream, application/json", ...(body ? { "Content-Type": "application/json" } : {}), ...headers },
    body: body && JSON.stringify(body),
  });
  if (response.ok) return response;
  throw new Refused(response.status, await response.json().catch(() => null), Number(response.headers.get("Retry-After")) || 0);
}

// events reads an event stream to its end; dead is called when nothing comes any more.
async function* events(body, dead) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader(); // takes a byte order mark away
  let rest = "", event = { id: "", name: "", data: [] }, id = "", watch;
  try {
    while (true) {
      watch = setTimeout(dead, silence);
      const { value, done } = await reader.read();
      clearTimeout(watch);
      if (done) return;
      rest += value;
      // A line ends with \n, \r\n or \r; what follows a \r at the end is not here yet.
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        if (line === "") {
          if (event.data.length) yield { id, name: event.name, data: JSON.parse(event.data.join("\n")) };
          event = { name: "", data: [] };
          continue;
        }
        const colon = line.indexOf(":");
        const field = colon < 0 ? line : line.slice(0, colon);
        const text = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (field === "data") event.data.push(text);
        else if (field === "event") event.name = text;
        else if (field === "id" && !text.includes("\0")) id = text;
      }
      if (rest.length > longestEvent) throw new TypeError("an event without an end");
    }
  } finally {
    clearTimeout(watch);
    reader.cancel().catch(() => {});
  }
}

// pause waits longer from try to try, but comes at once when the network is there again.
function pause(tries, signal) {
  const most = Math.min(250 * 2 ** (tries - 1), longestPause);
  return new Promise((over) => {
    const timer = setTimeout(end, most / 2 + Math.random() * most / 2);
    function end() {
      clearTimeout(timer);
      removeEventListener("online", end);
      signal.removeEventListener("abort", end);
      over();
    }
    addEventListener("online", end);
    signal.addEventListener("abort", end);
  });
}
