// A kiosk with subjects of its own.
import assert from "node:assert/strict";
import { Customer } from "./browser.mjs";
import { scenario, setUp } from "./rig.mjs";

setUp({ voice: true, flags: ["--kiosk_id", "kiosk-007", "--scoped"] });

scenario("typed and touched, from the attract screen to the receipt", async ({ fleet, browser }) => {
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  const { page } = customer;
  await customer.layout("attract");
  await customer.begin();
  await customer.tap("Type instead");
  await page.getByRole("textbox", { name: "Type what you would like" }).fill("two volcano burgers please");
  await page.keyboard.press("Enter");
  await page.locator(".cartbar", { hasText: "2 items" }).waitFor();
  await page.locator(".said", { hasText: /two Volcano Burgers/i }).waitFor();
  await page.locator('.voice[data-sounding="true"]').waitFor();
  await page.locator(".cartbar").tap();
  await customer.layout("cart");
  await customer.tap("Checkout");
  await customer.layout("checkout");
  await customer.tap("Pay now");
  await customer.layout("paying");
  await page.reload();
  await customer.layout("paying");
  await customer.tap("Tap a good card");
  await customer.layout("paid");
  assert.equal(await page.locator(".receipt .amount").innerText(), "Paid $25.98");
  await customer.close();
});
