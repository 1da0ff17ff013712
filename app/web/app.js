/* The page: takes pictures, sends them to this service, and shows what it says of each.
   Nothing is kept beyond the tab, and nothing is asked of any other host. */

const AT_ONCE = 2;
const ASK_AGAIN_MS = { ready: 10_000, other: 2_000 };
const PATIENCE_MS = 5_000;
// The service's own, for a checkpoint that brings no operating point.
const DEFAULT_OPERATING_POINT = 0.5;
const DEFAULT_STRENGTH = 60;

const STATES = {
  ready: "Ready",
  loading: "Loading the model …",
  draining: "Shutting down: takes no more pictures",
  failed: "Cannot serve its model",
  unreachable: "Cannot be reached; asking again …",
};

// What a person can do about a refusal, by the last part of its type.
const ADVICE = {
  "malformed-request": "Choose the file again. It may be empty.",
  "unauthorized": "Enter a valid key above, then try again.",
  "too-many-bytes": "Export the picture smaller, or as JPEG.",
  "too-many-pixels": "Export the picture with fewer pixels.",
  "unsupported-image-type": "Save it as JPEG or PNG, or take the DICOM file itself.",
  "wrong-modality": "Only projection radiographs are read: CR, DX and their like.",
  "unusable-image": "Export it again; this file is damaged, or holds more than one picture.",
  "not-a-chest-x-ray": "Send one frontal chest X-ray, the whole film, without a viewer's frame around it.",
  "queue-full": "Others are being answered. Try again in a few seconds.",
  "not-ready": "Wait until the service says that it is ready, then try again.",
  "inference-stopped": "Wait until the service says that it is ready, then try again.",
  "deadline-exceeded": "The service is busy. Try again in a while.",
};
const WORTH_REPEATING = new Set([0, 401, 500, 503, 504]);
const UNREACHABLE = {
  status: 0,
  title: "The service cannot be reached",
  detail: "No answer came: it may be restarting, or the connection is broken.",
};

const byId = (id) => document.getElementById(id);
const text = (value) => document.createTextNode(value);
const fromTemplate = (id) => byId(id).content.cloneNode(true).firstElementChild;

let apiKey = "";
let health = null;
let contract = null;
let pictures = [];
let selected = null;
let shown = { name: null, strength: DEFAULT_STRENGTH };

/* Asking */

function ask(method, path, { body, kind = "json", onStart, onProgress } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, path);
    request.responseType = kind;
    if (apiKey) request.setRequestHeader("X-API-Key", apiKey);
    request.onload = () => resolve(request);
    request.onerror = request.onabort = () => reject(UNREACHABLE);
    if (onProgress) request.upload.onprogress = (event) => onProgress(event.loaded / event.total);
    onStart?.(request);
    request.send(body);
  });
}

// A neutral name: what the file was called stays in this tab.
function formOf(picture) {
  const form = new FormData();
  form.append("file", picture.file, "picture");
  return form;
}

async function problemOf(request) {
  const { status, response } = request;
  let found = response;
  if (found instanceof Blob) found = await new Response(found).json().catch(() => null);
  return found ?? { status, title: "The service cannot answer", detail: `It said ${status}.` };
}

/* The service's state */

async function watch() {
  try {
    const answer = await fetch("health", { signal: AbortSignal.timeout(PATIENCE_MS) });
    health = await answer.json();
    if (!(health.status in STATES)) throw UNREACHABLE;
  } catch {
    health = { status: "unreachable" };
  }
  showState();
  if (health.status === "ready" && contract?.sha256 !== health.model.sha256) await readContract();
  setTimeout(watch, ASK_AGAIN_MS[health.status] ?? ASK_AGAIN_MS.other);
}

function showState() {
  const { status, engine, device, model, version, reason } = health;
  const where = status === "ready" ? `, ${engine} on ${device}` : "";
  const words = `${STATES[status]}${where}${reason ? `: ${reason}` : ""}`;
  const state = byId("state");
  state.dataset.state = status;
  if (state.textContent !== words) state.textContent = words;
  if (model) {
    const calibrated = model.calibrated ? "calibrated" : "not calibrated";
    byId("model").textContent =
      `Model ${model.name}, SHA-256 ${model.sha256.slice(0, 12)}, ${calibrated}; service ${version}.`;
  }
}

