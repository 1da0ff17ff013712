/* The pictures of this tab in their order, and which of them is selected. */

import { signal } from "../dom.js";

export let pictures = [];
export let selected = null;
export const pictureChanged = signal();

export function append(picture) {
  pictures.push(picture);
}

// Each back at the place that it had.
export function insert(places) {
  for (const [at, picture] of places) pictures.splice(at, 0, picture);
}

export function drop(gone) {
  pictures = pictures.filter((picture) => !gone.includes(picture));
}

export function setSelected(picture) {
  selected = picture;
}

export const isSending = ({ state }) => state === "sending";
export const isWaiting = ({ state }) => state === "waiting";
export const isDone = ({ state }) => state === "done";

// What the browser cannot draw, such as DICOM, is shown once the service has drawn it.
export const sourceOf = ({ answer, preview }) => answer?.layers?.picture ?? preview;
