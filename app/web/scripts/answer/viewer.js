/* The X-ray with the heat map of one class laid over it. */

import { element, text } from "../dom.js";

const DEFAULT_STRENGTH = 60;

// The class whose map is shown, and its strength in percent, which the next picture keeps.
export const shown = { name: null, strength: DEFAULT_STRENGTH };

// So that the next picture is first shown with the map of its own label.
export function resetClass() {
  shown.name = null;
}

export function fillViewer(card, { layers, probabilities, label }) {
  const [under, over] = card.querySelectorAll(".stack img");
  const { picture, heat } = layers ?? {};
  card.querySelector(".viewer").hidden = !picture;
  card.querySelector(".controls").hidden = card.querySelector(".as-png").hidden = over.hidden = !heat;
  if (!picture) return;
  under.addEventListener("load", () => {
    under.parentElement.style.setProperty("--ratio", under.naturalWidth / under.naturalHeight);
  });
  under.src = picture;
  under.alt = "The X-ray";
  if (!heat) return;
  const names = Object.keys(probabilities);
  if (!names.includes(shown.name)) shown.name = label;
  fillControls(card, names, () => showHeat(card, heat));
  showHeat(card, heat);
}

function fillControls(card, names, show) {
  const switches = names.map((name) => {
    const radio = element("input", { type: "radio", name: "class", value: name, checked: name === shown.name });
    radio.addEventListener("change", () => {
      shown.name = name;
      show();
    });
    const choice = element("label");
    choice.append(radio, text(` ${name}`));
    return choice;
  });
  card.querySelector(".classes").append(...switches);
  const strength = strengthOf(card);
  strength.value = shown.strength;
  strength.addEventListener("input", () => {
    shown.strength = strength.valueAsNumber;
    show();
  });
}

function showHeat(card, heat) {
  const [under, over] = card.querySelectorAll(".stack img");
  const map = Object.hasOwn(heat, shown.name) ? heat[shown.name] : null;
  over.hidden = !map;
  if (map) over.src = map;
  over.style.opacity = shown.strength / 100;
  under.alt = map ? `The X-ray, with what speaks for ${shown.name} laid over it` : "The X-ray";
  card.querySelector(".nothing").textContent = map ? "" : `Nothing in the picture speaks for ${shown.name}.`;
  strengthOf(card).setAttribute("aria-valuetext", `${shown.strength} %`);
}

const strengthOf = (card) => card.querySelector("input[type=range]");
