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
  pen.fillStyle = gray(10.9);
  pen.fillRect(0, 0, 100, 100);
  blot(50, 68.8, 50, 75.8, 150, 0.99, 0.807); // trunk
  blot(50, 10.3, 13, 27.7, 152, 0.99); // neck
  for (const turn of [-0.99, 0.965]) {
    blot(50 + 29.8 * turn, 19.3, 28.5, 15.9, 125, 0.753, 0.302); // shoulder
    blot(50 + 44.9 * turn, 50, 10.9, 56.6, 135, 0.695, 0.3); // the wall of the chest, and the arm
    blot(50 + 20.4 * turn, 48, 14.6, 26, 41.6, 0.943, 0.643); // lung
    blot(50 + 17 * turn, 29.4, 10.3, 15.9, 50.4, 0.68, 0.488);
    blot(50 + 24.1 * turn, 64, 10.4, 17.7, 50, 0.737, 0.485);
  }
  blot(50, 50, 6.61, 61.2, 246, 0.736, 0.297); // spine and mediastinum
  blot(57, 62.6, 18.1, 17.3, 211, 0.99, 0.538); // heart
  blot(47, 29.5, 6.42, 12.2, 188, 0.456, 0.326);
  blot(41, 41.2, 5.55, 12, 156, 0.461, 0.112); // hila
  blot(60, 42.9, 6.12, 11.8, 164, 0.487, 0.093);
  blot(28, 96, 27, 15.9, 170, 0.99, 0.661); // domes of the diaphragm
  blot(73, 98, 21.5, 18.6, 178, 0.99, 0.575);
  pen.lineWidth = 1.96;
  for (let rib = 0; rib < 10; rib += 1) {
    const y = 15.9 + 8.61 * rib;
    for (const turn of [-1, 0.677]) {
      pen.strokeStyle = gray(209, 0.192);
      pen.beginPath();
      pen.moveTo(50 + 4.26 * turn, y);
      pen.bezierCurveTo(50 + 21 * turn, y - 5.82, 50 + 38 * turn, y, 50 + 33.7 * turn, y + 13.7);
      pen.stroke();
    }
  }
  pen.lineWidth = 3.55;
  pen.strokeStyle = gray(192, 0.346); // clavicles
  for (const turn of [-0.874, 0.967]) {
    pen.beginPath();
    pen.moveTo(50 + 4.53 * turn, 28.5);
    pen.bezierCurveTo(50 + 16.5 * turn, 13, 50 + 25.4 * turn, 23.8, 50 + 37 * turn, 10.6);
    pen.stroke();
  }
}