async function readContract() {
  try {
    const request = await ask("GET", "model");
    if (request.status === 401) return askForKey();
    if (request.status === 200) contract = request.response;
  } catch {
    return; // the next look at its state tells
  }
  showSelected();
}

function askForKey() {
  const isWrong = Boolean(apiKey);
  byId("key").hidden = false;
  if (isWrong) announce("The service does not take this key.");
}

async function useKey(event) {
  event.preventDefault();
  apiKey = byId("key-field").value.trim();
  contract = null;
  byId("key").hidden = true;
  await readContract();
  if (!byId("key").hidden) return byId("key-field").focus();
  pictures.filter((picture) => picture.problem?.status === 401).forEach(queue);
  byId("add").focus();
}

/* Pictures */

function add(files) {
  const added = [...files].map((file) => ({ file, preview: URL.createObjectURL(file) }));
  if (!added.length) return;
  for (const picture of added) {
    const item = fromTemplate("thumbnail-template");
    picture.item = item;
    picture.button = item.querySelector("button");
    picture.button.addEventListener("click", () => select(picture));
    item.querySelector(".name").textContent = picture.file.name;
    item.querySelector(".frame").dataset.kind = kindOf(picture.file);
    showPreview(item.querySelector("img"), picture);
    byId("thumbnails").append(item);
    pictures.push(picture);
    queue(picture);
  }
  byId("strip").hidden = false;
  select(added[0]);
}

const kindOf = ({ name }) => (/\.[^.]{1,5}$/.exec(name)?.[0].slice(1) ?? "file").toUpperCase();

// What the browser cannot draw, such as DICOM, is shown once the service has drawn it.
function showPreview(image, picture) {
  image.addEventListener("load", () => { image.hidden = false; });
  image.src = picture.answer?.layers.picture ?? picture.preview;
}

function queue(picture) {
  Object.assign(picture, { state: "waiting", sent: 0, answer: null, problem: null });
  showPicture(picture);
  sendNext();
}

function sendNext() {
  const free = AT_ONCE - pictures.filter((picture) => picture.state === "sending").length;
  pictures.filter((picture) => picture.state === "waiting").slice(0, free).forEach(send);
}

async function send(picture) {
  picture.state = "sending";
  const started = performance.now();
  try {
    const request = await ask("POST", "predict?layers=true", {
      body: formOf(picture),
      onStart: (begun) => { picture.request = begun; },
      onProgress: (share) => { picture.sent = share; showPicture(picture); },
    });
    if (request.status === 200) picture.answer = request.response;
    else picture.problem = await problemOf(request);
  } catch (problem) {
    picture.problem = problem;
  }
  if (!pictures.includes(picture)) return; // removed meanwhile
  picture.milliseconds = performance.now() - started;
  picture.state = "done";
  if (picture.problem?.status === 401) askForKey();
  if (picture.answer) showPreview(picture.item.querySelector("img"), picture);
  showPicture(picture);
  announce(`${picture.file.name}: ${headline(picture)}`);
  sendNext();
}

function removeAll() {
  const gone = pictures;
  pictures = [];
  selected = null;
  for (const picture of gone) {
    picture.request?.abort();
    URL.revokeObjectURL(picture.preview);
  }
  byId("thumbnails").replaceChildren();
  byId("strip").hidden = true;
  showSelected();
  announce("All pictures are removed.");
  byId("add").focus();
}

function select(picture) {
  selected = picture;
  shown.name = null;
  for (const each of pictures) each.button.setAttribute("aria-pressed", String(each === picture));
  showSelected();
}

/* What is seen */

function announce(words) {
  byId("news").textContent = words;
}

