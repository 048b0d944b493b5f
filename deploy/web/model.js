// The .tflite file in LiteRT's interpreter, compiled to WebAssembly: uint8 in, uint8 out, nothing converted here.

import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
import { withBatchOfOne } from "./batch.js";

const RUNTIME = new URL("node_modules/@litertjs/core/wasm/", import.meta.url).pathname;
const IDENTIFIER = "TFL3"; // bytes 4 to 7 of a .tflite file

/**
 * Fetches the runtime and the model.
 *
 * @param {string} url Of a .tflite file that takes uint8 [batch, 28, 28, 1] and gives uint8 [batch, 10].
 * @returns {Promise<(pixels: Uint8Array) => Promise<Uint8Array>>} From 784 pixels, row by row, to the ten outputs as
 *   the file has them. One thread: several would need a server that isolates the page from all others.
 */
export async function loadModel(url) {
  const [file] = await Promise.all([fetchFile(url), loadLiteRt(RUNTIME, { threads: false })]);
  const compiled = await loadAndCompile(withBatchOfOne(file), { accelerator: "wasm" });
  return async (pixels) => {
    const input = new Tensor(pixels, [1, 28, 28, 1]);
    const [output] = await compiled.run(input);
    try {
      return Uint8Array.from(await output.data());
    } finally {
      input.delete();
      output.delete();
    }
  };
}

async function fetchFile(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} cannot be fetched: ${response.status} ${response.statusText}`);
  const file = await response.arrayBuffer();
  if (String.fromCharCode(...new Uint8Array(file).slice(4, 8)) !== IDENTIFIER) throw new Error(`${url} is no TFLite file`);
  return file;
}
