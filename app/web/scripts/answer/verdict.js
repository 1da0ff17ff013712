/* What an answer says, in words. */

import { contractOf, operatingPoint } from "../service/contracts.js";
import { adviceOn } from "../service/problems.js";

// Never 0 or 100: no softmax is as sure as that sounds.
export function percent(share) {
  if (share > 0.999) return "> 99.9 %";
  return share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`;
}

// `short` fits a thumbnail, `title` heads the card, and `meaning` is a sentence or two.
export function verdict(answer) {
  const { label, confidence, probabilities, uncertain } = answer;
  const share = percent(confidence);
  const contract = contractOf(answer);
  if (uncertain) {
    return {
      short: "Uncertain",
      title: "Uncertain",
      meaning: `No class reaches its operating point: take this as no answer. ${label} is the likeliest, with ${share}.`,
    };
  }
  if (!contract) {
    return {
      short: `${label}?`,
      title: `Most like ${label}`,
      meaning: `With ${share}. The operating points are not known yet: no other class can be left out.`,
    };
  }
  const found = Object.keys(probabilities).filter((name) => probabilities[name] >= operatingPoint(contract, name));
  const others = found.filter((name) => name !== label);
  if (!others.length) return { short: label, title: `Looks most like ${label}`, meaning: meaningOf(answer) };
  const isPlural = others.length > 1;
  const either = listed([label, ...others], "disjunction");
  const likeliest = `${label} is the likeliest, with ${share}`;
  return {
    short: either,
    title: `Not clear-cut: ${either}`,
    meaning: found.includes(label)
      ? `${likeliest}. ${listed(others)} ${isPlural ? "reach their operating points" : "reaches its operating point"}, too, and cannot be left out.`
      : `${likeliest}, but below its operating point. ${listed(others)} ${isPlural ? "reach theirs" : "reaches its own"}. None of them can be left out.`,
  };
}

export const warningsOn = ({ answer, isDrawn }) =>
  [...(isDrawn ? ["Drawn, not a patient: its figures mean nothing."] : []), ...(answer.warnings ?? [])];

// What a screen reader is told of a picture that is done.
export function summary({ file, answer, problem, ...rest }) {
  if (problem) return `${file.name}: ${problem.title}. ${adviceOn(problem)}`;
  const { title, meaning } = verdict(answer);
  return [`${file.name}: ${title}. ${meaning}`, ...warningsOn({ answer, ...rest })].join(" ");
}

function meaningOf({ label, confidence, model }) {
  if (!model.calibrated) return `With a score of ${percent(confidence)}; it is not calibrated, and no probability.`;
  const many = confidence >= 0.995 ? "nearly all" : `about ${Math.round(100 * confidence)}`;
  return `Of 100 pictures like those it was judged on that get such a figure, ${many} would be ${label}. ` +
    "With other pictures it may be quite different.";
}

const listed = (words, type = "conjunction") => new Intl.ListFormat("en", { type }).format(words);
