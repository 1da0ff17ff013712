/* All results as one table, comma-separated, its columns named as in the table of `app.score`. */

import { pictures } from "../pictures/list.js";
import { warningsOn } from "./verdict.js";
import { DISCLAIMER, save } from "./saving.js";

const MARK = "\uFEFF"; // without it, Excel takes UTF-8 for something else
const JOINT = "; ";

export function saveTable() {
  const done = pictures.filter(({ answer, problem }) => answer || problem);
  const names = [...new Set(done.flatMap(({ answer }) => Object.keys(answer?.probabilities ?? {})))];
  const rows = done.map((picture) => rowOf(picture, names));
  const columns = Object.keys(rows[0]);
  const lines = [columns, ...rows.map((row) => Object.values(row))].map((cells) => cells.map(quoted).join(","));
  save(new Blob([MARK, lines.join("\r\n"), "\r\n"], { type: "text/csv" }), "cxr-results.csv");
}

function rowOf(picture, names) {
  const { file, answer, problem, endedAt } = picture;
  const shares = names.map((name) => [
    `probability_${name}`,
    answer && Object.hasOwn(answer.probabilities, name) ? answer.probabilities[name] : "",
  ]);
  return {
    file: file.name,
    label: answer?.label,
    confidence: answer?.confidence,
    ...Object.fromEntries(shares),
    prediction_set: answer?.prediction_set.join(JOINT),
    uncertain: answer?.uncertain,
    warnings: answer && warningsOn(picture).join(JOINT),
    error: problem && [problem.title, problem.detail].filter(Boolean).join(": "),
    model: answer?.model.name,
    sha256: answer?.model.sha256,
    request_id: answer?.request_id ?? problem?.request_id,
    answered_at: endedAt.toISOString(),
    note: DISCLAIMER,
  };
}

// A name that begins like a formula would be one in a spreadsheet, so it is made text.
function quoted(cell) {
  if (typeof cell !== "string") return String(cell ?? "");
  const words = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(words) ? `"${words.replaceAll('"', '""')}"` : words;
}
