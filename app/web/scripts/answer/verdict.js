/* What an answer says, in words. */

import { contractOf } from "../service/contracts.js";
import { adviceOn } from "../service/problems.js";

// A class at least so likely, by that of the likeliest, is named beside it.
const CLOSE = 0.5;

// Whole, as no model knows more; never 0 or 100, as none is as sure as that sounds.
export function percent(share) {
  if (share > 0.99) return "> 99 %";
  return share < 0.01 ? "< 1 %" : `${Math.round(100 * share)} %`;
}

// `short` fits a thumbnail, `title` heads the card, and `meaning` is a sentence or two.
export function verdict(answer) {
  const { label, confidence, probabilities, prediction_set: set, uncertain } = answer;
  const names = Object.keys(probabilities);
  const others = names.filter((name) => name !== label).toSorted((a, b) => probabilities[b] - probabilities[a]);
  const close = others.filter((name) => !set.includes(name) && probabilities[name] >= CLOSE * confidence);
  const nearby = nearbyOf(close);
  if (answer.model.multi_label) return verdictOnEach(answer);
  if (!uncertain) {
    return {
      short: close.length ? `${label}, then ${listed(close)}` : label,
      title: `Looks most like ${label}${close.length ? `, with ${listed(close)} not far behind` : ""}`,
      meaning: `${meaningOf(answer)} ${nearby}`,
    };
  }
  const likeliest = `${label} is the likeliest, with ${percent(confidence)}`;
  if (!set.length) {
    return {
      short: "Uncertain",
      title: `Uncertain: nearest to ${listed([label, ...close])}`,
      meaning: "No class reaches its operating point: the picture is like none of the classes as the model " +
        `knows them. Take this as no answer. ${likeliest}. ${nearby}`,
    };
  }
  const found = others.filter((name) => set.includes(name));
  const either = listed([label, ...others.filter((name) => found.includes(name) || close.includes(name))], "disjunction");
  if (set.length === names.length) {
    return {
      short: either,
      title: `Uncertain: ${either}`,
      meaning: "Every class reaches its operating point, so none can be excluded: " +
        `the answer does not tell them apart. ${likeliest}.`,
    };
  }
  const reach = found.length > 1 ? "reach their operating points" : "reaches its operating point";
  return {
    short: either,
    title: `Not clear-cut: ${either}`,
    meaning: set.includes(label)
      ? `${likeliest}. ${listed(found)} ${reach}, too, and cannot be excluded. ${nearby}`
      : `${likeliest}, but below its operating point. ${listed(found)} ${reach} and cannot be excluded. ${nearby}`,
  };
}

// Of a model that looks for each class by itself: none, one or several may be there.
function verdictOnEach(answer) {
  const { label, confidence, probabilities, prediction_set: set } = answer;
  if (!set.length) {
    return {
      short: "Uncertain",
      title: "Uncertain: no class reaches its operating point",
      meaning: `None of the classes is found, which does not say "normal". ${label} is the likeliest, with ` +
        `${percent(confidence)}.`,
    };
  }
  const found = set.toSorted((a, b) => probabilities[b] - probabilities[a]);
  const shares = found.map((name) => `${name} ${percent(probabilities[name])}`);
  return {
    short: listed(found),
    title: `Looks like ${listed(found)}`,
    meaning: `The model looks for each class by itself, and several may be there: ${listed(shares)}.${answer.model.calibrated ? "" : " They are not calibrated."}`,
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

// Which pictures "those it was judged on" are; empty until the model's contract is known.
export function judgedOn(answer) {
  const contract = contractOf(answer);
  if (!contract) return "";
  const counts = Object.entries(contract.dataset?.counts?.test ?? {});
  if (!counts.length) return "The model's file does not say which pictures it was judged on.";
  const pictures = counts.reduce((sum, [, count]) => sum + count, 0);
  const accuracy = contract.metrics?.accuracy?.value;
  const right = accuracy === undefined ? "" : ` It was right on ${percent(accuracy)} of them.`;
  const elsewhere = Object.entries(contract.metrics ?? {})
    .filter(([name]) => name.startsWith("unseen/"))
    .map(([name, { value }]) => `${percent(value)} of ${name.split("/").slice(1).join("'s ")}`);
  const unseen = elsewhere.length ? ` At hospitals that it never saw it recognised ${listed(elsewhere)}.` : "";
  return `It was judged on ${pictures.toLocaleString("en")} pictures set apart from its training data: ` +
    `${listed(counts.map(([name, count]) => `${count.toLocaleString("en")} of ${name}`))}.${right}${unseen}`;
}

function meaningOf({ label, confidence, model }) {
  if (!model.calibrated) return `With a score of ${percent(confidence)}; it is not calibrated, and no probability.`;
  const many = confidence >= 0.995 ? "nearly all" : `about ${Math.round(100 * confidence)}`;
  return `Of 100 pictures like those it was judged on that get such a figure, ${many} would be ${label}. ` +
    "With other pictures it may be quite different.";
}

function nearbyOf(close) {
  if (!close.length) return "";
  const [are, points] = close.length > 1 ? ["are", "their operating points"] : ["is", "its operating point"];
  return `${listed(close)} ${are} below ${points}, but more than half as likely.`;
}

const listed = (words, type = "conjunction") => new Intl.ListFormat("en", { type }).format(words);
