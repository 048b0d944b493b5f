// The page: what is drawn goes, scaled, to the model, and its answer to the ten bars.

import { Drawing } from "./drawing.js";
import { loadModel } from "./model.js";
import { asInDataSet } from "./scaling.js";

// TFLite fixes the scale of a quantized softmax: 1/256, from 0 on (the server refuses a file with another).
const SCALE = 1 / 256;

const main = document.querySelector("main");
const status = document.querySelector("#status");
const bars = Array.from({ length: 10 }, (_, digit) => bar(digit));
document.querySelector("#probabilities").append(...bars);

const drawing = new Drawing(document.querySelector("#drawing"), answerSoon);
document.querySelector("#clear").addEventListener("click", () => drawing.clear());

/** From 784 pixels to the model's ten uint8 outputs, as they are. */
export const model = loadModel("model.tflite");
let answered = model.then(ready).catch(failed).finally(rest);
let queued = false;

/** One answer after the other; what is drawn meanwhile is answered together. */
function answerSoon() {
  if (queued) return;
  queued = true;
  main.ariaBusy = "true";
  answered = answered.then(answer).catch(failed).finally(rest);
}

async function answer() {
  queued = false;
  const pixels = asInDataSet(drawing.ink, drawing.width);
  showPixels(pixels);
  const run = await model;
  const start = performance.now();
  const outputs = await run(pixels);
  const milliseconds = performance.now() - start;
  if (pixels.some(Boolean)) {
    showBars(outputs);
    status.textContent = `Answered in ${milliseconds.toFixed(1)} ms.`;
  } else {
    showBars(outputs.fill(0));
    ready();
  }
}

function rest() {
  main.ariaBusy = String(queued);
}

function ready() {
  status.textContent = "Ready.";
}

function failed(error) {
  status.textContent = `The model cannot run here: ${error.message ?? error}`;
  console.error(error);
}

function bar(digit) {
  const item = document.createElement("li");
  item.innerHTML = `<span>${digit}</span><progress max="1" value="0" aria-label="${digit}"></progress><output></output>`;
  return item;
}

function showBars(outputs) {
  const highest = Math.max(...outputs);
  bars.forEach((item, digit) => {
    const probability = outputs[digit] * SCALE;
    item.querySelector("progress").value = probability;
    item.querySelector("output").value = `${(100 * probability).toFixed(1)} %`;
    item.classList.toggle("first", highest > 0 && outputs[digit] === highest);
  });
}

function showPixels(pixels) {
  const image = new ImageData(28, 28);
  pixels.forEach((value, index) => image.data.set([128, 128, 128, value], 4 * index));
  document.querySelector("#seen").getContext("2d").putImageData(image, 0, 0);
}
