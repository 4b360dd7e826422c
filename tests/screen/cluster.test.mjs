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

const LONGEST_WAIT = 45_000;  // milliseconds

scenario("an order goes on when the page's node dies", async ({ fleet, browser }) => {
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  const { page } = customer;
  await customer.begin();
  await customer.tap(/^Add Volcano Burger/);
  await page.locator(".cartbar", { hasText: "1 item" }).waitFor();

  const node = await nodeOf(fleet, "screen of kiosk-001");
  await fleet.script("kill", node);
  await page.getByRole("alertdialog", { name: "No connection" }).waitFor({ state: "detached" });
  // A stream that the node led has another leader within some seconds; until then a touch is visibly not taken.
  await eventually("a touch to count again", async () => {
    const cart = page.locator(".page.layout-cart");
    if (!(await cart.isVisible())) await page.locator(".cartbar").tap({ timeout: 2000 });
    await customer.layout("cart", 5000);
    return true;
  }, 60_000);
  // So may a command's: docs/cluster.md has how long a customer waits.
  await customer.tap("Checkout");
  await customer.layout("checkout", LONGEST_WAIT);
  await customer.tap("Pay now");
  await customer.layout("paying", LONGEST_WAIT);
  await customer.tap("Tap a good card");
  await customer.layout("paid", LONGEST_WAIT);
  await fleet.script("start", node);
  await customer.close();
});

scenario("the staff sign in with an nkey", async ({ fleet, browser }) => {
  const staff = await Customer.at(browser, `${fleet.facts.screen_url}/staff`, { size: SIZES.landscape });
  await signIn(fleet, staff.page);
  await staff.page.locator("tr[data-agent]").first().waitFor();
  await staff.close();
});
