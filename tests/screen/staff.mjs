// What tests and pictures of the staff console share.
import fs from "node:fs";
import path from "node:path";

// The login under the fleet's credentials: `staff`, or another's.
export async function fill(fleet, page, who) {
  const { nats_user: user, nats_password: password } = JSON.parse(fs.readFileSync(path.join(fleet.dir, "credentials", `${who}.json`), "utf8"));
  await page.locator('input[name="user"]').fill(user);
  await page.locator('input[name="password"]').fill(password);
  await page.locator('button[type="submit"]').click();
}
export async function signIn(fleet, page) {
  await fill(fleet, page, "staff");
  await page.locator("nav.pages").waitFor();
}

// A Volcano Burger and one of the suggestions, paid. `visit` is called at the cart and on the way.
export async function order(customer, visit = async () => {}) {
  const { page } = customer;
  await customer.layout("attract");
  await customer.begin();
  await customer.tap("Burgers");
  await customer.tap(/^Add Volcano Burger/);
  await page.locator(".cartbar").tap();
  await customer.layout("cart");
  await visit("cart");
  await page.locator(".offer-add").first().tap();
  await page.locator(".line").nth(1).waitFor();
  await customer.tap("Checkout");
  await customer.layout("checkout");
  await customer.tap("Pay now");
  await customer.layout("paying");
  await customer.tap("Tap a good card");
  await customer.layout("paid");
  await customer.tap("Done");
  await customer.layout("attract");
}
