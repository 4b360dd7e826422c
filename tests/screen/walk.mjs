// Brings a kiosk through everything that its screen can show, and calls `visit(name, page)` at each.
import { eventually } from "../interop/kit.mjs";

// A fleet for it: idle sooner, so that nobody waits for a minute.
export const FLAGS = ["--flag", "orchestrator=--idle_warning=20s", "--flag", "orchestrator=--idle_timeout=40s"];

export async function walk(fleet, customer, visit) {
  const { page } = customer;
  const settled = () => page.locator("[aria-busy=true]").waitFor({ state: "detached" });
  const show = async (name) => {
    await page.evaluate(() => document.fonts.ready);
    await eventually("every picture", () => page.evaluate(() => [...document.images].every((image) => image.complete || image.getBoundingClientRect().top > innerHeight)));
    await visit(name, page);
    // On a busy machine a visit takes so long that the kiosk asks whether anybody is there.
    if (name !== "idle" && (await page.locator(".dialog.idle").count()) > 0) {
      await customer.tap("Keep going");
      await page.locator(".dialog.idle").waitFor({ state: "detached" });
    }
  };
  const open = async (dish) => {
    await customer.tap(new RegExp(`^${dish}`));
    await customer.layout("details");
    await settled();
  };

  await customer.layout("attract");
  await show("attract");
  await customer.begin();
  await show("browse");
  await fleet.arcctl("menu", "86", "104");
  await customer.tap("Burgers");
  await page.locator(".card.soldout").waitFor();
  await show("category");
  await page.getByRole("searchbox").fill("spicy chicken");
  await customer.tap("Search");
  await page.getByRole("heading", { name: /Results for/ }).waitFor();
  await settled();
  await show("search");
  await page.getByRole("searchbox").tap();
  await page.locator(".keyboard").waitFor();
  await show("keyboard");
  await page.locator(".keyboard").getByRole("button", { name: "Search" }).tap();
  await customer.tap("Burgers");
  await page.getByRole("heading", { name: "Burgers" }).waitFor();
  await open("Volcano Burger");
  await page.getByLabel("Extra Cheese").check();
  await page.getByRole("button", { name: /14\.49/ }).waitFor();
  await show("details");
  await fleet.arcctl("menu", "86", "101");
  await eventually("sold out", async () => (await page.locator(".banner.warning").count()) > 0);
  await show("soldout");
  await fleet.arcctl("menu", "back", "101");
  await fleet.arcctl("menu", "back", "104");
  await customer.tap("Back");
  await customer.layout("hero_grid");
  await eventually("an order", async () => {
    await customer.tap(/^Add Volcano Burger/);
    return page.locator(".cartbar").waitFor({ timeout: 2000 }).then(() => true);
  });
  await customer.tap(/^Add Smoky Bacon Burger/);
  await page.locator(".cartbar", { hasText: "2 items" }).waitFor();
  await settled();
  await show("added");
  await open("Classic Cheeseburger");
  await page.getByLabel("No Onions").check();
  await page.getByLabel("Note for the kitchen").fill("well done, please");
  await page.getByLabel("Note for the kitchen").blur();
  await customer.tap("One more Classic Cheeseburger");
  await customer.tap(/^Add to order/);
  await customer.layout("cart");
  await page.locator(".offer").first().waitFor();
  await settled();
  await show("cart");
  await customer.tap("Checkout");
  await customer.layout("checkout");
  await settled();
  await page.locator(".offer").first().waitFor();
  await show("checkout");
  await page.getByLabel("Card number").fill("LOYALTY123");
  await customer.tap("Use card");
  await customer.see("Points go to card");
  await settled();
  await customer.tap("Pay now");
  await customer.layout("paying");
  await show("paying");
  await customer.tap("Tap a declined card");
  await customer.layout("checkout");
  await settled();
  await show("declined");
  await customer.tap("Pay now");
  await customer.layout("paying");
  await customer.tap("Tap a good card");
  await customer.layout("paid");
  await show("paid");
  await customer.tap("Done");
  await customer.layout("attract");

  await customer.begin();
  await page.getByRole("button", { name: "Type instead" }).tap();
  await page.getByRole("textbox", { name: "Type what you would like" }).fill("what is vegan");
  await customer.tap("Send");
  await page.getByRole("heading", { name: /Results for/ }).waitFor();
  await page.locator(".said", { hasText: /Plant Power/ }).waitFor();
  await show("voice");
  await customer.tap("Cancel order");
  await page.getByRole("alertdialog").waitFor();
  await show("cancel");
  await customer.tap("Keep my order");
  await customer.tap("Popular");
  await customer.tap(/^Add Volcano Burger/);
  await page.locator(".cartbar").tap();
  await customer.layout("cart");
  await settled();
  await customer.tap(/^Remove Volcano Burger/);
  await page.locator(".empty").waitFor();
  await show("empty");
  await page.locator(".dialog.idle").waitFor({ timeout: 40_000 });
  await show("idle");
  await customer.tap("Keep going");
  await page.locator(".dialog.idle").waitFor({ state: "detached" });
  await customer.tap("Back");
  await customer.layout("hero_grid");
  await customer.tap(/^Add Volcano Burger/);
  await page.locator(".cartbar").tap();
  await customer.layout("cart");
  await settled();
  await customer.tap("Checkout");
  await customer.layout("checkout");
  await settled();
  await customer.tap("Pay now");
  await customer.layout("paying");
  await fleet.script("kill", "payment");
  await customer.layout("error", 60_000);
  await show("error");
  await fleet.script("stop", "nats");
  await page.locator(".dialog.offline").waitFor();
  await show("offline");
}
