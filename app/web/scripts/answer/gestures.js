/* A film under the hand: dragged, pinched, turned by the wheel, and moved by keys. */

import { invert, LEVELS, moveBy, resetView, setWindow, view, zoomBy } from "./zoom.js";

const STEP = 0.1; // of the frame's side
const GRAY_STEP = 8;
const NEARER = 1.25;
const WHEEL = 0.002; // a notch is about 100
const LINE = 16; // pixels, where a wheel counts lines

export function attachGestures(frame) {
  const held = new Map(); // pointers that are down, where each was last
  frame.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    held.set(event.pointerId, event);
    frame.setPointerCapture(event.pointerId);
  });
  frame.addEventListener("pointermove", (event) => {
    if (held.has(event.pointerId)) drag(frame, held, event);
  });
  for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) {
    frame.addEventListener(kind, ({ pointerId }) => held.delete(pointerId));
  }
  frame.addEventListener("dblclick", (event) => zoomBy(2, ...placeIn(frame, event)));
  frame.addEventListener("wheel", (event) => turn(frame, event), { passive: false });
  frame.addEventListener("keydown", press);
}

function drag(frame, held, event) {
  const before = held.get(event.pointerId);
  const across = event.clientX - before.clientX;
  const down = event.clientY - before.clientY;
  const { width, height } = frame.getBoundingClientRect();
  const still = [...held].find(([id]) => id !== event.pointerId)?.[1];
  held.set(event.pointerId, event);
  if (still) {
    zoomBy(distance(still, event) / (distance(still, before) || 1), ...placeIn(frame, {
      clientX: (still.clientX + before.clientX) / 2,
      clientY: (still.clientY + before.clientY) / 2,
    }));
    moveBy(across / 2 / width, down / 2 / height);
  } else if (event.shiftKey) {
    setWindow(view.level + LEVELS * down / height, view.width + LEVELS * across / width);
  } else moveBy(across / width, down / height);
}

// The page scrolls on, unless this film was clicked on, or Ctrl is held, or there is nothing to leave.
function turn(frame, event) {
  const isMeant = event.ctrlKey || document.activeElement === frame;
  if (!isMeant || (event.deltaY > 0 && view.zoom === 1 && !event.ctrlKey)) return;
  event.preventDefault();
  const pixels = event.deltaY * (event.deltaMode ? LINE : 1);
  zoomBy(Math.exp(-WHEEL * pixels), ...placeIn(frame, event));
}

const KEYS = {
  "+": () => zoomBy(NEARER),
  "=": () => zoomBy(NEARER),
  "-": () => zoomBy(1 / NEARER),
  "0": resetView,
  "i": invert,
};
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { key, shiftKey } = event;
  if (Object.hasOwn(ARROWS, key)) {
    const [across, down] = ARROWS[key];
    if (shiftKey) setWindow(view.level + GRAY_STEP * down, view.width + GRAY_STEP * across);
    else if (view.zoom > 1) moveBy(-STEP * across, -STEP * down);
    else return; // the page scrolls
  } else if (Object.hasOwn(KEYS, key.toLowerCase())) KEYS[key.toLowerCase()]();
  else return;
  event.preventDefault();
}

function placeIn(frame, { clientX, clientY }) {
  const { left, top, width, height } = frame.getBoundingClientRect();
  return [(clientX - left) / width, (clientY - top) / height];
}

const distance = (one, other) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
