// The pages on a cluster of nats-server: they sign in with nkeys, and take another node when theirs dies.
import { eventually } from "../interop/kit.mjs";
import { Customer, SIZES } from "./browser.mjs";
import { scenario, setUp } from "./rig.mjs";
import { signIn } from "./staff.mjs";

setUp({ flags: ["--nats_nodes", "3", "--ready_seconds", "90"] });

// The node that the connection of this name is at.
const nodeOf = (fleet, name) => eventually(`the connection of ${name}`, async () => {
  for (const [node, { nats_http_url }] of Object.entries(fleet.facts.nats_nodes)) {
    const { connections } = await (await fetch(`${nats_http_url}/connz`)).json();
    if (connections.some((connection) => connection.name === name)) return node;
  }
});

// How long a customer waits for what a touch does: docs/cluster.md.
const LONGEST_WAIT = 45_000;  // milliseconds
const SHORT = { timeout: 5_000 };
const NEXT = {
  hero_grid: (customer) => customer.page.locator(".cartbar").tap(SHORT),
  cart: (customer) => customer.tap("Checkout", {}, SHORT),
  checkout: (customer) => customer.tap("Pay now", {}, SHORT),
  paying: (customer) => customer.tap("Tap a good card", {}, SHORT),
  // It is not known yet whether it was paid: the fleet finds out.
  error: () => {},
};

// Goes on as a customer does until the order is paid. A stream that the dead node led has another leader within some
// seconds: a touch, and the commands behind it, are late until then, or the screen says that they are to be made again.
async function pay(customer, milliseconds = 120_000) {
  const { page } = customer;
  const trouble = page.locator(".toast.error, .toast.warning");
  const layout = async () => (await page.locator(".page").getAttribute("class")).match(/layout-(\w+)/)[1];
  const deadline = Date.now() + milliseconds;
  for (let now = await layout(); now !== "paid"; now = await layout()) {
    if (Date.now() > deadline) throw new Error(`the order was not paid within ${milliseconds} ms`);
    await eventually(`the next touch at ${now}`, async () => {
      for (const told of await trouble.getByRole("button").all()) await told.tap(SHORT);
      if ((await layout()) === now) await NEXT[now](customer);
      return true;
    }, LONGEST_WAIT);
    const answered = async () => (await layout()) !== now || trouble.first().isVisible();
    // A reader that has not been asked yet takes no card: it is held there once more.
    const again = now === "paying" ? 3_000 : LONGEST_WAIT;
    await eventually(`an answer to a touch at ${now}`, answered, again).catch((error) => {
      if (now !== "paying") throw error;
    });
  }
}

scenario("an order goes on when the page's node dies", async ({ fleet, browser }) => {
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  const { page } = customer;
  await customer.begin();
  await customer.tap(/^Add Volcano Burger/);
  await page.locator(".cartbar", { hasText: "1 item" }).waitFor();

  const node = await nodeOf(fleet, "screen of kiosk-001");
  await fleet.script("kill", node);
  await page.getByRole("alertdialog", { name: "No connection" }).waitFor({ state: "detached" });
  await pay(customer);
  await fleet.script("start", node);
  await customer.close();
});

scenario("the staff sign in with an nkey", async ({ fleet, browser }) => {
  const staff = await Customer.at(browser, `${fleet.facts.screen_url}/staff`, { size: SIZES.landscape });
  await signIn(fleet, staff.page);
  await staff.page.locator("tr[data-agent]").first().waitFor();
  await staff.close();
});
