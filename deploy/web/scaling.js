// Places a drawing in 28x28 pixels as the data set's digits are (http://yann.lecun.com/exdb/mnist: the longer side 20
// pixels, grey levels from averaging, centre of mass in the middle). The pixels are the model's input as they are.

const SIDE = 28;
const LONGER = 20;

/**
 * @param {Uint8ClampedArray} ink [height * width], 0 paper to 255 ink, row by row.
 * @param {number} width Of a row.
 * @returns {Uint8Array} [784], 0 to 255; all 0 where nothing is drawn.
 */
export function asInDataSet(ink, width) {
  const box = inked(ink, width);
  const digit = new Uint8Array(SIDE * SIDE);
  if (!box) return digit;
  const small = shrunk(ink, width, box);
  const [left, top] = offset(small);
  small.rows.forEach((row, y) => row.forEach((value, x) => (digit[(top + y) * SIDE + left + x] = value)));
  return digit;
}

/** The smallest box around all ink. */
function inked(ink, width) {
  const xs = [];
  const ys = [];
  ink.forEach((value, index) => {
    if (value) {
      xs.push(index % width);
      ys.push(Math.floor(index / width));
    }
  });
  if (!xs.length) return null;
  const [left, right] = extent(xs);
  const [top, bottom] = extent(ys);
  return { left, top, width: right - left + 1, height: bottom - top + 1 };
}

function extent(values) {
  return values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
}

/** The box at its size in the data set; each pixel is the mean of the area that it covers. */
function shrunk(ink, width, box) {
  const scale = LONGER / Math.max(box.width, box.height);
  const columns = covered(box.width, Math.max(1, Math.round(box.width * scale)));
  const lines = covered(box.height, Math.max(1, Math.round(box.height * scale)));
  const at = (x, y) => ink[(box.top + y) * width + box.left + x];
  const mean = (line, column) =>
    line.reduce((sum, [y, high]) => sum + column.reduce((part, [x, wide]) => part + high * wide * at(x, y), 0), 0);
  return { rows: lines.map((line) => columns.map((column) => Math.round(mean(line, column)))) };
}

/** Of each of `to` equal parts of 0..from: the cells that it covers, each with its share of the part. */
function covered(from, to) {
  const size = from / to;
  return Array.from({ length: to }, (_, part) => {
    const cells = [];
    for (let cell = Math.floor(part * size); cell < (part + 1) * size && cell < from; cell++) {
      const overlap = Math.min(cell + 1, (part + 1) * size) - Math.max(cell, part * size);
      if (overlap > 0) cells.push([cell, overlap / size]);
    }
    return cells;
  });
}

/** Where to put it so that its centre of mass lies on the middle pixel, and all of it inside. */
function offset({ rows }) {
  let [mass, x, y] = [0, 0, 0];
  rows.forEach((row, top) =>
    row.forEach((value, left) => {
      mass += value;
      x += value * left;
      y += value * top;
    }),
  );
  const place = (moment, size) => Math.min(Math.max(Math.round(SIDE / 2 - moment / mass), 0), SIDE - size);
  return [place(x, rows[0].length), place(y, rows.length)];
}
