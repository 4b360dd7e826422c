// Debian's Chromium before a fleet's screen, as a customer uses it.
import assert from "node:assert/strict";
import fs from "node:fs";
import { chromium } from "playwright-core";

export const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) => fs.existsSync(path)) ?? "chromium";
export const SIZES = {
  portrait: { width: 1080, height: 1920 },
  landscape: { width: 1920, height: 1080 },
  phone: { width: 390, height: 844 },
};

// A WAV of a second in which nobody says anything.
export function silence(file) {
  const rate = 48_000, bytes = rate * 2;
  const header = Buffer.alloc(44);
  header.write("RIFF", 0);
  header.writeUInt32LE(36 + bytes, 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(16, 16);
  for (const [at, value] of [[20, 1], [22, 1], [32, 2], [34, 16]]) header.writeUInt16LE(value, at);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(rate * 2, 28);
  header.write("data", 36);
  header.writeUInt32LE(bytes, 40);
  fs.writeFileSync(file, Buffer.concat([header, Buffer.alloc(bytes)]));
  return file;
}

// `microphone`: a WAV that is said once, from the moment that the page listens.
export function launch({ microphone, args = [] } = {}) {
  const fake = microphone
    ? ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", `--use-file-for-fake-audio-capture=${microphone}%noloop`]
    : [];
  // Tests run as root in containers, where Chromium's own sandbox cannot be.
  return chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required", ...fake, ...args] });
}

// A screen of a kiosk. Whatever the page complains about is a failure, unless the test says that it will.
export class Customer {
  static async at(browser, url, { size = SIZES.portrait, expected, ...options } = {}) {
    const customer = new Customer();
    customer.context = await browser.newContext({ viewport: size, locale: "en-US", hasTouch: true, ...options });
    customer.page = await customer.context.newPage();
    customer.problems = [];
    customer.page.on("pageerror", (error) => customer.problems.push(String(error)));
    customer.page.on("console", (message) => {
      // A server that is gone, and what the test expects.
      if (message.type() === "error" && !/WebSocket connection to/.test(message.text()) && !expected?.test(message.text())) customer.problems.push(message.text());
    });
    customer.page.setDefaultTimeout(20_000);
    await customer.page.goto(url);
    return customer;
  }
  layout(name, timeout) {
    return this.page.locator(`.page.layout-${name}`).waitFor({ timeout });
  }
  button(name, options = {}) {
    return this.page.getByRole("button", { name, ...options });
  }
  async tap(name, options, wait) {
    await this.button(name, options).first().tap(wait);
  }
  async see(text) {
    await this.page.getByText(text).first().waitFor();
  }
  async begin() {
    await this.page.locator(".attract").tap();
    await this.layout("hero_grid");
  }
  async close() {
    await this.context.close();
    assert.deepEqual(this.problems, []);
  }
}
