/* The service's state: asked for again and again, and shown at the top of the page. */

import { byId, signal } from "../dom.js";
import { UNREACHABLE } from "./problems.js";
import { PATIENCE_MS } from "./requests.js";

const ASK_AGAIN_MS = { ready: 10_000, other: 2_000 };
const STATES = {
  ready: "Ready",
  loading: "Loading the model …",
  draining: "Shutting down; pictures wait for the next",
  failed: "Cannot serve its model",
  unreachable: "Cannot be reached; asking again …",
};
const SPELLED = { openvino: "OpenVINO", tensorflow: "TensorFlow", cpu: "CPU", gpu: "GPU" };

export let health = { status: "asking" };
export const healthRead = signal();
let nextLook = 0;

export async function watch() {
  const wasReady = health.status === "ready";
  health = await readHealth();
  showState();
  healthRead.tell({ wasReady });
  watchIn(ASK_AGAIN_MS[health.status] ?? ASK_AGAIN_MS.other);
}

export function watchIn(milliseconds) {
  clearTimeout(nextLook);
  nextLook = setTimeout(watch, milliseconds);
}

// Until the service says otherwise, as where an upload found no service.
export function assumeUnreachable() {
  health = { status: "unreachable" };
}

async function readHealth() {
  try {
    const answer = await fetch("health", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    const said = await answer.json();
    if (!Object.hasOwn(STATES, said.status)) throw UNREACHABLE;
    return said;
  } catch {
    return { status: "unreachable" };
  }
}

function showState() {
  const { status, engine, device, precision, model, version, reason, assumed } = health;
  const numbers = precision === "f32" ? "" : ` in ${precision}`;
  const where = status === "ready" ? `, ${spelled(engine)} on ${spelled(device)}${numbers}` : "";
  const words = `${STATES[status]}${where}${reason ? `: ${reason}` : ""}`;
  const state = byId("state");
  state.dataset.state = status;
  if (state.textContent !== words) state.textContent = words;
  if (model) {
    const calibrated = model.calibrated ? "calibrated" : "not calibrated";
    byId("model").textContent =
      `Model ${model.name}, SHA-256 ${model.sha256.slice(0, 12)}, ${calibrated}; service ${version}. ${assumed ?? ""}`;
  }
}

const spelled = (name) => SPELLED[name] ?? name;
