// Loads a graph model from its folder and prints its predictions for the rows on standard input, as JSON.

import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import "@tensorflow/tfjs-backend-cpu";
import { loadGraphModel } from "@tensorflow/tfjs-converter";
import { io, tensor } from "@tensorflow/tfjs-core";

const { folder, rows } = JSON.parse(await text(process.stdin));
const { weightsManifest, ...model } = JSON.parse(await readFile(`${folder}/model.json`, "utf8"));
const files = weightsManifest.flatMap(({ paths }) => paths);
const weights = Buffer.concat(await Promise.all(files.map((file) => readFile(`${folder}/${file}`))));
const weightSpecs = weightsManifest.flatMap((group) => group.weights);
const weightData = weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.byteLength);
const loaded = await loadGraphModel(io.fromMemory({ ...model, weightSpecs, weightData }));
const inputs = Object.fromEntries(Object.entries(rows).map(([name, values]) => [name, tensor(values)]));
const { predictions } = loaded.predict(inputs);
process.stdout.write(JSON.stringify(await predictions.array()));
