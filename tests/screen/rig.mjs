// A fleet and a browser for the tests of one file.
import path from "node:path";
import { after, before, test } from "node:test";
import { ALL_AGENTS, Client, Fleet, TOUCH_AGENTS } from "../interop/kit.mjs";
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
      }
      throw error;
    }
  });
}
