/* The contracts of the models that answered: the operating point of each class is in them. */

import { signal } from "../dom.js";

// The service's own, for a checkpoint that brings no operating point.
const DEFAULT_OPERATING_POINT = 0.5;

// What a split of the training data is to somebody who does not know it.
const SPLITS = { val: "hospitals that the network knows: at another expect less" };

const contracts = new Map(); // by the checkpoint's digest
export const contractLearned = signal();

export function learn(contract) {
  contracts.set(contract.sha256, contract);
  contractLearned.tell(contract);
}

export const isKnown = (sha256) => contracts.has(sha256);

// That of the very model that answered, even after another was loaded.
export const contractOf = ({ model }) => contracts.get(model.sha256);

// What the points were fitted on, and what came of it; "" where the checkpoint does not say.
export function groundOf({ calibrated_on: ground }) {
  if (!ground) return "";
  const { sources_left_out: sources, coverage_found: found, pictures, split } = ground;
  const on = sources.length
    ? `They were fitted on hospitals that the network was not shown (${sources.join(", ")}).`
    : `They were fitted on ${pictures.toLocaleString("en")} pictures of ${SPLITS[split] ?? split}.`;
  return found === null ? on : `${on} There ${Math.round(100 * found)} of 100 sets held the true class.`;
}

export const operatingPoint = ({ operating_points: points }, name) =>
  Object.hasOwn(points, name) ? points[name] : DEFAULT_OPERATING_POINT;
