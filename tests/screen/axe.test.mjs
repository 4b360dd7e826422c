// Nothing serious that axe finds, on any layout: portrait in both themes, landscape, phone.
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { after } from "node:test";
import { Customer, silence, SIZES } from "./browser.mjs";
import { scenario, setUp } from "./rig.mjs";
import { FLAGS, walk } from "./walk.mjs";

const AXE = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "arc-screen-axe-"));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

setUp({ voice: true, flags: FLAGS, browser: { microphone: silence(path.join(folder, "silence.wav")) } });

// Targets that are smaller than 48 px, of what can be touched now.
const small = () =>
  [...document.querySelectorAll("button, a[href], input, label.choice")]
    .filter((element) => element.checkVisibility() && !element.closest("[inert]") && !(element.type === "checkbox"))
    .map((element) => [element, element.getBoundingClientRect()])
    .filter(([, { width, height }]) => width > 0 && (width < 47.5 || height < 47.5))
    .map(([element, { width, height }]) => `${element.className || element.tagName} "${element.textContent}" is ${Math.round(width)} x ${Math.round(height)}`);

scenario("axe and the size of what is touched, everywhere", async ({ fleet, browser }) => {
  // Past the content security policy, for axe alone.
  const customer = await Customer.at(browser, fleet.facts.screen_url, { bypassCSP: true, reducedMotion: "reduce" });
  const found = [];
  await walk(fleet, customer, async (name, page) => {
    if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(AXE);
    for (const [size, theme] of [["portrait", "light"], ["portrait", "dark"], ["landscape", "light"], ["phone", "light"], ["phone", "dark"]]) {
      if (name === "keyboard" && size === "phone") continue; // phones bring their own
      await page.setViewportSize(SIZES[size]);
      await page.evaluate((colours) => (document.documentElement.dataset.theme = colours), theme);
      const look = async () => {
        const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
        return violations.flatMap(({ id, impact, nodes }) =>
          nodes.map(({ html, failureSummary }) => `${name} ${size} ${theme}: ${impact} ${id}: ${html.slice(0, 160)} ${failureSummary.split("\n")[1]}`));
      };
      const problems = await look();
      // axe reads an element's colours one after the other, and the fleet's next screen may come between: what is wrong is wrong twice.
      if (problems.length > 0) {
        const again = await look();
        found.push(...problems.filter((problem) => again.includes(problem)));
      }
      for (const problem of await page.evaluate(small)) found.push(`${name} ${size}: ${problem}`);
      if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) found.push(`${name} ${size}: is wider than the screen`);
    }
    await page.setViewportSize(SIZES.portrait);
    await page.evaluate(() => (document.documentElement.dataset.theme = "light"));
  });
  assert.equal([...new Set(found)].join("\n"), "");
  await customer.context.close();
});
