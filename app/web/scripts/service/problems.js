/* Why a picture has no answer, what a person can do about it, and what passes by itself. */

// By the last part of the problem's type.
const ADVICE = {
  "malformed-request": "Choose the file again. It may be empty.",
  "unauthorized": "Enter a valid key above.",
  "too-many-bytes": "Export the picture smaller, or as JPEG.",
  "too-many-pixels": "Export the picture with fewer pixels.",
  "unsupported-image-type": "Save it as JPEG or PNG, or take the DICOM file itself.",
  "wrong-modality": "Only projection radiographs are read: CR, DX and their like.",
  "unusable-image": "Export it again; this file is damaged, or holds more than one picture.",
  "not-a-chest-x-ray": "If it is a frontal chest film, turn it upright, the head up, and send the whole film " +
    "without a viewer's frame around it.",
  "queue-full": "Others are being answered. Try again in a few seconds.",
  "too-many-connections": "Others are being answered. Try again in a few seconds.",
  "not-ready": "Try again once the service says that it is ready.",
  "decoding-stopped": "Nothing is wrong with the file: try again shortly.",
  "inference-stopped": "Try again once the service says that it is ready.",
  "deadline-exceeded": "The service is busy. Try again in a while.",
};
// For answers without a type, as of a proxy in between.
const ADVICE_BY_STATUS = { 401: ADVICE.unauthorized, 413: ADVICE["too-many-bytes"] };
const IN_A_WHILE = "Try again in a while. If it stays so, tell whoever runs the service.";
const TELL_THEM = "Tell whoever runs the service what you see here.";
const WORTH_REPEATING = new Set([0, 200, 401, 408, 429]);
// What ends by itself: the picture waits for it, and is sent again.
const PASSING = new Set([
  "queue-full", "too-many-connections", "not-ready", "decoding-stopped", "inference-stopped",
]);
// What a proxy says while the service behind it restarts.
const GATEWAY = new Set([502, 503]);

export const UNREACHABLE = {
  status: 0,
  title: "The service cannot be reached",
  detail: "It is not running, or the network is down, or it no longer answers.",
};
export const UNREADABLE = {
  status: null,
  title: "This file cannot be read",
  detail: "Your browser could not open it: it was moved, or changed, or it is a folder.",
  advice: "Choose it again. Of a folder, drop the files themselves.",
};
export const GARBLED = {
  status: 200,
  title: "The answer cannot be read",
  detail: "What came back is none of this service's answers; something in between may have cut it.",
};

export function problemOf({ status, response }) {
  if (typeof response?.title !== "string") {
    return { status, title: "The service cannot answer", detail: `It said ${status}.` };
  }
  const { type, title, detail, request_id } = response;
  return { status, kind: String(type).split(":").pop(), title, detail, request_id };
}

export const isWorthRepeating = ({ status }) =>
  WORTH_REPEATING.has(status) || (status >= 500 && status !== 501);

// The service works, and will not take this picture: no fault, and no alarm.
export const isRefusal = (problem) => problem.status >= 400 && problem.status < 500 && !isWorthRepeating(problem);

export const adviceOn = ({ status, kind, advice }) =>
  advice ?? ADVICE[kind] ?? ADVICE_BY_STATUS[status] ?? (isWorthRepeating({ status }) ? IN_A_WHILE : TELL_THEM);

export const mayPass = ({ status, kind }) =>
  status === 0 || PASSING.has(kind) || (!kind && GATEWAY.has(status));
