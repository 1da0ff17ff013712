/* The contracts of the models that answered: the operating point of each class is in them. */

import { signal } from "../signal.js";

// The service's own, for a checkpoint that brings no operating point.
const DEFAULT_OPERATING_POINT = 0.5;

const contracts = new Map(); // by the checkpoint's digest
export const contractLearned = signal();

export function learn(contract) {
  contracts.set(contract.sha256, contract);
  contractLearned.tell(contract);
}

export const isKnown = (sha256) => contracts.has(sha256);

// That of the very model that answered, even after another was loaded.
export const contractOf = ({ model }) => contracts.get(model.sha256);

export const operatingPoint = ({ operating_points: points }, name) =>
  Object.hasOwn(points, name) ? points[name] : DEFAULT_OPERATING_POINT;
