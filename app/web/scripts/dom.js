/* The document: finding and making elements, and the line that a screen reader speaks; and signals. */

export const byId = (id) => document.getElementById(id);

export const text = (words) => document.createTextNode(words);

export const element = (tag, properties) => Object.assign(document.createElement(tag), properties);

export const fromTemplate = (id) => byId(id).content.firstElementChild.cloneNode(true);

// The image stays hidden where the browser cannot draw the source, as with a DICOM file.
export function showOnceLoaded(image, source) {
  image.addEventListener("load", () => { image.hidden = false; });
  image.src = source;
}

export function announce(...sentences) {
  const said = sentences.filter(Boolean).join(" ");
  if (said) byId("news").textContent = said;
}

// An event that a module tells without knowing who acts on it.
export function signal() {
  const listeners = [];
  return {
    listen: (listener) => { listeners.push(listener); },
    tell: (news) => { for (const listener of listeners) listener(news); },
  };
}
