// Makes pictures of everything that the kiosk's screen and the staff console can show: node tests/screen/screenshots.mjs FOLDER [--docs]
//
// Each in portrait, landscape and on a phone; light, dark and in the second language. --docs also makes the small ones of
// docs/screen anew. staff_screenshots.mjs makes those of the console alone.
import fs from "node:fs";
import path from "node:path";
import { ALL_AGENTS, Fleet, SOURCE } from "../interop/kit.mjs";
import { Customer, launch, silence, SIZES } from "./browser.mjs";
import { FLAGS, walk } from "./walk.mjs";

const folder = process.argv[2];
const forDocs = process.argv[3] === "--docs";
if (!folder || folder.startsWith("-")) {
  console.error("usage: node tests/screen/screenshots.mjs FOLDER [--docs]");
  process.exit(2);
}
fs.mkdirSync(folder, { recursive: true });

// Past dialogs too, which keep a hand from the buttons behind them.
const look = (page, [language, theme]) =>
  page.evaluate(([name, colours]) => {
    [...document.querySelectorAll(".language")].find(({ lang }) => lang.startsWith(name))?.click();
    document.documentElement.dataset.theme = colours;
  }, [language, theme]);
// layout: how it looks in docs/screen.
const DOCS = { browse: "light", details: "dark", cart: "light", paying: "es" };
const SMALL_WIDTH = 240;

// Makes a picture small, in a page of its own.
async function small(picture, name) {
  const page = await browser.newPage();
  const data = await page.evaluate(async ([base64, width]) => {
    const whole = await createImageBitmap(await (await fetch(`data:image/png;base64,${base64}`)).blob());
    const canvas = Object.assign(document.createElement("canvas"), { width, height: Math.round((whole.height * width) / whole.width) });
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(whole, 0, 0, canvas.width, canvas.height);
    return canvas.toDataURL("image/png").split(",")[1];
  }, [picture.toString("base64"), SMALL_WIDTH]);
  await page.close();
  fs.writeFileSync(path.join(SOURCE, "docs/screen", `${name}.png`), Buffer.from(data, "base64"));
}

const LOOKS = { light: ["en", "light"], dark: ["en", "dark"], es: ["es", "light"] };

const fleet = await Fleet.up("--agents", `${ALL_AGENTS},screen`, ...FLAGS);
const browser = await launch({ microphone: silence(path.join(folder, "silence.wav")) });
let failed = true;
let count = 0;
try {
  const customer = await Customer.at(browser, fleet.facts.screen_url, { reducedMotion: "reduce" });
  await walk(fleet, customer, async (name, page) => {
    for (const [title, looks] of Object.entries(LOOKS)) {
      await look(page, looks);
      for (const [size, viewport] of Object.entries(SIZES)) {
        await page.setViewportSize(viewport);
        await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
        const picture = await page.screenshot({ path: path.join(folder, `${name}-${size}-${title}.png`) });
        if (forDocs && size === "portrait" && DOCS[name] === title) await small(picture, name);
        count++;
      }
    }
    await page.setViewportSize(SIZES.portrait);
    await look(page, LOOKS.light);
  });
  failed = false;
} finally {
  await browser.close();
  await fleet.down({ failed });
}
console.log(`${count} pictures in ${folder}`);
await import("./staff_screenshots.mjs");
