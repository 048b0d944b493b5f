// A canvas on which mouse, pen and finger draw; what is drawn is read as ink, not as colours.

const STROKE = 22; // of 280: about as wide, once scaled, as a pen's stroke in the data set

/** Strokes on a canvas; `changed` is called after each piece of one, and after clearing. */
export class Drawing {
  #context;
  #changed;

  /**
   * @param {HTMLCanvasElement} canvas Taken over as it is.
   * @param {() => void} changed
   */
  constructor(canvas, changed) {
    this.#context = canvas.getContext("2d", { willReadFrequently: true });
    this.#changed = changed;
    Object.assign(this.#context, { lineWidth: STROKE, lineCap: "round", lineJoin: "round" });
    this.#context.strokeStyle = getComputedStyle(canvas).color;
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#draw(event));
  }

  get width() {
    return this.#context.canvas.width;
  }

  /** @returns {Uint8ClampedArray} [height * width]: how opaque each pixel is. */
  get ink() {
    const { width, height } = this.#context.canvas;
    return this.#context.getImageData(0, 0, width, height).data.filter((_, index) => index % 4 === 3);
  }

  clear() {
    const { width, height } = this.#context.canvas;
    this.#context.clearRect(0, 0, width, height);
    this.#changed();
  }

  #begin(event) {
    event.target.setPointerCapture(event.pointerId); // a stroke may leave the canvas and come back
    this.#context.beginPath();
    this.#context.moveTo(event.offsetX, event.offsetY);
    this.#draw(event);
  }

  #draw(event) {
    if (!event.target.hasPointerCapture(event.pointerId)) return;
    this.#context.lineTo(event.offsetX, event.offsetY);
    this.#context.stroke();
    this.#changed();
  }
}
