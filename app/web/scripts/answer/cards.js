/* The card of the selected picture: its progress, its problem or its answer. */

import { byId, element, fromTemplate, showOnceLoaded } from "../dom.js";
import { selected, sourceOf } from "../pictures/list.js";
import { enqueue, obstacle } from "../pictures/queue.js";
import { contractOf, groundOf, operatingPoint } from "../service/contracts.js";
import { adviceOn, isRefusal, isWorthRepeating } from "../service/problems.js";
import { saveOverlay, saveResult } from "./saving.js";
import { judgedOn, percent, verdict, warningsOn } from "./verdict.js";
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
  card.classList.toggle("refusal", isRefusal(problem));
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
  card.querySelector(".judged").textContent = judgedOn(picture.answer);
  const warnings = warningsOn(picture);
  const list = card.querySelector(".warnings");
  list.hidden = !warnings.length;
  list.append(...warnings.map((warning) => element("li", { textContent: warning })));
  fillBars(card, picture.answer);
  fillFacts(card.querySelector(".facts"), picture);
  fillViewer(card, picture);
  card.querySelector(".as-json").addEventListener("click", () => saveResult(picture));
  card.querySelector(".as-png").addEventListener("click", () => saveOverlay(card, picture.answer));
  card.querySelector(".print").addEventListener("click", () => print());
  return card;
}

function fillBars(card, answer) {
  const { probabilities, label, model } = answer;
  const contract = contractOf(answer);
  const names = Object.keys(probabilities);
  card.querySelector("caption").textContent = model.calibrated ? "Calibrated probabilities" : "Scores, not calibrated";
  card.querySelector(".key").hidden = !contract;
  card.querySelector(".fitted").hidden = !contract || !Object.keys(contract.operating_points).length;
  card.querySelector(".ground").textContent = contract ? groundOf(contract) : "";
  card.querySelector(".assumed").hidden = !contract || names.every((name) => Object.hasOwn(contract.operating_points, name));
  const rows = names.map((name) => {
    const share = probabilities[name];
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
    const just = percent(share) === percent(point) ? "just " : ""; // as the same figure stands for both
    const side = share < point ? `${just}not reached` : `${just}reached`;
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
