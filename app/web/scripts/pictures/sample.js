/* A drawing, for those who have no X-ray at hand: gradients at a quarter of the size, enlarged,
   since no film is sharp; grain on top; and words that say what it is. */

import { element } from "../dom.js";

const SIDE = 640;

// Calls `use` with the drawing as a PNG file.
export function drawSample(use) {
  const side = SIDE / 4;
  const small = element("canvas", { width: side, height: side });
  drawThorax(small.getContext("2d"), side / 100);
  const canvas = element("canvas", { width: SIDE, height: SIDE });
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(small, 0, 0, SIDE, SIDE);
  addGrain(pen);
  pen.font = "bold 26px sans-serif";
  pen.fillStyle = "#ddd";
  pen.textAlign = "center";
  pen.fillText("DRAWN SAMPLE, NOT A PATIENT", SIDE / 2, SIDE - 16);
  canvas.toBlob((blob) => {
    use(new File([blob], "drawn sample.png", { type: "image/png" }));
  }, "image/png");
}

function addGrain(pen) {
  const pixels = pen.getImageData(0, 0, SIDE, SIDE);
  let seed = 1; // of a generator of our own, so that each drawing is the same
  const random = () => {
    seed = (seed * 16807) % 2147483647;
    return seed / 2147483647;
  };
  for (let i = 0; i < pixels.data.length; i += 4) {
    const grain = 14 * (random() + random() - 1);
    for (let band = 0; band < 3; band += 1) pixels.data[i + band] += grain;
  }
  pen.putImageData(pixels, 0, 0);
}

const gray = (level, opacity = 1) => `rgb(${level} ${level} ${level} / ${opacity})`;

// In hundredths of the side. The figures were found by trial: the gate takes the drawing for a chest.
function drawThorax(pen, unit) {
  pen.scale(unit, unit);
  const blot = (x, y, across, down, level, opacity, edge = 0.75) => {
    const glow = pen.createRadialGradient(0, 0, edge, 0, 0, 1);
    glow.addColorStop(0, gray(level, opacity));
    glow.addColorStop(1, gray(level, 0));
    pen.save();
    pen.translate(x, y);
    pen.scale(across, down);
    pen.fillStyle = glow;
    pen.fillRect(-1, -1, 2, 2);
    pen.restore();
  };
  pen.fillStyle = gray(11.8);
  pen.fillRect(0, 0, 100, 100);
  blot(66.2, 71.8, 50, 73.9, 150, 0.99, 0.807); // trunk
  blot(47.5, 9.71, 13, 36, 143, 0.892); // neck
  for (const turn of [-0.99, 0.965]) {
    blot(54 + 29.8 * turn, 13.2, 28.7, 15.3, 129, 0.812, 0.302); // shoulder
    blot(52.9 + 44.9 * turn, 48.6, 10.6, 54.9, 134, 0.626, 0.334); // the wall of the chest, and the arm
    blot(50.8 + 21.1 * turn, 34.5, 19.2, 26, 34.5, 0.931, 0.643); // lung
    blot(42.8 + 13 * turn, 29.4, 10.2, 15.8, 22.4, 0.608, 0.489);
    blot(50 + 24.1 * turn, 65.1, 10.4, 17.7, 54.6, 0.665, 0.409);
  }
  blot(50, 50, 6.61, 56.9, 246, 0.671, 0.333); // spine and mediastinum
  blot(57, 62.6, 18.1, 17.3, 211, 0.977, 0.5); // heart
  blot(47, 29.5, 6.42, 5.84, 166, 0.483, 0.366);
  blot(41, 42.1, 4.95, 5.73, 158, 0.474, 0.116); // hila
  blot(55.8, 41.2, 7.7, 11.8, 168, 0.485, 0.0884);
  blot(29.7, 96, 27, 15.1, 213, 0.921, 0.398); // domes of the diaphragm
  blot(77.2, 99, 21.5, 19.8, 178, 0.959, 0.418);
  pen.lineWidth = 2.25;
  for (let rib = 0; rib < 10; rib += 1) {
    const y = 15.9 + 8.61 * rib;
    for (const turn of [-1, 0.677]) {
      pen.strokeStyle = gray(203, 0.198);
      pen.beginPath();
      pen.moveTo(56.5 + 1.93 * turn, y);
      pen.bezierCurveTo(51.3 + 22.4 * turn, y - 6.36, 60.9 + 37.1 * turn, y, 32.5 + 36.2 * turn, y + 14.2);
      pen.stroke();
    }
  }
  pen.lineWidth = 3.55;
  pen.strokeStyle = gray(192, 0.346); // clavicles
  for (const turn of [-0.721, 0.764]) {
    pen.beginPath();
    pen.moveTo(49.1 + 5.1 * turn, 48.6);
    pen.bezierCurveTo(45.7 + 12.9 * turn, 12, 44.8 + 50.7 * turn, 23.8, 50 + 37 * turn, 11.3);
    pen.stroke();
  }
}
