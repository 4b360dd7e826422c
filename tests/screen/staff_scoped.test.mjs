// The staff console beside a kiosk with subjects of its own, and a login that ends.
import fs from "node:fs";
import path from "node:path";
import { Customer, SIZES } from "./browser.mjs";
import { scenario, setUp } from "./rig.mjs";
import { fill, order, signIn } from "./staff.mjs";

setUp({ flags: ["--kiosk_id", "kiosk-007", "--scoped"] });

scenario("its session, cart, timeline and order", async ({ fleet, browser }) => {
  const staff = await Customer.at(browser, `${fleet.facts.screen_url}/staff`, { size: SIZES.landscape });
  const { page } = staff;
  await signIn(fleet, page);
  await staff.tap("Sessions");
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  const kiosk = page.locator('li[data-kiosk="kiosk-007"]');
  await order(customer, async () => {
    await kiosk.getByText("1 × Volcano Burger").waitFor();
  });
  await kiosk.getByText("free", { exact: true }).waitFor();
  await page.locator("tr[data-session]", { hasText: "completed" }).getByRole("button", { name: /^Replay/ }).tap();
  await page.locator(".timeline li", { hasText: "input.cart_action" }).first().waitFor();
  await staff.tap("Figures");
  await page.locator(".orders li", { hasText: "kiosk-007" }).waitFor();
  await staff.close();
  await customer.close();
});

scenario("a new password ends who is signed in with the old one", async ({ fleet, browser }) => {
  const staff = await Customer.at(browser, `${fleet.facts.screen_url}/staff`, { size: SIZES.landscape });
  const { page } = staff;
  await signIn(fleet, page);
  await page.locator("tr[data-agent]").first().waitFor();
  fs.rmSync(path.join(fleet.dir, "credentials/staff.password"));
  await fleet.script("restart", "nats");
  await page.getByRole("alert").getByText("The connection was ended. Sign in again.").waitFor();
  await fill(fleet, page, "staff");
  await page.locator("nav.pages").waitFor();
  await page.locator("tr[data-agent]").first().waitFor();
  await staff.close();
});
