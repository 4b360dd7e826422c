// A person orders by touch, from the attract screen to the receipt.
import assert from "node:assert/strict";
import { Customer, SIZES } from "./browser.mjs";
import { scenario, setUp } from "./rig.mjs";

const SIDEWAYS = { width: 640, height: 360 };

setUp();

scenario("touch, from the attract screen to the receipt", async ({ fleet, browser }) => {
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  const { page } = customer;
  await customer.layout("attract");
  await customer.begin();

  await customer.tap("Burgers");
  await page.getByRole("heading", { name: "Burgers" }).waitFor();
  await customer.tap(/^Volcano Burger/);
  await customer.layout("details");
  await customer.see("Contains");
  await page.getByText("gluten", { exact: true }).waitFor();
  await page.getByLabel("Extra Cheese").check();
  await page.getByRole("button", { name: "Add to order · $14.49" }).waitFor();
  await customer.tap("One more Volcano Burger");
  // Pressed twice before the next screen, it is added once.
  await customer.button("Add to order · $28.98").evaluate((button) => (button.click(), button.click()));
  await customer.layout("cart");
  await page.locator("[aria-busy=true]").waitFor({ state: "detached" });
  await customer.see("$28.98");
  await customer.tap("One Volcano Burger fewer");
  await page.locator(".sum", { hasText: "$14.49" }).waitFor();
  // Another one without cheese, to see that a change is of the line that is meant.
  await customer.tap("Back");
  await customer.layout("hero_grid");
  await customer.tap(/^Volcano Burger/);
  await customer.layout("details");
  await customer.button(/^Add to order/).waitFor();
  await page.locator("[aria-busy=true]").waitFor({ state: "detached" });
  // All of a dish is there at once on the kiosk itself, with an order below it.
  await page.locator(".cartbar").waitFor();
  const note = await page.getByLabel("Note for the kitchen").boundingBox();
  const buy = await page.locator(".buy").boundingBox();
  assert.ok(note.y + note.height <= buy.y, `the note ends at ${note.y + note.height}, and the bar begins at ${buy.y}`);
  await customer.tap("Back");
  await customer.layout("hero_grid");
  await customer.tap(/^Add Volcano Burger/);
  await page.locator(".cartbar").tap();
  await customer.layout("cart");
  await customer.tap("Change Volcano Burger");
  await customer.layout("details");
  assert.equal(await page.getByLabel("Extra Cheese").isChecked(), true);
  await page.getByLabel("No Onions").check();
  await page.getByLabel("Note for the kitchen").fill("well done");
  await customer.tap("Save changes");
  await customer.layout("cart");
  await customer.see("Volcano Burger changed.");
  assert.deepEqual(await page.locator(".line").first().locator(".extra").allInnerTexts(), ["+ Extra Cheese", "No Onions", "“well done”"]);
  assert.equal(await page.locator(".line").nth(1).locator(".extra").count(), 0);
  await page.locator(".line").nth(1).getByRole("button", { name: /^Remove/ }).last().tap();
  await page.locator(".sum", { hasText: "$14.49" }).waitFor();

  await page.locator(".offer-add").first().tap();
  await page.locator(".line").nth(1).waitFor();
  // Who goes by the focus is not thrown out of the page.
  await page.waitForFunction(() => !document.querySelector("[aria-busy=true]") && /^H[12]$/.test(document.activeElement.tagName));
  await page.setViewportSize(SIDEWAYS);
  const list = await page.locator("main").boundingBox();
  assert.ok(list.height >= SIDEWAYS.height / 2, `the order has ${list.height} px of ${SIDEWAYS.height}`);
  await page.setViewportSize(SIZES.portrait);
  await page.locator(".line").nth(1).getByRole("button", { name: /^Remove/ }).last().tap();
  await page.locator(".sum", { hasText: "$14.49" }).waitFor();

  await customer.tap("Checkout");
  await customer.layout("checkout");
  await page.getByLabel("Card number").fill("<b>");
  await customer.tap("Use card");
  await page.getByRole("alert").getByText("A card number has 4 to 40").waitFor();
  // On a low screen the field that is typed into is not behind anything.
  await page.setViewportSize({ width: 1024, height: 600 });
  await page.getByLabel("Card number").tap();
  await page.locator(".keyboard").waitFor();
  await page.waitForFunction(() => {
    const { left, top, width, height } = document.activeElement.getBoundingClientRect();
    return [0.1, 0.9].every((part) => document.elementFromPoint(left + width / 2, top + height * part) === document.activeElement);
  });
  await page.setViewportSize(SIZES.portrait);
  await page.getByLabel("Card number").fill("LOYALTY123");
  await customer.tap("Use card");
  await customer.see("Points go to card LOYALTY123");
  await customer.tap("Pay now");
  await customer.layout("paying");
  await customer.see("Tap your card");
  await page.getByText(/\d+ s left$/).waitFor();
  await customer.tap("Tap a good card");
  await customer.layout("paid");
  assert.match(await page.locator(".order-number").innerText(), /^[A-Z]+\d+$/);
  await customer.see("You earned 14 points");
  await page.setViewportSize(SIDEWAYS);
  const shown = await page.locator(".order-number").boundingBox();
  const below = await page.locator(".dock").boundingBox();
  assert.ok(shown.y > 0 && shown.y + shown.height <= below.y, `the number ends at ${shown.y + shown.height}, and the dock begins at ${below.y}`);
  await page.setViewportSize({ width: 320, height: 640 });
  const sound = await customer.button("Turn sound off").boundingBox();
  assert.ok(sound.x + sound.width <= 320, `the sound button ends at ${sound.x + sound.width}`);
  await page.setViewportSize(SIZES.portrait);
  const receipt = await page.getByRole("link", { name: "Open receipt (PDF)" }).getAttribute("href");
  const pdf = await fetch(receipt);
  assert.equal(pdf.status, 200);
  assert.equal(Buffer.from(await pdf.arrayBuffer()).subarray(0, 5).toString(), "%PDF-");
  await page.getByRole("img", { name: "Scan for your receipt" }).waitFor();
  await customer.tap("Done");
  await customer.layout("attract");
  assert.equal((await fleet.intents()).filter(({ state }) => state === "succeeded").length, 1);
  await customer.close();
});

