/* The API key: asked for where the service wants one, and checked by reading the model's contract. */

import { announce, byId, signal } from "../dom.js";
import { isKnown, learn } from "./contracts.js";
import { health } from "./health.js";
import { apiKey, ask, setApiKey } from "./requests.js";

export const keyWanted = signal();
export const keyAccepted = signal();
let isChecking = false;

// Whether no key is being asked for.
export const isOpen = () => byId("key").hidden;

export function readContractIfNew({ wasReady }) {
  const isNews = isOpen() ? !isKnown(health.model?.sha256) : !wasReady;
  if (health.status === "ready" && isNews) readContract();
}

export function askForKey() {
  byId("key").hidden = false;
  showKeyFault(apiKey ? "The service does not take this key any more." : "");
  keyWanted.tell();
  announce("This service asks for an API key.");
}

export async function submitKey(event) {
  event.preventDefault();
  if (isChecking) return;
  isChecking = true;
  await tryKey(byId("key-field").value.trim());
  isChecking = false;
  byId(isOpen() ? "add" : "key-field").focus();
}

async function tryKey(key) {
  if (!/^[\x21-\x7e]+$/.test(key)) {
    showKeyFault("A key has letters, digits and signs only, and no space.");
    return;
  }
  setApiKey(key);
  showKeyFault("Being checked …", { isOfKey: false });
  const status = await readContract();
  if (isOpen()) return;
  if (status === 401) showKeyFault("The service does not take this key.");
  else showKeyFault("The service cannot check it now. Try again in a while.", { isOfKey: false });
}

// Gives the status of the answer, and 0 where none came.
async function readContract() {
  const key = apiKey;
  let request;
  try {
    request = await ask("GET", "model");
  } catch {
    return 0; // the next look at the service's state tells
  }
  const { status, response } = request;
  if (status === 401 && key === apiKey && isOpen()) askForKey();
  if (status === 200 && response?.operating_points) {
    learn(response);
    if (!isOpen()) acceptKey();
  }
  return status;
}

function acceptKey() {
  byId("key").hidden = true;
  showKeyFault("");
  keyAccepted.tell();
}

function showKeyFault(words, { isOfKey = Boolean(words) } = {}) {
  byId("key-error").textContent = words;
  byId("key-field").setAttribute("aria-invalid", String(isOfKey));
}
