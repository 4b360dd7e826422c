// What sells out, who walks away, and a bus that sends anything.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after } from "node:test";
import { envelope, eventually } from "../interop/kit.mjs";
import { Customer } from "./browser.mjs";
import { scenario, setUp } from "./rig.mjs";

const MARKUP = `<img src=x onerror="window.owned=1"><script>window.owned=1</script>`;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "arc-screen-menu-"));
after(() => fs.rmSync(folder, { recursive: true, force: true }));
const menu = path.join(folder, "menu.json");
fs.writeFileSync(menu, JSON.stringify({
  currency: "USD",
  categories: [{ id: "x", name: `C ${MARKUP}` }],
  items: [
    { id: 1, name: "Plain Toast", category: "x", price: 2.5, image: "/img/volcano.png", tags: ["popular"] },
    { id: 2, name: `Toast ${MARKUP}`.slice(0, 100), category: "x", price: 3, image: "//elsewhere.example/x.png", description: MARKUP, tags: ["popular", MARKUP], customizations: [{ name: "$& $1 {name}", price: 0.5 }], allergens: ["gluten"] },
    { id: 3, name: "W".repeat(100), category: "x", price: 999999.99, image: "/img/none.png", tags: ["popular"] },
  ],
}));

// A picture of this menu is missing, and the browser says so.
const at = (browser, fleet) => Customer.at(browser, fleet.facts.screen_url, { expected: /status of 404/ });

setUp({ voice: true, flags: ["--menu", menu, "--flag", "orchestrator=--idle_warning=8s", "--flag", "orchestrator=--idle_timeout=14s"] });

scenario("a dish sells out while it is looked at, and comes back", async ({ fleet, browser }) => {
  const customer = await at(browser, fleet);
  const { page } = customer;
  await customer.begin();
  await customer.tap(/^Plain Toast/);
  await customer.layout("details");
  await customer.button(/^Add to order/).waitFor();
  await fleet.arcctl("menu", "86", "1");
  await page.getByRole("alert").getByText("This dish has just sold out.").waitFor();
  assert.equal(await customer.button(/^Add to order/).count(), 0);
  await customer.tap("Back");
  await customer.layout("hero_grid");
  await page.locator(".chip").nth(1).tap();
  await page.getByRole("button", { name: "Plain Toast Sold out" }).waitFor();
  await fleet.arcctl("menu", "back", "1");
  await customer.button(/^Add Plain Toast/).waitFor();

  // Sold out in the cart: said at the checkout, with a way on.
  await customer.tap(/^Add Plain Toast/);
  await page.locator(".cartbar", { hasText: "1 item" }).waitFor();
  await fleet.arcctl("menu", "86", "1");
  await page.getByRole("button", { name: "Plain Toast Sold out" }).waitFor();
  await page.locator(".cartbar").tap();
  await customer.layout("cart");
  await page.locator(".line.soldout", { hasText: "Sold out" }).waitFor();
  assert.equal(await customer.button("One more Plain Toast").isDisabled(), true);
  assert.equal(await page.locator(".stepper").getByRole("button", { name: "Remove Plain Toast" }).isDisabled(), false);
  await customer.tap("Checkout");
  await customer.see("Plain Toast is sold out and was taken out of your cart.");
  await customer.see("Your order is empty.");
  await fleet.arcctl("menu", "back", "1");
  // Nothing is in it: nobody is asked.
  await customer.tap("Cancel order");
  await customer.layout("attract");
  await customer.close();
});

scenario("who walks away is asked, with a countdown, and the order is cleared", async ({ fleet, browser }) => {
  const customer = await at(browser, fleet);
  const { page } = customer;
  await customer.begin();
  const dialog = page.getByRole("alertdialog", { name: "Are you still there?" });
  await dialog.waitFor();
  const first = Number(await dialog.locator(".idle-seconds").innerText());
  await page.waitForFunction((seconds) => Number(document.querySelector(".idle-seconds")?.textContent ?? seconds) < seconds - 1, first);
  // A page that is loaded meanwhile says what is left, not what was left at first.
  const before = Number(await dialog.locator(".idle-seconds").innerText());
  await page.reload();
  await dialog.waitFor();
  const after = Number(await dialog.locator(".idle-seconds").innerText());
  assert.ok(after <= before, `${before} s, and after a reload ${after} s`);
  await customer.tap("Keep going");
  await dialog.waitFor({ state: "detached" });
  await customer.layout("hero_grid");
  await dialog.waitFor();
  await customer.layout("attract");
  assert.equal(await dialog.count(), 0);
  await customer.close();
});

scenario("who walks away with the cursor in the note is asked like everybody, and the question stays", async ({ fleet, browser, client }) => {
  const customer = await at(browser, fleet);
  const { page } = customer;
  await customer.begin();
  await customer.tap(/^Plain Toast/);
  await customer.layout("details");
  await page.getByLabel("Note for the kitchen").fill("well done");
  const touches = [];
  const subscription = client.nc.subscribe("kiosk.input.touch", { callback: (_, message) => touches.push(message.string()) });
  await page.getByRole("alertdialog", { name: "Are you still there?" }).waitFor();
  await customer.layout("attract");
  await client.nc.flush();
  subscription.unsubscribe();
  assert.deepEqual(touches, []);
  await customer.close();
});