// Never 0 or 100: no softmax is as sure as that sounds.
function percent(share) {
  if (share > 0.999) return "> 99.9 %";
  return share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`;
}

function headline({ state, answer, problem }) {
  if (state !== "done") return state === "sending" ? "Being answered …" : "Waiting …";
  if (problem) return problem.title;
  return answer.uncertain ? "Uncertain" : `Looks most like ${answer.label}`;
}

function showPicture(picture) {
  const { state, answer, problem, button } = picture;
  const short = answer && !answer.uncertain ? answer.label : headline(picture);
  button.querySelector(".label").textContent = short;
  button.classList.toggle("failed", Boolean(problem) && state === "done");
  if (picture === selected) showSelected();
}

function showSelected() {
  const section = byId("answer");
  section.hidden = !selected;
  if (!selected) return section.replaceChildren();
  if (selected.answer) return showAnswer(section, selected);
  if (selected.problem) return section.replaceChildren(problemCard(selected));
  showProgress(section, selected);
}

function showProgress(section, { state, sent }) {
  let card = section.querySelector(".waiting");
  if (!card) {
    card = fromTemplate("waiting-template");
    section.replaceChildren(card);
  }
  const isUnderway = state === "sending" && sent < 1;
  card.querySelector("h2").textContent =
    state === "waiting" ? "Waiting for its turn …" : isUnderway ? "Sending …" : "Waiting for the answer …";
  const progress = card.querySelector("progress");
  if (isUnderway) progress.value = sent;
  else progress.removeAttribute("value");
  progress.setAttribute("aria-label", card.querySelector("h2").textContent);
}

function problemCard(picture) {
  const { problem } = picture;
  const kind = (problem.type ?? "").split(":").pop();
  const card = fromTemplate("problem-template");
  card.querySelector("h2").textContent = problem.title;
  card.querySelector(".detail").textContent = problem.detail;
  card.querySelector(".advice").textContent = ADVICE[kind] ?? "";
  showPreview(card.querySelector("img"), picture);
  card.querySelector("img").alt = "The picture that was sent";
  const again = card.querySelector(".again");
  again.hidden = !WORTH_REPEATING.has(problem.status);
  again.addEventListener("click", () => queue(picture));
  const id = problem.request_id;
  card.querySelector(".request").textContent = id ? `Request ${id}` : "";
  return card;
}

function showAnswer(section, picture) {
  const card = fromTemplate("answer-template");
  fillViewer(card, picture);
  fillVerdict(card, picture.answer);
  fillBars(card, picture.answer);
  fillFacts(card.querySelector(".facts"), picture);
  card.querySelector(".as-json").addEventListener("click", () => saveResult(picture));
  const asPng = card.querySelector(".as-png");
  asPng.hidden = !picture.answer.layers.heat[picture.answer.label];
  asPng.addEventListener("click", () => saveOverlay(picture));
  section.replaceChildren(card);
}

function fillViewer(card, { answer }) {
  const { picture, heat } = answer.layers;
  const names = Object.keys(heat);
  const [under, over] = card.querySelectorAll(".stack img");
  const strength = card.querySelector("input[type=range]");
  under.src = picture;
  card.querySelector(".controls").hidden = over.hidden = !names.length;
  under.alt = "The X-ray";
  if (!names.length) return;
  shown.name = names.includes(shown.name) ? shown.name : answer.label;
  const show = () => {
    over.src = heat[shown.name];
    over.style.opacity = shown.strength / 100;
    under.alt = `The X-ray, with what speaks for ${shown.name} laid over it`;
    strength.setAttribute("aria-valuetext", `${shown.strength} %`);
  };
  const switches = names.map((name) => {
    const radio = Object.assign(document.createElement("input"), {
      type: "radio", name: "class", value: name, checked: name === shown.name,
    });
    radio.addEventListener("change", () => { shown.name = name; show(); });
    const label = document.createElement("label");
    label.append(radio, text(` ${name}`));
    return label;
  });
  card.querySelector(".classes").append(...switches);
  strength.value = shown.strength;
  strength.addEventListener("input", () => { shown.strength = strength.valueAsNumber; show(); });
  show();
}

const operatingPoint = (name) => contract?.operating_points[name] ?? DEFAULT_OPERATING_POINT;

function fillVerdict(card, answer) {
  const { label, confidence, uncertain, warnings } = answer;
  const share = percent(confidence);
  card.querySelector("h2").textContent = uncertain ? "Uncertain" : `Looks most like ${label}`;
  card.querySelector(".meaning").textContent = uncertain
    ? `No class reaches its operating point: take this as no answer. ${label} comes nearest, with ${share}.`
    : answer.model.calibrated
      ? `${share}: of pictures like those it was judged on that got such a figure, about so many were ${label}.`
      : `With a score of ${share}.`;
  const list = card.querySelector(".warnings");
  list.hidden = !warnings.length;
  for (const warning of warnings) list.append(Object.assign(document.createElement("li"), { textContent: warning }));
}

function fillBars(card, { probabilities, label, model }) {
  card.querySelector("caption").textContent = model.calibrated ? "Calibrated probabilities" : "Scores, not calibrated";
  card.querySelector(".key").hidden = !contract;
  const body = card.querySelector("tbody");
  for (const [name, share] of Object.entries(probabilities)) {
    const row = body.insertRow();
    row.classList.toggle("likeliest", name === label);
    const head = Object.assign(document.createElement("th"), { scope: "row", textContent: name });
    const track = Object.assign(document.createElement("div"), { className: "track" });
    const fill = Object.assign(document.createElement("div"), { className: "fill" });
    fill.style.width = `${100 * share}%`;
    track.append(fill);
    const bar = document.createElement("td");
    if (contract) {
      const tick = Object.assign(document.createElement("span"), { className: "tick" });
      tick.style.left = `${100 * operatingPoint(name)}%`;
      const words = Object.assign(document.createElement("span"), {
        className: "unseen", textContent: `operating point ${percent(operatingPoint(name))}`,
      });
      track.append(tick, words);
    }
    bar.append(track);
    const figure = Object.assign(document.createElement("td"), { className: "share", textContent: percent(share) });
    row.append(head, figure, bar);
  }
}

function fillFacts(list, { answer, milliseconds, file }) {
  const facts = {
    "Picture": file.name,
    "Model": `${answer.model.name}, SHA-256 ${answer.model.sha256.slice(0, 12)}`,
    "Time": `${Math.round(milliseconds)} ms, sending included`,
    "Request": answer.request_id,
  };
  for (const [name, value] of Object.entries(facts)) {
    list.append(
      Object.assign(document.createElement("dt"), { textContent: name }),
      Object.assign(document.createElement("dd"), { textContent: value }),
    );
  }
}

/* Saving */

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function saveResult({ answer }) {
  const { layers, ...result } = answer;
  const lines = `${JSON.stringify(result, null, 2)}\n`;
  save(new Blob([lines], { type: "application/json" }), `cxr-${answer.request_id.slice(0, 8)}.json`);
}

async function saveOverlay(picture) {
  const { name } = shown;
  try {
    const path = `explain?class=${encodeURIComponent(name)}`;
    const request = await ask("POST", path, { body: formOf(picture), kind: "blob" });
    if (request.status !== 200) throw await problemOf(request);
    save(request.response, `cxr-${picture.answer.request_id.slice(0, 8)}-${name}.png`);
  } catch (problem) {
    byId("answer").querySelector(".unsaved").textContent =
      `The overlay was not saved. ${problem.title}: ${problem.detail}`;
  }
}

/* A drawing, for those who have no X-ray at hand: gradients at a quarter of the size, enlarged,
   since no film is sharp; grain on top; and words that say what it is. */

const SAMPLE_SIDE = 640;

function drawSample() {
  const side = SAMPLE_SIDE / 4;
  const small = Object.assign(document.createElement("canvas"), { width: side, height: side });
  drawThorax(small.getContext("2d"), side / 100);
  const canvas = Object.assign(document.createElement("canvas"), { width: SAMPLE_SIDE, height: SAMPLE_SIDE });
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(small, 0, 0, SAMPLE_SIDE, SAMPLE_SIDE);
  const pixels = pen.getImageData(0, 0, SAMPLE_SIDE, SAMPLE_SIDE);
  let seed = 1; // of a generator of our own, so that each drawing is the same
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (let i = 0; i < pixels.data.length; i += 4) {
    const grain = 14 * (random() + random() - 1);
    for (let band = 0; band < 3; band += 1) pixels.data[i + band] += grain;
  }
  pen.putImageData(pixels, 0, 0);
  pen.font = "bold 26px sans-serif";
  pen.fillStyle = "#ddd";
  pen.textAlign = "center";
  pen.fillText("DRAWN SAMPLE, NOT A PATIENT", SAMPLE_SIDE / 2, SAMPLE_SIDE - 16);
  canvas.toBlob((blob) => add([new File([blob], "drawn sample.png", { type: "image/png" })]), "image/png");
}

// In hundredths of the side. The figures were found by trial: the gate takes the drawing for a chest.
function drawThorax(pen, unit) {
  pen.scale(unit, unit);
  const gray = (level, opacity = 1) => `rgb(${level} ${level} ${level} / ${opacity})`;
  const blot = (x, y, across, down, level, opacity, edge = 0.75) => {
    const glow = pen.createRadialGradient(0, 0, edge, 0, 0, 1);
    glow.addColorStop(0, gray(level, opacity));
    glow.addColorStop(1, gray(level, 0));
    pen.save();
    pen.translate(x, y);
    pen.scale(across, down);
    pen.fillStyle = glow;
    pen.fillRect(-1, -1, 2, 2);
    pen.restore();
  };
  pen.fillStyle = gray(10.9);
  pen.fillRect(0, 0, 100, 100);
  blot(50, 68.8, 50, 75.8, 150, 0.99, 0.807); // trunk
  blot(50, 10.3, 13, 27.7, 152, 0.99); // neck
  for (const turn of [-0.99, 0.965]) {
    blot(50 + 29.8 * turn, 19.3, 28.5, 15.9, 125, 0.753, 0.302); // shoulder
    blot(50 + 44.9 * turn, 50, 10.9, 56.6, 135, 0.695, 0.3); // the wall of the chest, and the arm
    blot(50 + 20.4 * turn, 48, 14.6, 26, 41.6, 0.943, 0.643); // lung
    blot(50 + 17 * turn, 29.4, 10.3, 15.9, 50.4, 0.68, 0.488);
    blot(50 + 24.1 * turn, 64, 10.4, 17.7, 50, 0.737, 0.485);
  }
  blot(50, 50, 6.61, 61.2, 246, 0.736, 0.297); // spine and mediastinum
  blot(57, 62.6, 18.1, 17.3, 211, 0.99, 0.538); // heart
  blot(47, 29.5, 6.42, 12.2, 188, 0.456, 0.326);
  blot(41, 41.2, 5.55, 12, 156, 0.461, 0.112); // hila
  blot(60, 42.9, 6.12, 11.8, 164, 0.487, 0.093);
  blot(28, 96, 27, 15.9, 170, 0.99, 0.661); // domes of the diaphragm
  blot(73, 98, 21.5, 18.6, 178, 0.99, 0.575);
  pen.lineWidth = 1.96;
  for (let rib = 0; rib < 10; rib += 1) {
    const y = 15.9 + 8.61 * rib;
    for (const turn of [-1, 0.677]) {
      pen.strokeStyle = gray(209, 0.192);
      pen.beginPath();
      pen.moveTo(50 + 4.26 * turn, y);
      pen.bezierCurveTo(50 + 21 * turn, y - 5.82, 50 + 38 * turn, y, 50 + 33.7 * turn, y + 13.7);
      pen.stroke();
    }
  }
  pen.lineWidth = 3.55;
  pen.strokeStyle = gray(192, 0.346); // clavicles
  for (const turn of [-0.874, 0.967]) {
    pen.beginPath();
    pen.moveTo(50 + 4.53 * turn, 28.5);
    pen.bezierCurveTo(50 + 16.5 * turn, 13, 50 + 25.4 * turn, 23.8, 50 + 37 * turn, 10.6);
    pen.stroke();
  }
}

/* Wiring */

const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");

byId("files").addEventListener("change", ({ target }) => {
  add(target.files);
  target.value = ""; // so that the same file can be chosen again
});
byId("sample").addEventListener("click", drawSample);
byId("clear").addEventListener("click", removeAll);
byId("key").addEventListener("submit", useKey);
addEventListener("paste", ({ clipboardData }) => add(clipboardData.files));
addEventListener("dragover", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  byId("add").classList.add("over");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) byId("add").classList.remove("over");
});
addEventListener("drop", (event) => {
  byId("add").classList.remove("over");
  if (!holdsFiles(event)) return;
  event.preventDefault();
  add(event.dataTransfer.files);
});
byId("scriptless").remove();
byId("add").hidden = false;
watch();
