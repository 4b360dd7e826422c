// Nothing serious that axe finds, and nothing too small to touch, on any layout: portrait in both themes, landscape, phone.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after } from "node:test";
import { problems } from "./accessible.mjs";
import { Customer, silence, SIZES } from "./browser.mjs";
import { scenario, setUp } from "./rig.mjs";
import { FLAGS, walk } from "./walk.mjs";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "arc-screen-axe-"));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

setUp({ voice: true, flags: FLAGS, browser: { microphone: silence(path.join(folder, "silence.wav")) } });

scenario("axe and the size of what is touched, everywhere", async ({ fleet, browser }) => {
  // Past the content security policy, for axe alone.
  const customer = await Customer.at(browser, fleet.facts.screen_url, { bypassCSP: true, reducedMotion: "reduce" });
  const found = [];
  await walk(fleet, customer, async (name, page) => {
    for (const [size, theme] of [["portrait", "light"], ["portrait", "dark"], ["landscape", "light"], ["phone", "light"], ["phone", "dark"]]) {
      if (name === "keyboard" && size === "phone") continue; // phones bring their own
      await page.setViewportSize(SIZES[size]);
      await page.evaluate((colours) => (document.documentElement.dataset.theme = colours), theme);
      found.push(...(await problems(page)).map((problem) => `${name} ${size} ${theme}: ${problem}`));
    }
    await page.setViewportSize(SIZES.portrait);
    await page.evaluate(() => (document.documentElement.dataset.theme = "light"));
  });
  assert.equal([...new Set(found)].join("\n"), "");
  await customer.context.close();
});
