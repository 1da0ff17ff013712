/* One picture sent to the service: its answer, or the problem that there is. */

import { GARBLED, problemOf } from "./problems.js";
import { ask } from "./requests.js";

const STALLED_MS = 120_000;
const BUSY_S = 2;
const MOST_BUSY_S = 30;

// Never fails. A problem says with `after` how many seconds to wait before the next upload.
export async function predict(file, { onStart, onProgress }) {
  try {
    const request = await ask("POST", "predict?layers=true", {
      body: formOf(file),
      patience: STALLED_MS,
      onStart,
      onProgress,
    });
    const { status, response } = request;
    if (status !== 200) {
      const after = Math.min(Number(request.getResponseHeader("Retry-After")) || BUSY_S, MOST_BUSY_S);
      return { problem: { ...problemOf(request), after } };
    }
    return isAnswer(response) ? { answer: response } : { problem: GARBLED };
  } catch (problem) {
    return { problem };
  }
}

// A neutral name: what the file was called stays in this tab.
function formOf(file) {
  const form = new FormData();
  form.append("file", file, "picture");
  return form;
}

const isAnswer = (found) =>
  typeof found?.probabilities?.[found.label] === "number" &&
  typeof found.confidence === "number" &&
  typeof found.uncertain === "boolean" &&
  Array.isArray(found.prediction_set) &&
  typeof found.model?.sha256 === "string";
