/* The strip of thumbnails: pictures are added, selected and removed here, and what becomes of them is announced. */

import { showSelected } from "./answer/cards.js";
import { summary, verdict } from "./answer/verdict.js";
import { resetViewer, updateBeside } from "./answer/viewer.js";
import { announce, byId, fromTemplate, showOnceLoaded } from "./dom.js";
import { append, drop, insert, isDone, pictures, selected, setSelected, sourceOf } from "./pictures/list.js";
import { enqueue, sendNext } from "./pictures/queue.js";
import { isRefusal } from "./service/problems.js";

export function add(files, { isDrawn = false } = {}) {
  const added = [...files].map((file) => ({ file, isDrawn, preview: URL.createObjectURL(file) }));
  if (!added.length) return;
  for (const picture of added) {
    addThumbnail(picture);
    append(picture);
  }
  showStrip();
  added.forEach(enqueue);
  select(added[0]);
}

let removed = []; // by the last removal: its pictures, each with the place that it had

export function remove(gone) {
  forget();
  removed = gone.map((picture) => [pictures.indexOf(picture), picture]);
  drop(gone);
  for (const { item, request } of gone) {
    item.remove();
    request?.abort();
  }
  showStrip();
  select(pictures[removed[0][0]] ?? pictures.at(-1) ?? null);
  const [{ file }] = gone;
  const words = gone.length > 1 ? `${gone.length} pictures are removed.` : `${file.name} is removed.`;
  byId("undo").hidden = false;
  byId("undo").querySelector("span").textContent = words;
  if (!selected) byId("add").focus();
  announce(words);
  sendNext();
}

export function undoRemoval() {
  const back = removed.map(([, picture]) => picture);
  const list = byId("thumbnails");
  for (const [at, { item }] of removed) list.insertBefore(item, list.children[at] ?? null);
  insert(removed);
  removed = [];
  byId("undo").hidden = true;
  showStrip();
  back.filter((picture) => !isDone(picture)).forEach(enqueue);
  select(back[0]);
  back[0].button.focus();
}

// What was removed last is gone for good.
export function forget() {
  for (const [, { preview }] of removed) URL.revokeObjectURL(preview);
  removed = [];
  byId("undo").hidden = true;
}

// The label of its thumbnail, and the card below where it is the one selected.
export function showPicture(picture) {
  const { state, answer, problem, button } = picture;
  const waits = state === "sending" ? "Being answered …" : "Waiting …";
  const short = answer ? verdict(answer).short : problem?.title ?? waits;
  Object.assign(button.querySelector(".label"), { textContent: short, title: short });
  button.classList.toggle("failed", Boolean(problem) && !isRefusal(problem));
  if (picture === selected) showSelected();
  else if (isDone(picture)) updateBeside();
}

export function announceDone(picture) {
  if (picture.answer) showOnceLoaded(picture.item.querySelector("img"), sourceOf(picture));
  showPicture(picture);
  showTableButton();
  announce(picture === selected ? summary(picture) : "", pictures.every(isDone) ? tally() : "");
}

// The operating points of this model are known now, so its answers say more.
export function showAnswersOf({ sha256 }) {
  const answered = pictures.filter(({ answer }) => answer?.model.sha256 === sha256);
  answered.forEach(showPicture);
  if (answered.includes(selected)) announce(summary(selected));
}

function addThumbnail(picture) {
  const { file } = picture;
  const item = fromTemplate("thumbnail-template");
  const button = item.querySelector("button");
  Object.assign(picture, { item, button });
  button.addEventListener("click", () => select(picture));
  Object.assign(item.querySelector(".name"), { textContent: file.name, title: file.name });
  item.querySelector(".frame").dataset.kind = kindOf(file);
  showOnceLoaded(item.querySelector("img"), sourceOf(picture));
  byId("thumbnails").append(item);
}

const kindOf = ({ name }) => (/\.[^.]{1,5}$/.exec(name)?.[0].slice(1) ?? "file").toUpperCase();

function select(picture) {
  setSelected(picture);
  resetViewer();
  for (const each of pictures) each.button.setAttribute("aria-pressed", String(each === picture));
  showSelected();
  picture?.button.scrollIntoView({ block: "nearest", inline: "nearest" });
  if (picture && isDone(picture)) announce(summary(picture));
}

function showStrip() {
  byId("strip").hidden = !pictures.length;
  byId("add").classList.toggle("compact", pictures.length > 0);
  showTableButton();
}

function showTableButton() {
  byId("table").hidden = !pictures.some(isDone);
}

function tally() {
  if (pictures.length < 2) return "";
  const refused = pictures.filter(({ problem }) => problem).length;
  return `All ${pictures.length} pictures are done${refused ? `, ${refused} without an answer` : ""}.`;
}
