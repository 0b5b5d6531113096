// Documents go from the browser straight to the bucket: the API names the request
// for each, and a bar shows how far it is. live.js then shows how it is read.

const form = document.querySelector("[data-upload]");
if (form) start();

function start() {
  const input = form.querySelector("input");
  form.hidden = false;
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = "";
    send(files);
  });
  for (const event of ["dragenter", "dragover"]) {
    form.addEventListener(event, (e) => {
      e.preventDefault();
      form.classList.add("over");
    });
  }
  for (const event of ["dragleave", "drop"]) form.addEventListener(event, () => form.classList.remove("over"));
  form.addEventListener("drop", (e) => {
    e.preventDefault();
    send([...e.dataTransfer.files]);
  });
}

async function send(files) {
  for (const file of files) { // one after the other: each gets the whole line
    const line = show(file.name);
    try {
      await upload(file, line);
      line.remove();
      dispatchEvent(new Event("lectern:changed"));
    } catch (problem) {
      line.querySelector("progress").remove();
      line.classList.add("is-failed");
      line.querySelector("span").textContent = `${file.name}: ${problem.message}`;
    }
  }
}

function show(name) {
  const line = document.createElement("li");
  const text = document.createElement("span");
  text.textContent = name;
  text.dir = "auto";
  const bar = document.createElement("progress");
  bar.className = "bar";
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", `Sending ${name}`);
  line.append(text, bar);
  form.querySelector("[data-uploads]").append(line);
  return line;
}

async function upload(file, line) {
  const answer = await fetch(`/v1/courses/${encodeURIComponent(form.dataset.upload)}/sources`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": key() },
    body: JSON.stringify({ name: file.name, content_type: file.type || undefined, size: file.size }),
  }).catch(() => { throw new Error("Lectern does not answer. Try again in a minute."); });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error([body.errors?.map((e) => e.message).join(" "), body.detail].find(Boolean) ?? "It could not be added. Try again.");
  await put(file, body.upload, line.querySelector("progress"));
}

// put sends the file by XMLHttpRequest, which tells how far it is.
function put(file, request, bar) {
  let address = new URL(request.url);
  // The bucket beside the pages may be known by another name than this page is.
  if ("here" in form.dataset) address = new URL(address.pathname + address.search, location.origin);
  return new Promise((done, failed) => {
    const q = new XMLHttpRequest();
    q.open(request.method, address);
    for (const [name, value] of Object.entries(request.headers ?? {})) q.setRequestHeader(name, value);
    q.upload.addEventListener("progress", (e) => { if (e.lengthComputable) bar.value = e.loaded / e.total; });
    q.addEventListener("load", () => (q.status < 300 ? done() : failed(new Error("The storage refused it. Reload the page and try again."))));
    q.addEventListener("error", () => failed(new Error("The line broke. Try again.")));
    q.send(file);
  });
}

function key() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
}
