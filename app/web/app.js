/* The page: takes pictures, sends them to this service, and shows what it says of each.
   Nothing is kept beyond the tab, and nothing is asked of any other host. */

const AT_ONCE = 2;
const ATTEMPTS = 3;
const ASK_AGAIN_MS = { ready: 10_000, other: 2_000 };
const PATIENCE_MS = 5_000;
const STALLED_MS = 120_000;
const BUSY_S = 2;
const MOST_BUSY_S = 30;
// The service's own, for a checkpoint that brings no operating point.
const DEFAULT_OPERATING_POINT = 0.5;
const DEFAULT_STRENGTH = 60;
const DISCLAIMER = "Research software, not a medical device";

const STATES = {
  ready: "Ready",
  loading: "Loading the model …",
  draining: "Shutting down: takes no more pictures",
  failed: "Cannot serve its model",
  unreachable: "Cannot be reached; asking again …",
};
const SPELLED = { litert: "LiteRT", tensorflow: "TensorFlow", cpu: "CPU", gpu: "GPU" };

// What a person can do about a refusal, by the last part of its type.
const ADVICE = {
  "malformed-request": "Choose the file again. It may be empty.",
  "unauthorized": "Enter a valid key above.",
  "too-many-bytes": "Export the picture smaller, or as JPEG.",
  "too-many-pixels": "Export the picture with fewer pixels.",
  "unsupported-image-type": "Save it as JPEG or PNG, or take the DICOM file itself.",
  "wrong-modality": "Only projection radiographs are read: CR, DX and their like.",
  "unusable-image": "Export it again; this file is damaged, or holds more than one picture.",
  "not-a-chest-x-ray": "Send one frontal chest X-ray, the whole film, without a viewer's frame around it.",
  "queue-full": "Others are being answered. Try again in a few seconds.",
  "too-many-connections": "Others are being answered. Try again in a few seconds.",
  "not-ready": "Try again once the service says that it is ready.",
  "inference-stopped": "Try again once the service says that it is ready.",
  "deadline-exceeded": "The service is busy. Try again in a while.",
};
// And where the type says nothing, as of a proxy in between.
const ADVICE_BY_STATUS = { 401: ADVICE.unauthorized, 413: ADVICE["too-many-bytes"] };
const IN_A_WHILE = "Try again in a while. If it stays so, tell whoever runs the service.";
const TELL_THEM = "Tell whoever runs the service what you see here.";
const WORTH_REPEATING = new Set([0, 200, 401, 408, 429]);
// What ends by itself: the picture waits for it, and is sent again.
const PASSING = new Set(["queue-full", "too-many-connections", "not-ready", "inference-stopped"]);
// And of a proxy, while the service behind it starts anew.
const GATEWAY = new Set([502, 503]);
const UNREACHABLE = {
  status: 0,
  title: "The service cannot be reached",
  detail: "It is not running, or the network is down, or it no longer answers.",
};
const UNREADABLE = {
  status: null,
  title: "This file cannot be read",
  detail: "Your browser could not open it: it was moved, or changed, or it is a folder.",
  advice: "Choose it again. Of a folder, drop the files themselves.",
};
const GARBLED = {
  status: 200,
  title: "The answer cannot be read",
  detail: "What came back is none of this service's answers; something in between may have cut it.",
};

const byId = (id) => document.getElementById(id);
const text = (words) => document.createTextNode(words);
const element = (tag, properties) => Object.assign(document.createElement(tag), properties);
const fromTemplate = (id) => byId(id).content.firstElementChild.cloneNode(true);

let apiKey = "";
let health = { status: "asking" };
let looking = 0;
let isChecking = false;
let heldUntil = 0;
let pictures = [];
let selected = null;
const contracts = new Map(); // by the checkpoint's digest
const shown = { name: null, strength: DEFAULT_STRENGTH };

/* Asking */

// Rejects with a problem where no answer comes, or nothing moves for `patience` milliseconds.
function ask(method, path, { body, patience = PATIENCE_MS, onStart, onProgress } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let stalled;
    const wait = () => {
      clearTimeout(stalled);
      stalled = setTimeout(() => request.abort(), patience);
    };
    request.open(method, path);
    request.responseType = "json";
    if (apiKey) request.setRequestHeader("X-API-Key", apiKey);
    request.onload = () => resolve(request);
    request.onerror = request.onabort = () => reject(UNREACHABLE);
    request.onloadend = () => clearTimeout(stalled);
    request.onprogress = wait;
    if (body) {
      request.upload.onprogress = ({ loaded, total }) => {
        wait();
        onProgress?.(loaded / total);
      };
    }
    onStart?.(request);
    wait();
    request.send(body);
  });
}

