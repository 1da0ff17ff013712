/* The card of the selected picture: its progress, its problem or its answer. */

import { byId, element, fromTemplate, showOnceLoaded } from "../dom.js";
import { selected, sourceOf } from "../pictures/list.js";
import { enqueue, obstacle } from "../pictures/queue.js";
import { contractOf, operatingPoint } from "../service/contracts.js";
import { adviceOn, isWorthRepeating } from "../service/problems.js";
import { saveOverlay, saveResult } from "./saving.js";
import { percent, verdict, warningsOn } from "./verdict.js";
import { fillViewer } from "./viewer.js";

export function showSelected() {
  const section = byId("answer");
  section.hidden = !selected;
  if (!selected) section.replaceChildren();
  else if (selected.answer) section.replaceChildren(answerCard(selected));
  else if (selected.problem) section.replaceChildren(problemCard(selected));
  else showProgress(section, selected);
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
  const image = card.querySelector("img");
  showOnceLoaded(image, sourceOf(picture));
  image.alt = "The picture that was sent";
  const again = card.querySelector(".again");
  again.parentElement.hidden = !isWorthRepeating(problem);
  again.addEventListener("click", () => {
    enqueue(picture);
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

function fillBars(card, answer) {
  const { probabilities, label, model } = answer;
  const contract = contractOf(answer);
  card.querySelector("caption").textContent = model.calibrated ? "Calibrated probabilities" : "Scores, not calibrated";
  card.querySelector(".key").hidden = !contract;
  const rows = Object.entries(probabilities).map(([name, share]) => {
    const row = cell("tr", "row", { className: name === label ? "likeliest" : "" });
    const bar = cell("td", "cell");
    bar.append(trackOf(share, contract && operatingPoint(contract, name)));
    row.append(
      cell("th", "rowheader", { scope: "row", textContent: name }),
      cell("td", "cell", { className: "share", textContent: percent(share) }),
      bar,
    );
    return row;
  });
  card.querySelector("tbody").append(...rows);
}

// With its role, which a table loses that is not laid out as one.
function cell(tag, role, properties) {
  const made = element(tag, properties);
  made.setAttribute("role", role);
  return made;
}

// A bar as long as the share, with a tick at the operating point where that is known.
function trackOf(share, point) {
  const track = element("div", { className: "track" });
  const fill = element("div", { className: "fill" });
  fill.style.width = `${100 * share}%`;
  track.append(fill);
  if (point !== undefined) {
    const tick = element("span", { className: "tick" });
    tick.style.left = `${100 * point}%`;
    const side = share < point ? "not reached" : "reached";
    track.append(tick, element("span", { className: "unseen", textContent: `${percent(point)}, ${side}` }));
  }
  return track;
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
