// A fleet and a browser for the tests of one file.
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { ALL_AGENTS, BUILD, Client, eventually, Fleet, SOURCE, TOUCH_AGENTS } from "../interop/kit.mjs";
import { launch } from "./browser.mjs";

export const rig = { fleet: undefined, browser: undefined, client: undefined };
let failed = false;
let pictures = 0;

// `voice`: with the agents that hear and speak.
export function setUp({ voice = false, flags = [], browser = {} } = {}) {
  before(async () => {
    rig.fleet = await Fleet.up("--agents", `${voice ? ALL_AGENTS : TOUCH_AGENTS},screen`, ...flags);
    rig.client = await Client.connect(rig.fleet);
    rig.browser = await launch(typeof browser === "function" ? await browser() : browser);
  });
  after(async () => {
    await rig.browser?.close();
    await rig.client?.close();
    await rig.fleet?.down({ failed });
  });
}

// One more screen's server for a fleet, with another login.
export async function serveAs(fleet, login, ...flags) {
  const ready = path.join(fleet.dir, `${login}.ready`);
  const child = spawn(path.join(SOURCE, "services/screen/serve"),
    [`--root=${path.join(BUILD, "screen")}`, `--nats_ws_url=${fleet.facts.nats_ws_url}`, `--login=${path.join(fleet.dir, "credentials", login)}`,
      `--receipt_base_url=${fleet.facts.agents.payment.http_url}`, `--ready_file=${ready}`, "--simulated_terminal", ...flags],
    { stdio: ["ignore", "ignore", "inherit"] });
  const { http_url } = await eventually("the second screen's server", () => JSON.parse(fs.readFileSync(ready, "utf8")));
  return { url: http_url, stop: () => child.kill() };
}

export function scenario(name, run) {
  test(name, async () => {
    try {
      await run(rig);
    } catch (error) {
      failed = true;
      // What every page showed, beside the logs.
      for (const page of rig.browser?.contexts().flatMap((context) => context.pages()) ?? []) {
        const picture = path.join(rig.fleet.dir, "logs", `page-${++pictures}.png`);
        await page.screenshot({ path: picture }).then(() => console.error(`page: ${picture}`), () => {});
        await page.evaluate(() => [document.querySelector(".page")?.className, document.body.innerText].join(": ")).then(
          (text) => console.error(`it showed ${text.replace(/\s+/g, " ").slice(0, 2000)}`), () => {});
      }
      throw error;
    }
  });
}
