// LiteRT.js (2.5) refuses every call of a file whose batch can be of any size, though the runtime below it does not mind.
// So the size is set to 1 in the bytes that were fetched; weights and operations stay what they are. The format is that
// of https://flatbuffers.dev/internals, the numbers of fields those of TFLite's schema.fbs.

const MODEL_SUBGRAPHS = 2;
const SUBGRAPH_TENSORS = 0;
const TENSOR_SHAPE_SIGNATURE = 7; // sizes of a tensor, int32, -1 for any
const ANY = -1;

/**
 * @param {ArrayBuffer} file A .tflite file in which nothing but the batch may have any size.
 * @returns {Uint8Array} The file for a batch of 1; `file` itself stays as it is.
 */
export function withBatchOfOne(file) {
  const copy = file.slice(0);
  const view = new DataView(copy);
  for (const subgraph of tables(view, target(view, 0), MODEL_SUBGRAPHS)) {
    for (const tensor of tables(view, subgraph, SUBGRAPH_TENSORS)) {
      for (const size of elements(view, tensor, TENSOR_SHAPE_SIGNATURE)) {
        if (view.getInt32(size, true) === ANY) view.setInt32(size, 1, true);
      }
    }
  }
  return new Uint8Array(copy);
}

/** Where the tables of a vector in a field of a table begin. */
function tables(view, table, field) {
  return elements(view, table, field).map((at) => target(view, at));
}

/** Where the elements of a vector in a field of a table lie, four bytes each; none where the field is absent. */
function elements(view, table, field) {
  const at = position(view, table, field);
  if (at === null) return [];
  const vector = target(view, at);
  return Array.from({ length: view.getUint32(vector, true) }, (_, index) => vector + 4 + 4 * index);
}

function position(view, table, field) {
  const fields = table - view.getInt32(table, true);
  const entry = 4 + 2 * field;
  const offset = entry < view.getUint16(fields, true) ? view.getUint16(fields + entry, true) : 0;
  return offset ? table + offset : null;
}

function target(view, at) {
  return at + view.getUint32(at, true);
}