scenario("an order by the keyboard alone, in the second language", async ({ fleet, browser }) => {
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  const { page } = customer;
  await customer.layout("attract");
  // Tab until that control has the focus, as somebody does who does not see the screen.
  const focus = async (name) => {
    for (let steps = 0; steps < 80; steps++) {
      await page.keyboard.press("Tab");
      const found = await page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "");
      if (name.test(found)) return;
    }
    assert.fail(`no Tab leads to ${name}`);
  };
  const press = async (name, key = "Enter") => {
    await focus(name);
    await page.keyboard.press(key);
  };
  await press(/^Español$/);
  await press(/Toca para empezar/);
  await customer.layout("hero_grid");
  await press(/^Hamburguesas$/);
  await page.getByRole("heading", { name: "Hamburguesas" }).waitFor();
  await press(/^Classic Cheeseburger/);
  await customer.layout("details");
  // The title has the focus, so that a screen reader begins there.
  await page.waitForFunction(() => document.activeElement?.tagName === "H1");
  await press(/^Añadir al pedido/);
  await customer.layout("cart");
  await customer.see("1 × Classic Cheeseburger en tu pedido.");
  await press(/^Ir a pagar$/);
  await customer.layout("checkout");
  await press(/^Pagar ahora$/);
  await customer.layout("paying");
  await press(/^Atrás$/);
  await customer.layout("checkout");
  await customer.see("El pago se canceló. No se te ha cobrado.");
  await press(/^Cancelar pedido$/);
  // A question takes the focus, and Escape is a no.
  await page.getByRole("alertdialog", { name: "¿Cancelar todo el pedido?" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("alertdialog").waitFor({ state: "detached" });
  await page.waitForFunction(() => document.activeElement.textContent === "Cancelar pedido");
  await page.keyboard.press("Enter");
  await page.getByRole("alertdialog").getByRole("button", { name: "Cancelar pedido" }).press("Enter");
  await customer.layout("attract");
  await customer.see("Touch to start");
  await customer.close();
});

scenario("the keyboard on the screen types into the field that was touched", async ({ fleet, browser }) => {
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  const { page } = customer;
  await customer.layout("attract");
  await customer.begin();
  await page.getByRole("searchbox").tap();
  const keyboard = page.locator(".keyboard");
  const type = async (keys) => {
    for (const key of keys) await keyboard.getByRole("button", { name: key, exact: true }).tap();
  };
  await type([..."fries"]);
  await type(["Space", ..."x", "Delete", "Capital letters", "C", "H", "Capital letters", "i", "123", "1", "Delete", "abc"]);
  assert.equal(await page.getByRole("searchbox").inputValue(), "fries CHi");
  await type(["Delete", "Delete", "Delete", "Delete", "Search"]);
  await page.getByRole("heading", { name: 'Results for "fries"' }).waitFor();
  await keyboard.waitFor({ state: "detached" });
  assert.equal(await page.locator(".chip[aria-current]").count(), 0);
  await page.getByRole("searchbox").fill("xylophone");
  await page.keyboard.press("Enter");
  await customer.see("We found nothing for “xylophone”.");
  assert.equal(await page.locator(".chip[aria-current]").count(), 0);
  await customer.tap("Burgers");
  await page.getByRole("heading", { name: "Burgers" }).waitFor();
  assert.equal(await page.getByRole("searchbox").inputValue(), "");
  await customer.close();
});
