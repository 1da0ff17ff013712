/* How the films are looked at: the part that is seen, and the window of gray levels. Films side by side
   are looked at alike. None of it reaches the service. */

import { byId } from "../dom.js";

const CLOSEST = 12;
export const LEVELS = 255;
const NARROWEST = 2;
const UNTOUCHED = { zoom: 1, x: 0, y: 0, level: LEVELS / 2, width: LEVELS, isInverted: false };

// `x` and `y` are where the film's corner is, in sides of the frame; `level` is the window's middle.
export const view = { ...UNTOUCHED };

export function resetView() {
  Object.assign(view, UNTOUCHED);
  showView();
}

// What is at `across` and `down`, in sides of the frame, stays there.
export function zoomBy(factor, across = 0.5, down = 0.5) {
  const before = view.zoom;
  view.zoom = within(1, before * factor, CLOSEST);
  const growth = view.zoom / before;
  moveTo(across - (across - view.x) * growth, down - (down - view.y) * growth);
}

export function moveBy(across, down) {
  moveTo(view.x + across, view.y + down);
}

export function setWindow(level, width) {
  view.level = within(0, level, LEVELS);
  view.width = within(NARROWEST, width, LEVELS);
  showView();
}

export function invert() {
  view.isInverted = !view.isInverted;
  showView();
}

// The window as a line: what is shown of a gray level, both from 0 to 1.
export function windowLine() {
  const slope = LEVELS / view.width;
  const start = 0.5 - view.level / view.width;
  return view.isInverted ? { slope: -slope, start: 1 - start } : { slope, start };
}

export const isWindowed = () => view.width < LEVELS || view.level !== UNTOUCHED.level || view.isInverted;

export const windowInWords = () =>
  `level ${Math.round(view.level)}, width ${Math.round(view.width)}${view.isInverted ? ", inverted" : ""}`;

// In every film and control of the page.
export function showView() {
  const { slope, start } = windowLine();
  for (const curve of byId("window").querySelectorAll("feFuncR, feFuncG, feFuncB")) {
    curve.setAttribute("slope", slope);
    curve.setAttribute("intercept", start);
  }
  for (const frame of document.querySelectorAll(".stack")) {
    frame.classList.toggle("zoomed", view.zoom > 1);
    frame.querySelector(".plane").style.transform =
      `translate(${100 * view.x}%, ${100 * view.y}%) scale(${view.zoom})`;
    frame.querySelector(".picture").style.filter = isWindowed() ? "url(#window)" : "";
  }
  const controls = document.querySelector(".looking");
  if (!controls) return;
  controls.querySelector(".zoom").textContent = `${Math.round(100 * view.zoom)} %`;
  controls.querySelector(".invert").setAttribute("aria-pressed", String(view.isInverted));
  controls.querySelector(".level").value = view.level;
  controls.querySelector(".width").value = view.width;
}

function moveTo(x, y) {
  view.x = within(1 - view.zoom, x, 0);
  view.y = within(1 - view.zoom, y, 0);
  showView();
}

const within = (least, value, most) => Math.min(Math.max(value, least), most);
