// Reloads and lost connections, at any moment: the same screen comes back, and nothing is ordered or paid twice.
import assert from "node:assert/strict";
import { eventually } from "../interop/kit.mjs";
import { after } from "node:test";
import { Customer } from "./browser.mjs";
import { scenario, serveAs, setUp } from "./rig.mjs";

setUp();

const count = (page) => page.locator(".cartbar-count").innerText();

// From an empty order to "tap your card".
async function upToPayment(customer) {
  await customer.begin();
  await customer.tap(/^Add Volcano Burger/);
  await customer.page.locator(".cartbar").tap();
  await customer.layout("cart");
  await customer.tap("Checkout");
  await customer.layout("checkout");
  await customer.tap("Pay now");
  await customer.layout("paying");
}

scenario("a reload at every layout, and in the middle of paying", async ({ fleet, browser }) => {
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  const { page } = customer;
  const again = async (layout) => {
    await page.reload();
    await customer.layout(layout);
  };
  await again("attract");
  await customer.begin();
  await customer.tap("Español");
  await customer.tap("Colores oscuros");
  await again("hero_grid");
  await customer.see("¿Qué te apetece?");
  assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
  await customer.tap("English");
  await customer.tap(/^Volcano Burger/);
  await customer.layout("details");
  await page.getByLabel("Extra Cheese").check();
  await page.getByRole("button", { name: /14\.49/ }).waitFor();
  await again("details");
  assert.equal(await page.getByLabel("Extra Cheese").isChecked(), true);
  await customer.tap(/^Add to order/);
  await customer.layout("cart");
  await again("cart");
  await customer.tap("Checkout");
  await customer.layout("checkout");
  await again("checkout");
  await customer.tap("Pay now");
  await customer.layout("paying");
  await again("paying");
  await customer.see("Tap your card");
  await customer.tap("Tap a declined card");
  await customer.layout("checkout");
  await customer.see("Your card was declined");
  await customer.tap("Pay now");
  await customer.layout("paying");
  await again("paying");
  await customer.tap("Tap a good card");
  await customer.layout("paid");
  const number = await page.locator(".order-number").innerText();
  await again("paid");
  assert.equal(await page.locator(".order-number").innerText(), number);
  await customer.tap("Done");
  await customer.layout("attract");
  // The next customer begins in the default language and colours.
  assert.equal(await page.locator("html").getAttribute("data-theme"), "light");
  assert.equal((await fleet.intents()).filter(({ state }) => state === "succeeded").length, 1);
  await customer.close();
});

scenario("nats-server restarts: a touch that was under way counts once, one that is made meanwhile is visibly not sent", async ({ fleet, browser }) => {
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  const { page } = customer;
  await customer.begin();
  await customer.tap(/^Add Volcano Burger/);
  await page.locator(".cartbar", { hasText: "1 item" }).waitFor();

  // The server hangs with the touch in its socket, and dies.
  process.kill(fleet.facts.nats_pid, "SIGSTOP");
  await customer.tap(/^Add Classic Beef Burger/);
  await page.locator(".progress.busy").waitFor({ state: "attached" });
  await fleet.script("kill", "nats");
  await page.getByRole("alertdialog", { name: "No connection" }).waitFor();
  // Whoever gets past the dialog is told that it does not count.
  await page.evaluate(() => document.querySelector(".card-add").click());
  await page.getByTestId("not-sent").waitFor();
  await fleet.script("start", "nats");
  await page.getByRole("alertdialog").waitFor({ state: "detached" });
  await page.locator(".cartbar", { hasText: "2 items" }).waitFor();
  await page.locator(".progress.busy").waitFor({ state: "detached" });
  await customer.tap(/^Add Smoky Bacon Burger/);
  await page.locator(".cartbar", { hasText: "3 items" }).waitFor();
  await page.locator(".cartbar").tap();
  await customer.layout("cart");
  assert.deepEqual(await page.locator(".line-name").allInnerTexts(), ["Volcano Burger", "Classic Beef Burger", "Smoky Bacon Burger"]);
  assert.deepEqual(await page.locator(".line output").allInnerTexts(), ["1", "1", "1"]);
  await customer.tap("Cancel order");
  await page.getByRole("alertdialog").getByRole("button", { name: "Cancel order" }).tap();
  await customer.layout("attract");
  await customer.close();
});

scenario("a reload with touches under way: each counts once", async ({ fleet, browser }) => {
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  const { page } = customer;
  await customer.begin();
  process.kill(fleet.facts.nats_pid, "SIGSTOP");
  for (const dish of ["Volcano Burger", "Classic Beef Burger", "Smoky Bacon Burger"]) await customer.tap(new RegExp(`^Add ${dish}`));
  await page.locator(".progress.busy").waitFor({ state: "attached" });
  await page.reload();
  process.kill(fleet.facts.nats_pid, "SIGCONT");
  await page.locator(".cartbar", { hasText: "3 items" }).waitFor();
  await page.locator(".progress.busy").waitFor({ state: "detached" });
  assert.equal(await page.getByTestId("not-sent").count(), 0);
  await page.locator(".cartbar").tap();
  await customer.layout("cart");
  assert.deepEqual(await page.locator(".line output").allInnerTexts(), ["1", "1", "1"]);
  await customer.tap("Cancel order");
  await page.getByRole("alertdialog").getByRole("button", { name: "Cancel order" }).tap();
  await customer.layout("attract");
  await customer.close();
});

