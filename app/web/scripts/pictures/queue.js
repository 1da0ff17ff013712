/* The pictures that wait for an answer: a few are sent at a time, and what passes is waited for. */

import { signal } from "../dom.js";
import { apiKey } from "../service/requests.js";
import { askForKey, isOpen } from "../service/access.js";
import { isKnown } from "../service/contracts.js";
import { assumeUnreachable, health, watchIn } from "../service/health.js";
import { predict } from "../service/predict.js";
import { mayPass, UNREADABLE } from "../service/problems.js";
import { isSending, isWaiting, pictureChanged, pictures } from "./list.js";

const AT_ONCE = 2;
const ATTEMPTS = 3;

export const pictureDone = signal();
let heldUntil = 0;

export function enqueue(picture) {
  wait(picture);
  picture.attempts = 0;
  picture.turn = (picture.turn ?? 0) + 1; // what an earlier one still brings is not wanted
  sendNext();
}

export function sendNext() {
  if (obstacle()) {
    pictures.filter(isWaiting).forEach(pictureChanged.tell);
    return;
  }
  const free = Math.max(0, AT_ONCE - pictures.filter(isSending).length);
  pictures.filter(isWaiting).slice(0, free).forEach(send);
}

export function sendRefusedForKey() {
  pictures.filter(({ problem }) => problem?.status === 401).forEach(enqueue);
  sendNext();
}

// Why nothing is sent now, in words; none where it is.
export function obstacle() {
  if (!isOpen()) return "Waiting for a key …";
  if (health.status !== "ready") return "Waiting for the service …";
  return performance.now() < heldUntil ? "The service is busy; it is asked again …" : "";
}

function wait(picture) {
  Object.assign(picture, { state: "waiting", sent: 0, answer: null, problem: null });
  pictureChanged.tell(picture);
}

async function send(picture) {
  const started = performance.now();
  const key = apiKey;
  const { turn } = picture;
  picture.state = "sending";
  picture.attempts += 1;
  pictureChanged.tell(picture);
  const found = await answerTo(picture);
  if (pictures.includes(picture) && picture.turn === turn) {
    const { problem } = found;
    if (problem?.status === 401 && key !== apiKey) wait(picture); // asked before the key was known
    else if (problem && mayPass(problem) && picture.attempts < ATTEMPTS) {
      hold(problem);
      wait(picture);
    } else {
      const milliseconds = performance.now() - started;
      Object.assign(picture, found, { state: "done", milliseconds, endedAt: new Date() });
      settle(picture);
    }
  }
  sendNext();
}

// Never fails.
async function answerTo(picture) {
  if (!await isReadable(picture.file)) return { problem: UNREADABLE };
  if (!pictures.includes(picture)) return {}; // removed meanwhile
  return predict(picture.file, {
    onStart: (request) => { picture.request = request; },
    onProgress: (share) => {
      picture.sent = share;
      pictureChanged.tell(picture);
    },
  });
}

// A folder, or a file that is gone, fails at its first bytes.
async function isReadable(file) {
  try {
    const reader = file.stream().getReader();
    await reader.read();
    reader.cancel();
    return true;
  } catch {
    return false;
  }
}

// Sends nothing for a while; what the service says of itself comes first.
function hold({ after = 0 }) {
  heldUntil = Math.max(heldUntil, performance.now() + 1000 * after);
  setTimeout(sendNext, 1000 * after + 1);
  if (!after) assumeUnreachable();
  watchIn(0);
}

function settle(picture) {
  const { answer, problem } = picture;
  if (problem?.status === 401 && isOpen()) askForKey();
  if (answer && !isKnown(answer.model.sha256)) watchIn(0);
  pictureDone.tell(picture);
}
