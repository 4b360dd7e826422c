// Makes pictures of every page of the staff console: node tests/screen/staff_screenshots.mjs FOLDER [--docs]
//
// Each on a desk's screen and on a phone; light, dark and in the second language. --docs also makes docs/screen/console.png
// anew.
import fs from "node:fs";
import path from "node:path";
import { Client, Fleet, SOURCE, TOUCH_AGENTS } from "../interop/kit.mjs";
import { Customer, launch, SIZES } from "./browser.mjs";
import { walk } from "./staff.mjs";

const folder = process.argv[2];
const forDocs = process.argv[3] === "--docs";
if (!folder || folder.startsWith("-")) {
  console.error("usage: node tests/screen/staff_screenshots.mjs FOLDER [--docs]");
  process.exit(2);
}
fs.mkdirSync(folder, { recursive: true });

const DOCS_SIZE = { width: 1140, height: 514 };
const DOCS_SCALE = 0.75;
const LOOKS = { light: ["en", "light"], dark: ["en", "dark"], es: ["es", "light"] };
const fleet = await Fleet.up("--agents", `${TOUCH_AGENTS},screen`);
const client = await Client.connect(fleet);
const browser = await launch();
let failed = true;
let count = 0;
try {
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  const staff = await Customer.at(browser, `${fleet.facts.screen_url}/staff`, { size: SIZES.landscape, reducedMotion: "reduce" });
  await walk(fleet, client, customer, staff, async (name, page) => {
    if (forDocs && name === "fleet") {
      await page.setViewportSize(DOCS_SIZE);
      const devtools = await page.context().newCDPSession(page);
      const { data } = await devtools.send("Page.captureScreenshot", { format: "png", clip: { x: 0, y: 0, ...DOCS_SIZE, scale: DOCS_SCALE } });
      fs.writeFileSync(path.join(SOURCE, "docs/screen/console.png"), Buffer.from(data, "base64"));
    }
    for (const [title, [language, theme]] of Object.entries(LOOKS)) {
      await page.locator(`.language[lang="${language}"]`).click();
      await page.evaluate((colours) => (document.documentElement.dataset.theme = colours), theme);
      for (const size of ["landscape", "phone"]) {
        await page.setViewportSize(SIZES[size]);
        await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
        await page.screenshot({ path: path.join(folder, `staff-${name}-${size}-${title}.png`) });
        count++;
      }
    }
    await page.setViewportSize(SIZES.landscape);
    await page.locator('.language[lang="en"]').click();
    await page.evaluate(() => (document.documentElement.dataset.theme = "light"));
  }, { busy: forDocs ? 26 : 4 });
  failed = false;
} finally {
  await browser.close();
  await client.close();
  await fleet.down({ failed });
}
console.log(`${count} pictures in ${folder}`);
