// An order in a real browser, at a screen that somebody else has started: node page.mjs URL PICTURE
// Prints the order's number. scripts/compose_check calls it with the published port.
import { Customer, launch } from "../screen/browser.mjs";

const [url, picture] = process.argv.slice(2);
const browser = await launch();
const customer = await Customer.at(browser, url);
const { page } = customer;
try {
  await customer.layout("attract");
  await customer.begin();
  await customer.tap(/^Add Volcano Burger/);
  await page.locator(".cartbar").tap();
  await customer.layout("cart");
  await customer.tap("Checkout");
  await customer.layout("checkout");
  await customer.tap("Pay now");
  await customer.layout("paying");
  await customer.see("Tap your card");
  await page.getByText(/\d+ s left$/).waitFor();
  await customer.tap("Tap a good card");
  await customer.layout("paid");
  const number = await page.locator(".order-number").innerText();
  await page.screenshot({ path: picture });
  await customer.tap("Done");
  await customer.layout("attract");
  await customer.close();
  console.log(number);
} catch (error) {
  await page.screenshot({ path: picture });
  throw error;
} finally {
  await browser.close();
}