// A neutral name: what the file was called stays in this tab.
function formOf({ file }) {
  const form = new FormData();
  form.append("file", file, "picture");
  return form;
}

function problemOf({ status, response }) {
  if (typeof response?.title !== "string") {
    return { status, title: "The service cannot answer", detail: `It said ${status}.` };
  }
  const { type, title, detail, request_id } = response;
  return { status, kind: String(type).split(":").pop(), title, detail, request_id };
}

const adviceOn = ({ status, kind, advice }) =>
  advice ?? ADVICE[kind] ?? ADVICE_BY_STATUS[status] ?? (isWorthRepeating({ status }) ? IN_A_WHILE : TELL_THEM);

const isWorthRepeating = ({ status }) =>
  WORTH_REPEATING.has(status) || (status >= 500 && status !== 501);

/* The service's state */

async function watch() {
  const wasReady = health.status === "ready";
  try {
    const answer = await fetch("health", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    health = await answer.json();
    if (!Object.hasOwn(STATES, health.status)) throw UNREACHABLE;
  } catch {
    health = { status: "unreachable" };
  }
  showState();
  const isNews = isOpen() ? !contracts.has(health.model?.sha256) : !wasReady;
  if (health.status === "ready" && isNews) readContract();
  sendNext();
  watchIn(ASK_AGAIN_MS[health.status] ?? ASK_AGAIN_MS.other);
}

function watchIn(milliseconds) {
  clearTimeout(looking);
  looking = setTimeout(watch, milliseconds);
}

// Whether no key is being asked for.
const isOpen = () => byId("key").hidden;

const spelled = (name) => SPELLED[name] ?? name;

function showState() {
  const { status, engine, device, model, version, reason } = health;
  const where = status === "ready" ? `, ${spelled(engine)} on ${spelled(device)}` : "";
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

// Gives the status of the answer.
async function readContract() {
  const key = apiKey;
  let request;
  try {
    request = await ask("GET", "model");
  } catch {
    return 0; // the next look at its state tells
  }
  const { status, response } = request;
  if (status === 401 && key === apiKey && isOpen()) askForKey();
  if (status === 200 && response?.operating_points) {
    contracts.set(response.sha256, response);
    const told = pictures.filter(({ answer }) => answer?.model.sha256 === response.sha256);
    told.forEach(showPicture);
    if (told.includes(selected)) announce([summary(selected)]);
    if (!isOpen()) letIn();
  }
  return status;
}

function askForKey() {
  byId("key").hidden = false;
  showKeyFault(apiKey ? "The service does not take this key any more." : "");
  pictures.forEach(showPicture);
  announce(["This service asks for an API key."]);
}

function letIn() {
  byId("key").hidden = true;
  showKeyFault("");
  pictures.filter(({ problem }) => problem?.status === 401).forEach(queue);
  sendNext();
}

function showKeyFault(words, isTheKeys = Boolean(words)) {
  byId("key-error").textContent = words;
  byId("key-field").setAttribute("aria-invalid", String(isTheKeys));
}

async function useKey(event) {
  event.preventDefault();
  if (isChecking) return;
  isChecking = true;
  await tryKey(byId("key-field").value.trim());
  isChecking = false;
  byId(isOpen() ? "add" : "key-field").focus();
}

async function tryKey(key) {
  if (!/^[\x21-\x7e]+$/.test(key)) {
    return showKeyFault("A key has letters, digits and signs only, and no space.");
  }
  apiKey = key;
  showKeyFault("Being checked …", false);
  const status = await readContract();
  if (isOpen()) return;
  if (status === 401) showKeyFault("The service does not take this key.");
  else showKeyFault("The service cannot check it now. Try again in a while.", false);
}

/* Pictures */

function add(files, { isDrawn = false } = {}) {
  const added = [...files].map((file) => ({ file, isDrawn, preview: URL.createObjectURL(file) }));
  if (!added.length) return;
  for (const picture of added) {
    const { file } = picture;
    const item = fromTemplate("thumbnail-template");
    const button = item.querySelector("button");
    Object.assign(picture, { item, button });
    button.addEventListener("click", () => select(picture));
    Object.assign(item.querySelector(".name"), { textContent: file.name, title: file.name });
    item.querySelector(".frame").dataset.kind = kindOf(file);
    showPreview(item.querySelector("img"), picture);
    byId("thumbnails").append(item);
    pictures.push(picture);
  }
  showStrip();
  added.forEach(queue);
  select(added[0]);
}

const kindOf = ({ name }) => (/\.[^.]{1,5}$/.exec(name)?.[0].slice(1) ?? "file").toUpperCase();

// What the browser cannot draw, such as DICOM, is shown once the service has drawn it.
function showPreview(image, { answer, preview }) {
  image.addEventListener("load", () => { image.hidden = false; });
  image.src = answer?.layers?.picture ?? preview;
}

function queue(picture) {
  wait(picture);
  picture.attempts = 0;
  sendNext();
}

function wait(picture) {
  Object.assign(picture, { state: "waiting", sent: 0, answer: null, problem: null });
  showPicture(picture);
}

const isSending = ({ state }) => state === "sending";
const isWaiting = ({ state }) => state === "waiting";
const isDone = ({ state }) => state === "done";

// Why nothing is sent now, in words; none where it is.
function obstacle() {
  if (!isOpen()) return "Waiting for a key …";
  if (health.status !== "ready") return "Waiting for the service …";
  return performance.now() < heldUntil ? "The service is busy; it is asked again …" : "";
}

function sendNext() {
  if (obstacle()) return pictures.filter(isWaiting).forEach(showPicture);
  const free = Math.max(0, AT_ONCE - pictures.filter(isSending).length);
  pictures.filter(isWaiting).slice(0, free).forEach(send);
}

async function send(picture) {
  const started = performance.now();
  const key = apiKey;
  picture.state = "sending";
  picture.attempts += 1;
  showPicture(picture);
  const found = await answerTo(picture);
  if (pictures.includes(picture)) {
    const { problem } = found;
    if (problem?.status === 401 && key !== apiKey) wait(picture); // asked before the key was known
    else if (problem && mayPass(problem) && picture.attempts < ATTEMPTS) {
      hold(problem);
      wait(picture);
    } else {
      const milliseconds = performance.now() - started;
      Object.assign(picture, found, { state: "done", milliseconds, endedAt: new Date() });
      settle(picture);
    }
  }
  sendNext();
}

// An answer, or the problem there is; never fails.
async function answerTo(picture) {
  try {
    const reader = picture.file.stream().getReader();
    await reader.read(); // a folder, or a file that is gone, fails at its first bytes
    reader.cancel();
  } catch {
    return { problem: UNREADABLE };
  }
  if (!pictures.includes(picture)) return {}; // removed meanwhile
  try {
    const request = await ask("POST", "predict?layers=true", {
      body: formOf(picture),
      patience: STALLED_MS,
      onStart: (begun) => { picture.request = begun; },
      onProgress: (share) => { picture.sent = share; showPicture(picture); },
    });
    const { status, response } = request;
    if (status !== 200) {
      const after = Math.min(Number(request.getResponseHeader("Retry-After")) || BUSY_S, MOST_BUSY_S);
      return { problem: { ...problemOf(request), after } };
    }
    return isAnswer(response) ? { answer: response } : { problem: GARBLED };
  } catch (problem) {
    return { problem };
  }
}

const isAnswer = (found) =>
  typeof found?.probabilities?.[found.label] === "number" &&
  typeof found.confidence === "number" &&
  typeof found.model?.sha256 === "string";

const mayPass = ({ status, kind }) =>
  status === 0 || PASSING.has(kind) || (!kind && GATEWAY.has(status));

// Send nothing for a while; what the service says of itself comes first.
function hold({ after = 0 }) {
  heldUntil = Math.max(heldUntil, performance.now() + 1000 * after);
  setTimeout(sendNext, 1000 * after + 1);
  if (!after) health = { status: "unreachable" };
  watchIn(0);
}

function settle(picture) {
  const { answer, problem } = picture;
  if (problem?.status === 401 && isOpen()) askForKey();
  if (answer) showPreview(picture.item.querySelector("img"), picture);
  if (answer && !contracts.has(answer.model.sha256)) watchIn(0);
  showPicture(picture);
  announce([picture === selected ? summary(picture) : "", pictures.every(isDone) ? tally() : ""]);
}

function tally() {
  if (pictures.length < 2) return "";
  const refused = pictures.filter(({ problem }) => problem).length;
  return `All ${pictures.length} pictures are done${refused ? `, ${refused} without an answer` : ""}.`;
}

function remove(gone) {
  const at = pictures.indexOf(gone[0]);
  pictures = pictures.filter((picture) => !gone.includes(picture));
  for (const { item, request, preview } of gone) {
    item.remove();
    request?.abort();
    URL.revokeObjectURL(preview);
  }
  showStrip();
  select(pictures[at] ?? pictures.at(-1) ?? null);
  if (!selected) {
    byId("add").focus();
    announce(["All pictures are removed."]);
  }
  sendNext();
}

function showStrip() {
  byId("strip").hidden = !pictures.length;
  byId("add").classList.toggle("compact", pictures.length > 0);
}

function select(picture) {
  selected = picture;
  shown.name = null;
  for (const each of pictures) each.button.setAttribute("aria-pressed", String(each === picture));
  showSelected();
  picture?.button.scrollIntoView({ block: "nearest", inline: "nearest" });
  if (picture && isDone(picture)) announce([summary(picture)]);
}

/* What an answer says */

const listed = (words, type = "conjunction") => new Intl.ListFormat("en", { type }).format(words);

// Never 0 or 100: no softmax is as sure as that sounds.
function percent(share) {
  if (share > 0.999) return "> 99.9 %";
  return share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`;
}

// Ticks stand where those of the very model are that answered.
const contractOf = ({ model }) => contracts.get(model.sha256);
const operatingPoint = ({ operating_points: points }, name) =>
  Object.hasOwn(points, name) ? points[name] : DEFAULT_OPERATING_POINT;

function verdict(answer) {
  const { label, confidence, probabilities, uncertain } = answer;
  const share = percent(confidence);
  const contract = contractOf(answer);
  if (uncertain) {
    return {
      short: "Uncertain",
      title: "Uncertain",
      meaning: `No class reaches its operating point: take this as no answer. ${label} is the likeliest, with ${share}.`,
    };
  }
  if (!contract) {
    return {
      short: `${label}?`,
      title: `Most like ${label}`,
      meaning: `With ${share}. The operating points are not known yet: no other class can be left out.`,
    };
  }
  const found = Object.keys(probabilities).filter((name) => probabilities[name] >= operatingPoint(contract, name));
  const others = found.filter((name) => name !== label);
  if (!others.length) return { short: label, title: `Looks most like ${label}`, meaning: meaningOf(answer) };
  const isPlural = others.length > 1;
  const either = listed([label, ...others], "disjunction");
  const likeliest = `${label} is the likeliest, with ${share}`;
  return {
    short: either,
    title: `Not clear-cut: ${either}`,
    meaning: found.includes(label)
      ? `${likeliest}. ${listed(others)} ${isPlural ? "reach their operating points" : "reaches its operating point"}, too, and cannot be left out.`
      : `${likeliest}, but below its operating point. ${listed(others)} ${isPlural ? "reach theirs" : "reaches its own"}. None of them can be left out.`,
  };
}

function meaningOf({ label, confidence, model }) {
  if (!model.calibrated) return `With a score of ${percent(confidence)}; it is not calibrated, and no probability.`;
  const many = confidence >= 0.995 ? "nearly all" : `about ${Math.round(100 * confidence)}`;
  return `Of 100 pictures like those it was judged on that get such a figure, ${many} would be ${label}. ` +
    "With other pictures it may be quite different.";
}

const warningsOn = ({ answer, isDrawn }) =>
  [...(isDrawn ? ["Drawn, not a patient: its figures mean nothing."] : []), ...(answer.warnings ?? [])];

function summary({ file, answer, problem, ...rest }) {
  if (problem) return `${file.name}: ${problem.title}. ${adviceOn(problem)}`;
  const { title, meaning } = verdict(answer);
  return [`${file.name}: ${title}. ${meaning}`, ...warningsOn({ answer, ...rest })].join(" ");
}

/* What is seen */

function announce(words) {
  const said = words.filter(Boolean).join(" ");
  if (said) byId("news").textContent = said;
}

function showPicture(picture) {
  const { state, answer, problem, button } = picture;
  const waits = state === "sending" ? "Being answered …" : "Waiting …";
  const short = answer ? verdict(answer).short : problem?.title ?? waits;
  Object.assign(button.querySelector(".label"), { textContent: short, title: short });
  button.classList.toggle("failed", Boolean(problem));
  if (picture === selected) showSelected();
}

function showSelected() {
  const section = byId("answer");
  section.hidden = !selected;
  if (!selected) return section.replaceChildren();
  if (selected.answer) return section.replaceChildren(answerCard(selected));
  if (selected.problem) return section.replaceChildren(problemCard(selected));
  showProgress(section, selected);
}

function showProgress(section, { file, state, sent }) {
  let card = section.querySelector(".waiting");
  if (!card) {
    card = fromTemplate("waiting-template");
    section.replaceChildren(card);
  }
  const isUnderway = state === "sending" && sent < 1;
  const words = state === "waiting"
    ? obstacle() || "Waiting for its turn …"
    : isUnderway ? "Sending …" : "Waiting for the answer …";
  card.querySelector("h2").textContent = words;
  card.querySelector(".name").textContent = file.name;
  const progress = card.querySelector("progress");
  if (isUnderway) progress.value = sent;
  else progress.removeAttribute("value");
  progress.setAttribute("aria-label", words);
}

function problemCard(picture) {
  const { problem, file } = picture;
  const card = fromTemplate("problem-template");
  card.querySelector("h2").textContent = problem.title;
  card.querySelector(".name").textContent = file.name;
  card.querySelector(".advice").textContent = adviceOn(problem);
  card.querySelector(".detail").textContent = problem.detail ?? "";
  showPreview(card.querySelector("img"), picture);
  card.querySelector("img").alt = "The picture that was sent";
  const again = card.querySelector(".again");
  again.parentElement.hidden = !isWorthRepeating(problem);
  again.addEventListener("click", () => {
    queue(picture);
    byId("answer").focus();
  });
  card.querySelector(".request").textContent = problem.request_id ? `Request ${problem.request_id}` : "";
  return card;
}

function answerCard(picture) {
  const card = fromTemplate("answer-template");
  const { title, meaning } = verdict(picture.answer);
  card.querySelector("h2").textContent = title;
  card.querySelector(".meaning").textContent = meaning;
  const warnings = warningsOn(picture);
  const list = card.querySelector(".warnings");
  list.hidden = !warnings.length;
  list.append(...warnings.map((warning) => element("li", { textContent: warning })));
  fillBars(card, picture.answer);
  fillFacts(card.querySelector(".facts"), picture);
  fillViewer(card, picture.answer);
  card.querySelector(".as-json").addEventListener("click", () => saveResult(picture));
  card.querySelector(".as-png").addEventListener("click", () => saveOverlay(card, picture.answer));
  return card;
}

function fillViewer(card, { layers, probabilities, label }) {
  const [under, over] = card.querySelectorAll(".stack img");
  const strength = card.querySelector("input[type=range]");
  const nothing = card.querySelector(".nothing");
  const viewer = card.querySelector(".viewer");
  const { picture, heat } = layers ?? {};
  viewer.hidden = !picture;
  card.querySelector(".controls").hidden = card.querySelector(".as-png").hidden = over.hidden = !heat;
  if (!picture) return;
  under.addEventListener("load", () => {
    under.parentElement.style.setProperty("--ratio", under.naturalWidth / under.naturalHeight);
  });
  under.src = picture;
  under.alt = "The X-ray";
  if (!heat) return;
  const names = Object.keys(probabilities);
  shown.name = names.includes(shown.name) ? shown.name : label;
  const show = () => {
    const map = Object.hasOwn(heat, shown.name) ? heat[shown.name] : null;
    over.hidden = !map;
    if (map) over.src = map;
    over.style.opacity = shown.strength / 100;
    nothing.textContent = map ? "" : `Nothing in the picture speaks for ${shown.name}.`;
    under.alt = map ? `The X-ray, with what speaks for ${shown.name} laid over it` : "The X-ray";
    strength.setAttribute("aria-valuetext", `${shown.strength} %`);
  };
  const switches = names.map((name) => {
    const radio = element("input", { type: "radio", name: "class", value: name, checked: name === shown.name });
    radio.addEventListener("change", () => { shown.name = name; show(); });
    const choice = element("label");
    choice.append(radio, text(` ${name}`));
    return choice;
  });
  card.querySelector(".classes").append(...switches);
  strength.value = shown.strength;
  strength.addEventListener("input", () => { shown.strength = strength.valueAsNumber; show(); });
  show();
}

function fillBars(card, answer) {
  const { probabilities, label, model } = answer;
  const contract = contractOf(answer);
  card.querySelector("caption").textContent = model.calibrated ? "Calibrated probabilities" : "Scores, not calibrated";
  card.querySelector(".key").hidden = !contract;
  const cell = (tag, role, properties) => {
    const made = element(tag, properties);
    made.setAttribute("role", role); // which a table loses that is laid out as none
    return made;
  };
  const rows = Object.entries(probabilities).map(([name, share]) => {
    const row = cell("tr", "row", { className: name === label ? "likeliest" : "" });
    const track = element("div", { className: "track" });
    const fill = element("div", { className: "fill" });
    fill.style.width = `${100 * share}%`;
    track.append(fill);
    if (contract) {
      const point = operatingPoint(contract, name);
      const tick = element("span", { className: "tick" });
      tick.style.left = `${100 * point}%`;
      const side = share < point ? "not reached" : "reached";
      track.append(tick, element("span", { className: "unseen", textContent: `${percent(point)}, ${side}` }));
    }
    const bar = cell("td", "cell");
    bar.append(track);
    row.append(
      cell("th", "rowheader", { scope: "row", textContent: name }),
      cell("td", "cell", { className: "share", textContent: percent(share) }),
      bar,
    );
    return row;
  });
  card.querySelector("tbody").append(...rows);
}

function fillFacts(list, { answer, milliseconds, endedAt, file }) {
  const facts = {
    "Picture": file.name,
    "Model": `${answer.model.name}, SHA-256 ${answer.model.sha256.slice(0, 12)}`,
    "Answered": endedAt.toLocaleString(),
    "Time": `${Math.round(milliseconds)} ms, sending included`,
    "Request": answer.request_id,
  };
  for (const [name, value] of Object.entries(facts)) {
    list.append(element("dt", { textContent: name }), element("dd", { textContent: value }));
  }
}

/* Saving */

function save(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const fileName = ({ request_id }, end) => `cxr-${String(request_id).slice(0, 8)}${end}`;

function saveResult(picture) {
  const { answer, file, endedAt } = picture;
  const { layers, ...result } = answer;
  const lines = JSON.stringify({
    note: DISCLAIMER,
    file: file.name,
    answered_at: endedAt.toISOString(),
    ...result,
    warnings: warningsOn(picture),
    operating_points: contractOf(answer)?.operating_points,
  }, null, 2);
  save(new Blob([`${lines}\n`], { type: "application/json" }), fileName(answer, ".json"));
}

// What is seen, with words below it that say what it is.
function saveOverlay(card, answer) {
  const [under, over] = card.querySelectorAll(".stack img");
  const { name, strength } = shown;
  const across = Math.max(under.naturalWidth, 480);
  const down = Math.round(across * under.naturalHeight / under.naturalWidth);
  const size = 15;
  const words = [
    `${over.hidden ? "Nothing speaks" : "What speaks"} for ${name}, ${percent(answer.probabilities[name])}`,
    `${answer.model.name}, SHA-256 ${answer.model.sha256.slice(0, 12)}`,
    DISCLAIMER,
  ];
  const canvas = element("canvas", { width: across, height: down + size * (1.5 * words.length + 1) });
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#101010";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(under, 0, 0, across, down);
  if (!over.hidden) {
    pen.globalAlpha = strength / 100;
    pen.drawImage(over, 0, 0, across, down);
    pen.globalAlpha = 1;
  }
  pen.font = `${size}px sans-serif`;
  pen.fillStyle = "#f0f0f0";
  words.forEach((line, at) => pen.fillText(line, size, down + size * (1.5 * at + 1.6), across - 2 * size));
  canvas.toBlob((blob) => save(blob, fileName(answer, `-${name}.png`)), "image/png");
}

/* A drawing, for those who have no X-ray at hand: gradients at a quarter of the size, enlarged,
   since no film is sharp; grain on top; and words that say what it is. */

const SAMPLE_SIDE = 640;

function drawSample() {
  const side = SAMPLE_SIDE / 4;
  const small = element("canvas", { width: side, height: side });
  drawThorax(small.getContext("2d"), side / 100);
  const canvas = element("canvas", { width: SAMPLE_SIDE, height: SAMPLE_SIDE });
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
  canvas.toBlob((blob) => {
    add([new File([blob], "drawn sample.png", { type: "image/png" })], { isDrawn: true });
  }, "image/png");
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
byId("remove").addEventListener("click", () => remove([selected]));
byId("clear").addEventListener("click", () => remove(pictures));
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
addEventListener("beforeunload", (event) => {
  if (pictures.some(({ isDrawn }) => !isDrawn)) event.preventDefault(); // nothing of them is kept
});
byId("scriptless").remove();
byId("add").hidden = byId("state").hidden = false;
watch();