scenario("the session ends while the page is away: what was under way is said to be lost, and the next customer finds the defaults", async ({ fleet, browser, client }) => {
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  const { page } = customer;
  await customer.begin();
  await customer.tap("Español");
  await customer.tap("Colores oscuros");
  process.kill(fleet.facts.nats_pid, "SIGSTOP");
  await customer.tap(/^Añadir Volcano Burger/);
  await page.locator(".progress.busy").waitFor({ state: "attached" });
  await page.goto("about:blank");
  process.kill(fleet.facts.nats_pid, "SIGCONT");
  const state = async () => (await client.ask("kiosk.agent.orchestrator.snapshot", { command: "snapshot", kiosk_id: "kiosk-001" })).state;
  await eventually("the order to be cancelled", async () => {
    await fleet.arcctl("touch", "cancel_order");
    return (await state()) === "attract";
  });
  await page.goto(fleet.facts.screen_url);
  await customer.see("Touch to start");
  assert.equal(await page.locator("html").getAttribute("data-theme"), "light");
  await page.getByTestId("not-sent").getByText("was not sent").waitFor();
  await page.reload();
  await customer.see("Touch to start");
  assert.equal(await page.getByTestId("not-sent").count(), 0);
  await customer.close();
});

scenario("nats-server restarts while a card is awaited", async ({ fleet, browser }) => {
  const paid = async () => (await fleet.intents()).filter(({ state }) => state === "succeeded").length;
  const before = await paid();
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  await upToPayment(customer);
  await eventually("the terminal to await a card", async () => (await fleet.intents()).some(({ state }) => state === "waiting_for_card"));
  await fleet.script("restart", "nats");
  await customer.page.getByRole("alertdialog").waitFor({ state: "detached" });
  await eventually("a payment that waits for a card, or its end", async () => {
    const layout = await customer.page.locator(".page").getAttribute("class");
    if (/paid/.test(layout)) return true;
    const card = customer.page.getByRole("button", { name: "Tap a good card" });
    if (await card.count()) await card.tap({ timeout: 1000 });
    else if (/checkout/.test(layout)) await customer.button("Pay now").tap({ timeout: 1000 });
    return false;
  }, 60_000);
  assert.equal(await paid(), before + 1);
  await customer.tap("Done");
  await customer.layout("attract");
  await customer.close();
});

scenario("the orchestrator dies: customers are told, and what they touched counts once when it is back", async ({ fleet, browser }) => {
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  const { page } = customer;
  await customer.begin();
  await fleet.script("kill", "orchestrator");
  await customer.tap(/^Add Volcano Burger/);
  await page.getByRole("alertdialog", { name: "One moment, please" }).waitFor();
  await fleet.script("start", "orchestrator");
  await page.getByRole("alertdialog").waitFor({ state: "detached" });
  await page.locator(".cartbar", { hasText: "1 item" }).waitFor();
  await customer.tap("Cancel order");
  await page.getByRole("alertdialog").getByRole("button", { name: "Cancel order" }).tap();
  await customer.layout("attract");
  await customer.close();
});

scenario("two kiosks at once", async ({ fleet, browser }) => {
  const one = await Customer.at(browser, fleet.facts.screen_url);
  // The fleet's own screen has rights to its kiosk alone. A login that may speak for any kiosk has to say which.
  const second = await serveAs(fleet, "operator.json", "--kiosk_id=kiosk-002", "--default_kiosk_id=kiosk-001");
  after(() => second.stop());
  const two = await Customer.at(browser, second.url);
  await one.begin();
  await two.layout("attract");
  await two.begin();
  await Promise.all([one.tap(/^Add Volcano Burger/), two.tap(/^Add Classic Beef Burger/)]);
  for (const customer of [one, two]) {
    await customer.page.locator(".cartbar", { hasText: "1 item" }).waitFor();
    assert.equal(await count(customer.page), "1 item");
  }
  const pay = async (customer) => {
    await customer.page.locator(".cartbar").tap();
    await customer.layout("cart");
    await customer.tap("Checkout");
    await customer.layout("checkout");
    await customer.tap("Pay now");
    await customer.layout("paying");
  };
  await Promise.all([pay(one), pay(two)]);
  // The card is held to the second one: the first goes on waiting.
  await two.tap("Tap a good card");
  await two.layout("paid");
  await one.see("Tap your card");
  await one.tap("Tap a good card");
  await one.layout("paid");
  const numbers = await Promise.all([one, two].map(({ page }) => page.locator(".order-number").innerText()));
  assert.notEqual(numbers[0], numbers[1]);
  assert.deepEqual(await Promise.all([one, two].map(({ page }) => page.locator(".receipt .amount").innerText())), ["Paid $12.99", "Paid $8.99"]);
  await one.close();
  await two.close();
});
