// A person orders by speaking into Chromium's microphone, which is a recording here; and without a microphone by typing.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after } from "node:test";
import { eventually, run } from "../interop/kit.mjs";
import { Customer } from "./browser.mjs";
import { scenario, setUp } from "./rig.mjs";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "arc-screen-voice-"));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

// A WAV of these words, said by flite after a moment, with silence behind them.
async function say(name, words) {
  const spoken = path.join(folder, `${name}.flite.wav`);
  const wav = path.join(folder, `${name}.wav`);
  for (const [program, ...options] of [
    ["flite", "-voice", "rms", "-t", words, "-o", spoken],
    ["sox", spoken, "-r", "48000", wav, "pad", "1", "3"],
  ]) {
    const done = await run(program, ...options);
    assert.equal(done.status, 0, `${program}: ${done.stderr}`);
  }
  return wav;
}

setUp({ voice: true, browser: async () => ({ microphone: await say("order", "two volcano burgers please") }) });

scenario("an order by voice, with captions and an answer", async ({ fleet, browser }) => {
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  const { page } = customer;
  await customer.begin();
  const states = new Set();
  await page.exposeFunction("sawState", (state) => states.add(state));
  await page.evaluate(() => {
    const voice = document.querySelector(".voice");
    new MutationObserver(() => {
      for (const name of voice.classList) if (name.startsWith("is-")) window.sawState(name);
      if (voice.dataset.sounding === "true") window.sawState("sounding");
    }).observe(voice, { attributes: true });
  });
  await customer.tap("Speak");
  await page.locator('.mic[aria-pressed="true"]').waitFor();
  await page.locator(".heard", { hasText: /volcano/ }).waitFor({ timeout: 30_000 });
  await page.locator(".cartbar", { hasText: "2 items" }).waitFor({ timeout: 30_000 });
  await page.locator(".said", { hasText: /two Volcano Burgers/i }).waitFor();
  await eventually("the answer to be heard", () => states.has("sounding"));
  for (const state of ["is-listening", "is-thinking", "is-speaking"]) assert.ok(states.has(state), `${state} of ${[...states]}`);
  await customer.tap("Stop listening");
  await page.locator('.mic[aria-pressed="false"]').waitFor();
  await page.locator(".cartbar").tap();
  await customer.layout("cart");
  assert.deepEqual(await page.locator(".line-name").allInnerTexts(), ["Volcano Burger"]);
  assert.deepEqual(await page.locator(".line output").allInnerTexts(), ["2"]);
  await customer.tap("Cancel order");
  await page.getByRole("alertdialog").getByRole("button", { name: "Cancel order" }).tap();
  await customer.layout("attract");
  // What was said is not the next customer's to read.
  assert.equal(await page.locator(".heard").count(), 0);
  await customer.close();
});

scenario("typed words, and the kiosk's voice stops at once when it is interrupted", async ({ fleet, browser }) => {
  const interruption = await say("interruption", "show me my cart please");
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  const { page } = customer;
  await customer.begin();
  await customer.tap("Type instead");
  await page.getByRole("textbox", { name: "Type what you would like" }).fill("what is vegan");
  await customer.tap("Send");
  await page.locator(".said", { hasText: /vegan|Plant Power/ }).waitFor();
  await page.locator('.voice[data-sounding="true"]').waitFor();
  const before = Number(await page.locator(".voice").getAttribute("data-hushes"));
  // Somebody speaks at the kiosk while it speaks.
  const speaking = fleet.arcctl("speak", interruption);
  await eventually("the voice to be hushed", async () => Number(await page.locator(".voice").getAttribute("data-hushes")) > before);
  await page.locator(".heard", { hasText: /cart/ }).waitFor();
  await speaking;
  await page.locator('.voice[data-sounding="false"]').waitFor();
  // With the session ends what is said, too.
  await page.getByRole("textbox", { name: "Type what you would like" }).fill("what is vegan");
  await customer.tap("Send");
  await page.locator('.voice[data-sounding="true"]').waitFor();
  await customer.tap("Cancel order");
  await customer.layout("attract");
  assert.equal(await page.locator(".voice").getAttribute("data-sounding"), "false");
  await customer.close();
});

scenario("a microphone that is unplugged while it listens: the text field", async ({ fleet, browser }) => {
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  const { page } = customer;
  await page.evaluate(() => {
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => (window.heard = await ask(wanted));
  });
  await customer.begin();
  await customer.tap("Speak");
  await page.locator('.mic[aria-pressed="true"]').waitFor();
  await page.evaluate(() => window.heard.getTracks()[0].dispatchEvent(new Event("ended")));
  await customer.see("There is no microphone here");
  await page.getByRole("textbox", { name: "Type what you would like" }).waitFor();
  await customer.tap("Cancel order");
  await customer.layout("attract");
  await customer.close();
});

scenario("no microphone: a text field, which orders too", async ({ fleet, browser }) => {
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  const { page } = customer;
  await page.evaluate(() => Object.defineProperty(navigator, "mediaDevices", { value: undefined }));
  await customer.begin();
  await customer.tap("Speak");
  await customer.see("There is no microphone here");
  await page.getByRole("textbox", { name: "Type what you would like" }).fill("one iced cola please");
  await page.keyboard.press("Enter");
  await page.locator(".cartbar", { hasText: "1 item" }).waitFor();
  await customer.close();
});
