// How fast the kiosk's screen is on this machine: node tests/screen/figures.mjs [LOADS]
//
// Prints the size of what a browser loads, first paints, long tasks, and how long the way back takes after a reload and
// after a restart of nats-server. Fails at nothing: what is judged is what is read.
import fs from "node:fs";
import path from "node:path";
import { BUILD, Fleet, TOUCH_AGENTS } from "../interop/kit.mjs";
import { Customer, launch } from "./browser.mjs";

const loads = Number(process.argv[2] ?? 10);
const middle = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const line = (name, values, unit = "ms") => console.log(`${name.padEnd(52)}${String(Math.round(middle(values))).padStart(6)} ${unit}   (${Math.round(Math.min(...values))} to ${Math.round(Math.max(...values))})`);

// What the page notes of itself, from its first moment.
function observe() {
  window.figures = { long: [], opened: 0, shown: 0 };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.figures.long.push(entry.duration);
  }).observe({ type: "longtask", buffered: true });
  window.WebSocket = class extends WebSocket {
    constructor(...words) {
      super(...words);
      this.addEventListener("open", () => (window.figures.opened = performance.now()));
    }
  };
  // The screen is there, and nothing is before it.
  const look = () => {
    const free = document.querySelector(".page") && !document.querySelector(".dialog.offline");
    if (!free) window.figures.shown = 0;
    else window.figures.shown ||= performance.now();
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}

const fleet = await Fleet.up("--agents", `${TOUCH_AGENTS},screen`);
const browser = await launch();
try {
  const sizes = JSON.parse(fs.readFileSync(path.join(BUILD, "screen/sizes.json"), "utf8"));
  for (const [page, title] of [["kiosk", "the kiosk's page"], ["staff", "the staff console"]]) {
    for (const [name, size] of Object.entries(sizes[page])) console.log(`${`${title}, ${name}`.padEnd(52)}${(size / 1024).toFixed(1).padStart(6)} kB, gzipped`);
  }

  const paints = [], screens = [], long = [], touches = [];
  for (let load = 0; load < loads; load++) {
    const customer = await Customer.at(browser, "about:blank");
    const { page } = customer;
    await page.addInitScript(observe);
    await page.goto(fleet.facts.screen_url);
    await customer.layout("attract");
    await page.waitForFunction(() => window.figures.shown > 0);
    const begun = await page.evaluate(() => new Promise((resolve) => {
      const from = performance.now();
      const look = () => (document.querySelector(".layout-hero_grid") ? resolve(performance.now() - from) : requestAnimationFrame(look));
      document.querySelector(".attract").click();
      look();
    }));
    touches.push(begun);
    const seen = await page.evaluate(() => ({ ...window.figures, paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime }));
    paints.push(seen.paint);
    screens.push(seen.shown);
    long.push(seen.long.reduce((sum, duration) => sum + duration, 0));
    await page.getByRole("button", { name: "Cancel order" }).first().click();
    await customer.layout("attract");
    await customer.context.close();
  }
  line("first contentful paint, nothing cached", paints);
  line("load to the fleet's screen", screens);
  line("long tasks of a load and a first touch, together", long);
  line("touch to the next screen, painted", touches);

  const reloads = [], returns = [];
  const customer = await Customer.at(browser, "about:blank");
  await customer.page.addInitScript(observe);
  await customer.page.goto(fleet.facts.screen_url);
  await customer.layout("attract");
  await customer.begin();
  for (let load = 0; load < loads; load++) {
    await customer.page.reload();
    await customer.layout("hero_grid");
    await customer.page.waitForFunction(() => window.figures.shown > 0);
    reloads.push(await customer.page.evaluate(() => window.figures.shown));
  }
  for (let restart = 0; restart < Math.min(3, loads); restart++) {
    await fleet.script("kill", "nats");
    await customer.page.locator(".dialog.offline").waitFor();
    await fleet.script("start", "nats");
    await customer.page.locator(".dialog.offline").waitFor({ state: "detached" });
    await customer.page.waitForFunction(() => window.figures.shown > 0);
    returns.push(await customer.page.evaluate(() => window.figures.shown - window.figures.opened));
  }
  line("reload to the same screen", reloads);
  line("reconnected after nats-server was killed to the same", returns);
} finally {
  await browser.close();
  await fleet.down();
}
