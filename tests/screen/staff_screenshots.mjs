// Makes pictures of every page of the staff console: node tests/screen/staff_screenshots.mjs FOLDER
//
// Each on a desk's screen and on a phone; light, dark and in the second language.
import fs from "node:fs";
import path from "node:path";
import { Client, Fleet, TOUCH_AGENTS } from "../interop/kit.mjs";
import { Customer, launch, SIZES } from "./browser.mjs";
import { walk } from "./staff.mjs";

const folder = process.argv[2];
if (!folder || folder.startsWith("-")) {
  console.error("usage: node tests/screen/staff_screenshots.mjs FOLDER");
  process.exit(2);
}
fs.mkdirSync(folder, { recursive: true });

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
  });
  failed = false;
} finally {
  await browser.close();
  await client.close();
  await fleet.down({ failed });
}
console.log(`${count} pictures in ${folder}`);
