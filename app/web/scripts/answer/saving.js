/* Answers as files: a result as JSON, its overlay as PNG, and all results as one table. */

import { element } from "../dom.js";
import { pictures } from "../pictures/list.js";
import { contractOf } from "../service/contracts.js";
import { percent, warningsOn } from "./verdict.js";
import { isWindowed, windowInWords, windowLine } from "./zoom.js";
import { shown } from "./viewer.js";

const DISCLAIMER = "Research software, not a medical device";
const MARK = "\uFEFF"; // without it, Excel takes UTF-8 for something else
const JOINT = "; ";
const INK = "#f0f0f0";
const PAPER = "#101010";
const TEXT_SIZE = 15;
const LEAST_WIDTH = 480; // so that the words fit

export function saveResult(picture) {
  const { answer, file, endedAt } = picture;
  const { layers, ...result } = answer;
  const lines = JSON.stringify({
    note: DISCLAIMER,
    file: file.name,
    answered_at: endedAt.toISOString(),
    ...result,
    warnings: warningsOn(picture),
    operating_points: contractOf(answer)?.operating_points,
  }, null, 2);
  save(new Blob([`${lines}\n`], { type: "application/json" }), fileName(answer, ".json"));
}

// The whole film as it is seen, with words below it that say what it is.
export function saveOverlay(card, answer) {
  const [under, over] = card.querySelector(".stack").querySelectorAll("img");
  const { name, strength } = shown;
  const across = Math.max(under.naturalWidth, LEAST_WIDTH);
  const down = Math.round(across * under.naturalHeight / under.naturalWidth);
  const words = [
    `${over.hidden ? "Nothing speaks" : "What speaks"} for ${name}, ${percent(answer.probabilities[name])}`,
    ...(isWindowed() ? [`Window: ${windowInWords()}`] : []),
    `${answer.model.name}, SHA-256 ${answer.model.sha256.slice(0, 12)}`,
    DISCLAIMER,
  ];
  const canvas = element("canvas", { width: across, height: down + TEXT_SIZE * (1.5 * words.length + 1) });
  const pen = canvas.getContext("2d");
  pen.fillStyle = PAPER;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(under, 0, 0, across, down);
  if (isWindowed()) drawWindowed(pen, across, down);
  if (!over.hidden) {
    pen.globalAlpha = strength / 100;
    pen.drawImage(over, 0, 0, across, down);
    pen.globalAlpha = 1;
  }
  pen.font = `${TEXT_SIZE}px sans-serif`;
  pen.fillStyle = INK;
  words.forEach((line, at) =>
    pen.fillText(line, TEXT_SIZE, down + TEXT_SIZE * (1.5 * at + 1.6), across - 2 * TEXT_SIZE));
  canvas.toBlob((blob) => save(blob, fileName(answer, `-${name}.png`)), "image/png");
}

// Its columns are named as in the table of `app.score`.
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

function drawWindowed(pen, across, down) {
  const { slope, start } = windowLine();
  const pixels = pen.getImageData(0, 0, across, down);
  const { data } = pixels; // which keeps itself within 0 and 255
  for (let i = 0; i < data.length; i += 1) if (i % 4 < 3) data[i] = slope * data[i] + 255 * start;
  pen.putImageData(pixels, 0, 0);
}

function save(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const fileName = ({ request_id }, end) => `cxr-${String(request_id).slice(0, 8)}${end}`;
