// Looks at the page in headless Chromium as a user does: draws, clears, reads the bars. What it saw is printed as JSON;
// what that should be is said in Python.

import { text } from "node:stream/consumers";
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";

chromium.setGraphicsMode = false;

const { url, digits, strokes } = JSON.parse(await text(process.stdin));
const browser = await puppeteer.launch({
  args: [...chromium.args, "--disable-gpu"],
  executablePath: await chromium.executablePath(),
  headless: "shell",
});
try {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(url);
  const opened = await shown(page);
  const answers = await page.evaluate(answersTo, digits);
  const scaled = await page.evaluate(scaledDown, digits.slice(0, 20));
  const drawn = [];
  for (const stroke of strokes) {
    drawn.push(await draw(page, stroke));
  }
  await page.click("#clear");
  const cleared = await shown(page);
  const broken = await withoutModel(await browser.newPage());
  process.stdout.write(JSON.stringify({ answers, scaled, drawn, opened, cleared, broken, errors }));
} finally {
  await browser.close();
}

/** In the page: the ten outputs for each digit, by the page's own model. */
async function answersTo(digits) {
  const run = await (await import("./page.js")).model;
  const answers = [];
  for (const pixels of digits) {
    answers.push([...(await run(Uint8Array.from(pixels)))]);
  }
  return answers;
}

/** In the page: what it makes of each digit when that is drawn ten times as large. */
async function scaledDown(digits) {
  const { asInDataSet } = await import("./scaling.js");
  const large = (pixels) =>
    Uint8ClampedArray.from({ length: 280 * 280 }, (_, at) => pixels[28 * Math.floor(at / 2800) + Math.floor((at % 280) / 10)]);
  return digits.map((pixels) => [...asInDataSet(large(pixels), 280)]);
}

async function draw(page, stroke) {
  await page.click("#clear");
  const { x, y } = await (await page.$("#drawing")).boundingBox();
  const [first, ...others] = stroke.map(([right, down]) => [x + right, y + down]);
  await page.mouse.move(...first);
  await page.mouse.down();
  for (const point of others) {
    await page.mouse.move(...point);
  }
  await page.mouse.up();
  return shown(page);
}

async function withoutModel(page) {
  await page.setRequestInterception(true);
  page.on("request", (request) =>
    request.url().endsWith(".tflite") ? request.respond({ body: "no model" }) : request.continue(),
  );
  await page.goto(url);
  return shown(page);
}

/** What can be seen once all drawn is answered: pixels 28x28, each bar times 256, which digits stand out, the sentence. */
async function shown(page) {
  await page.waitForSelector("main[aria-busy=false]");
  return page.evaluate(() => {
    const { data } = document.querySelector("#seen").getContext("2d").getImageData(0, 0, 28, 28);
    return {
      pixels: [...data.filter((_, at) => at % 4 === 3)],
      bars: [...document.querySelectorAll("progress")].map((bar) => bar.value * 256),
      first: [...document.querySelectorAll("li.first span")].map((digit) => Number(digit.textContent)),
      status: document.querySelector("#status").textContent,
    };
  });
}