scenario("names, descriptions and transcripts are text, whatever they say", async ({ fleet, browser, client }) => {
  const answer = await fetch(fleet.facts.screen_url);
  const policy = answer.headers.get("content-security-policy");
  for (const rule of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"]) assert.ok(policy.includes(rule), policy);
  assert.ok(!/unsafe|\*/.test(policy), policy);
  for (const secret of ["/../serve", "/%2e%2e/serve", "/etc/passwd", "//etc/passwd", "/img/"]) assert.equal((await fetch(fleet.facts.screen_url + secret)).status, 404, secret);

  const customer = await at(browser, fleet);
  const { page } = customer;
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await customer.begin();
  await page.locator(".card-title", { hasText: "Toast <img src=x onerror=" }).waitFor();
  await page.locator(".card-open", { hasText: "Toast <img" }).tap();
  await customer.layout("details");
  await page.locator(".description", { hasText: MARKUP }).waitFor();
  await page.getByLabel("$& $1 {name}").check();
  await page.getByRole("button", { name: /3\.50/ }).waitFor();
  await page.getByLabel("Note for the kitchen").fill(MARKUP);
  await customer.tap(/^Add to order/);
  await customer.layout("cart");
  await page.locator(".extra.note", { hasText: MARKUP }).waitFor();
  await customer.tap("Español");
  await customer.see("$& $1 {name}");
  await customer.tap("English");
  await customer.tap("Type instead");
  await page.getByRole("textbox", { name: "Type what you would like" }).fill(MARKUP);
  await customer.tap("Send");
  await page.locator(".heard", { hasText: MARKUP }).waitFor();
  // Nothing of that was run, and nothing asked for elsewhere.
  assert.equal(await page.evaluate(() => window.owned), undefined);
  assert.deepEqual(asked.filter((url) => !url.startsWith(fleet.facts.screen_url)), []);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);

  // Whatever else comes over the bus is left out or shown as far as it goes, and the next screen is there as ever.
  const send = (subject, body) => client.nc.publish(subject, typeof body === "string" ? body : JSON.stringify(body));
  const update = (components, more = {}) => send("kiosk.ui.update", envelope({ event: "ui_update", layout_mode: "hero_grid", theme_override: null, components, suggested_actions: [], ...more }));
  send("kiosk.ui.update", "{");
  send("kiosk.ui.update", "[]");
  send("kiosk.ui.update", { payload: null });
  send("kiosk.ui.update", { payload: { layout_mode: 7, components: {} } });
  send("kiosk.voice.transcript", { payload: { text: 7 } });
  send("agent.voice.state", { room_name: "kiosk-001", new_state: "flying", turn_index: "many" });
  send("agent.tts.request", { target_room: "kiosk-001", text: {} });
  send("agent.tts.audio.kiosk-001", "no sound");
  const odd = [{ type: "ItemGrid", data: { title: "T", items: null, total: 1, loading: false } }, null, 7, { type: "Unheard", data: {} }, { type: "constructor", data: {} }, { type: "Upsell", data: {} },
    ...Array.from({ length: 9 }, (_, index) => ({ type: "Notice", data: { code: "X", text: `Notice ${index}.`, severity: "error" } })),
    { type: "Notice", data: { code: "X", text: "Only this is well formed.", severity: "warning" } }];
  // What the fleet still has to say about what was typed comes between.
  await eventually("the odd screen", async () => {
    update(odd, { suggested_actions: [7, null, "Fly"] });
    for (const text of ["Only this is well formed.", "This part of the screen cannot be shown."]) await page.getByText(text).first().waitFor({ timeout: 1000 });
    // Of ten notices the last two.
    assert.deepEqual(await page.locator(".toast p").allInnerTexts(), ["Notice 8.", "Only this is well formed."]);
    return (await customer.button("Fly").count()) === 1;
  });

  // A receipt is this fleet's own, and where there is no way back from another window it is a code alone.
  const paid = (receipt_url) => update([{ type: "Receipt", data: { amount_charged: 1, currency: "USD", loyalty_points_earned: 0, print: "printed", receipt_url } }], { layout_mode: "paid" });
  for (const elsewhere of ["//elsewhere.example/r.pdf", "/\\elsewhere.example/r.pdf", "https://elsewhere.example/r.pdf"]) {
    await eventually("a receipt", async () => {
      paid(elsewhere);
      return page.locator(".layout-paid .receipt").waitFor({ timeout: 1000 }).then(() => true);
    });
    assert.equal(await page.locator(".receipt-link, .qr").count(), 0, elsewhere);
  }
  await eventually("a receipt's link", async () => {
    paid("/receipts/r.pdf");
    return page.locator(".receipt-link").waitFor({ timeout: 1000 }).then(() => true);
  });
  // Headless Chromium is never full screen: that the style is there is what can be seen of it here.
  const hidden = await page.evaluate(() => [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules])
    .filter((rule) => rule instanceof CSSMediaRule && rule.conditionText === "(display-mode: fullscreen)")
    .flatMap((rule) => [...rule.cssRules]).some(({ selectorText, style }) => selectorText === ".receipt-link" && style.display === "none"));
  assert.equal(hidden, true);
  assert.ok(customer.problems.some((problem) => /TypeError/.test(problem)), "what an element failed at is said on the console");
  customer.problems = [];
  await page.reload();
  await page.locator(".page").waitFor();
  await client.nc.flush();
  await customer.close();
});
