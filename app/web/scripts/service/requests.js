/* Requests to the service, with the API key that was given. */

import { UNREACHABLE } from "./problems.js";

export const PATIENCE_MS = 5_000;

export let apiKey = "";

export function setApiKey(key) {
  apiKey = key;
}

// Rejects with a problem where no answer comes, or nothing moves for `patience` milliseconds.
export function ask(method, path, { body, patience = PATIENCE_MS, onStart, onProgress } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how much of an upload is sent
    let stalled;
    const wait = () => {
      clearTimeout(stalled);
      stalled = setTimeout(() => request.abort(), patience);
    };
    request.open(method, path);
    request.responseType = "json";
    if (apiKey) request.setRequestHeader("X-API-Key", apiKey);
    request.addEventListener("load", () => resolve(request));
    request.addEventListener("error", () => reject(UNREACHABLE));
    request.addEventListener("abort", () => reject(UNREACHABLE));
    request.addEventListener("loadend", () => clearTimeout(stalled));
    request.addEventListener("progress", wait);
    if (body) {
      request.upload.addEventListener("progress", ({ loaded, total }) => {
        wait();
        onProgress?.(loaded / total);
      });
    }
    onStart?.(request);
    wait();
    request.send(body);
  });
}
