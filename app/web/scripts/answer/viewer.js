/* The X-ray with the heat map of one class laid over it, alone or beside another. */

import { element, fromTemplate, text } from "../dom.js";
import { pictures, selected } from "../pictures/list.js";
import { attachGestures } from "./gestures.js";
import { percent, verdict } from "./verdict.js";
import { invert, resetView, setWindow, showView, view, zoomBy } from "./zoom.js";

const DEFAULT_STRENGTH = 60;
const STEP = 1.25;

// The class whose map is shown, its strength in percent, which the next picture keeps, and the picture beside.
export const shown = { name: null, strength: DEFAULT_STRENGTH, beside: null };

// So that the next picture is first shown whole, with the map of its own label.
export function resetViewer() {
  shown.name = null;
  resetView();
}

export function fillViewer(card, picture) {
  const { layers, probabilities, label } = picture.answer;
  const names = Object.keys(probabilities);
  card.querySelector(".viewer").hidden = !layers?.picture;
  card.querySelector(".controls").hidden = card.querySelector(".as-png").hidden = !layers?.heat;
  if (!layers?.picture) return;
  if (!names.includes(shown.name)) shown.name = label;
  fillControls(card, names);
  fillLooking(card);
  showFilms(card);
}

// Pictures that were answered or removed meanwhile can, or cannot, be laid beside the selected one.
export function updateBeside() {
  const card = document.querySelector("#answer .answer");
  if (!card) return;
  if (shown.beside && !candidates().includes(shown.beside)) showFilms(card);
  fillBeside(card);
}

function fillControls(card, names) {
  const switches = names.map((name) => {
    const radio = element("input", { type: "radio", name: "class", value: name, checked: name === shown.name });
    radio.addEventListener("change", () => {
      shown.name = name;
      showHeat(card);
    });
    const choice = element("label");
    choice.append(radio, text(` ${name}`));
    return choice;
  });
  card.querySelector(".classes").append(...switches);
  const strength = card.querySelector(".strength");
  strength.value = shown.strength;
  strength.addEventListener("input", () => {
    shown.strength = strength.valueAsNumber;
    showHeat(card);
  });
}

function fillLooking(card) {
  const on = (name, kind, act) => card.querySelector(name).addEventListener(kind, act);
  on(".nearer", "click", () => zoomBy(STEP));
  on(".farther", "click", () => zoomBy(1 / STEP));
  on(".invert", "click", invert);
  on(".reset", "click", resetView);
  on(".level", "input", ({ target }) => setWindow(target.valueAsNumber, view.width));
  on(".width", "input", ({ target }) => setWindow(view.level, target.valueAsNumber));
  on(".beside select", "change", ({ target }) => {
    shown.beside = candidates()[target.selectedIndex - 1] ?? null;
    showFilms(card);
  });
  fillBeside(card);
}

const candidates = () => pictures.filter((picture) => picture !== selected && picture.answer?.layers?.picture);

function fillBeside(card) {
  const others = candidates();
  const label = card.querySelector(".beside");
  label.hidden = !others.length;
  const select = label.querySelector("select");
  select.replaceChildren(element("option", { textContent: "no other" }), ...others.map(({ file, answer }) =>
    element("option", { textContent: `${file.name}: ${verdict(answer).short}` })));
  select.selectedIndex = others.indexOf(shown.beside) + 1;
}

function showFilms(card) {
  if (!candidates().includes(shown.beside)) shown.beside = null;
  const side = [selected, shown.beside].filter(Boolean);
  card.classList.toggle("comparing", side.length > 1);
  const films = side.map((picture) => filmOf(picture, side.length > 1));
  card.querySelector(".films").replaceChildren(...films);
  showHeat(card);
  // The card may not be in the page yet, which shows the view.
  queueMicrotask(showView);
}

function filmOf({ file, answer }, isOneOfTwo) {
  const film = fromTemplate("film-template");
  const frame = film.querySelector(".stack");
  const under = film.querySelector(".picture");
  under.addEventListener("load", () => {
    frame.style.setProperty("--ratio", under.naturalWidth / under.naturalHeight);
  });
  under.src = answer.layers.picture;
  film.answer = answer;
  attachGestures(frame);
  const caption = film.querySelector("figcaption");
  caption.hidden = !isOneOfTwo;
  if (!isOneOfTwo) return film;
  frame.setAttribute("aria-label", `The film ${file.name}`);
  const shares = Object.entries(answer.probabilities).map(([name, share]) => `${name} ${percent(share)}`);
  caption.append(
    element("span", { className: "name faint", textContent: file.name }),
    element("strong", { textContent: verdict(answer).title }),
    element("span", { textContent: shares.join(", ") }),
  );
  return film;
}

function showHeat(card) {
  for (const film of card.querySelectorAll(".film")) {
    const [under, over] = film.querySelectorAll("img");
    const { layers: { heat }, probabilities } = film.answer;
    const map = heat && Object.hasOwn(heat, shown.name) ? heat[shown.name] : null;
    over.hidden = !map;
    if (map) over.src = map;
    over.style.opacity = shown.strength / 100;
    under.alt = map ? `The X-ray, with what speaks for ${shown.name} laid over it` : "The X-ray";
    const isKnown = Object.hasOwn(probabilities, shown.name);
    film.querySelector(".nothing").textContent = map || !heat
      ? ""
      : isKnown ? `Nothing in the picture speaks for ${shown.name}.` : `The model of this film knows no ${shown.name}.`;
  }
  card.querySelector(".strength").setAttribute("aria-valuetext", `${shown.strength} %`);
}
