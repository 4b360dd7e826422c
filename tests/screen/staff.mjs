// What tests and pictures of the staff console share.
import fs from "node:fs";
import path from "node:path";
import { eventually, TOUCH_AGENTS } from "../interop/kit.mjs";

// The login under the fleet's credentials: `staff`, or another's.
export async function fill(fleet, page, who) {
  const { nats_user: user, nats_nkey_seed: seed, nats_password: password = seed } = JSON.parse(fs.readFileSync(path.join(fleet.dir, "credentials", `${who}.json`), "utf8"));
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

// In how many steps of its sparkline the agent has handled something.
const steps = (page, agent) => page.locator(`tr[data-agent="${agent}"] .spark .p50`).evaluate((line) => (line.getAttribute("d").match(/[ML]/g) ?? []).length);

// To the page of this number. On a busy machine Chromium has lost a click that came while the page took another size: it is
// made again, as a person does.
function turnTo(page, number) {
  const tab = page.locator("nav.pages button").nth(number);
  return eventually(`the console's page ${number}`, async () => {
    await tab.click({ timeout: 5_000 });
    await page.locator(`nav.pages button:nth-child(${number + 1})[aria-current="page"]`).waitFor({ timeout: 5_000 });
    return true;
  });
}

// Every page of the console with something on it, `visit(name, page)` at each; `customer` and `staff` have just come to theirs.
// Orders go on until the sparklines have at least `busy` steps.
export async function walk(fleet, client, customer, staff, visit, { busy = 1 } = {}) {
  const { page } = staff;
  await page.locator('button[type="submit"]').waitFor();
  await visit("signin", page);
  await signIn(fleet, page);
  await page.locator("tr[data-agent]").nth(4).waitFor();
  do await order(customer);
  while ((await steps(page, "payment")) < busy - 1);
  await client.event("kiosk.input.touch", { event: "touch", action: "fly" });
  await client.ask("kiosk.agent.menu.set_availability", { command: "set_availability", item_id: 102, available: false });
  await client.js.publish("system.deadletter.KIOSK_COMMANDS.hardware-agent-consumer", JSON.stringify({
    timestamp: new Date().toISOString(), agent: "arc-hardware", stream: "KIOSK_COMMANDS", consumer: "hardware-agent-consumer", stream_seq: 7, subject: "kiosk.agent.hardware.status", headers: [{ name: "Kiosk-Id", value: "kiosk-001" }],
    body: '{"payload":{"command":"hardware_status"}}', error_code: "INTERNAL", error: "its agent died while it worked on this, 3 times", deliveries: 3, trace_id: "",
  }));
  for (const name of TOUCH_AGENTS.split(",")) await page.locator(`tr[data-agent="${name}"] .latency`, { hasText: / ms \/ / }).waitFor();
  client.nc.publish("system.service.error", JSON.stringify({
    service: "arc-hardware", timestamp: new Date().toISOString(), error_type: "out_of_paper", error_message: "the printer has no paper; 2 receipts wait", severity: "critical", action_required: "refill_paper",
  }));
  await page.locator(".troubles li").waitFor();
  await visit("fleet", page);

  await customer.begin();
  await customer.tap("Burgers");
  await customer.tap(/^Add Classic Beef Burger|^Add Classic Cheeseburger/);
  await customer.page.locator(".cartbar").waitFor();
  await client.event("kiosk.voice.transcript", { event: "transcript", text: "a burger with extra cheese, please", is_final: true, confidence: 0.91 });
  for (const [intent_type, raw_text] of [["show_cart", "what do I have"], ["unknown", "brrr"], ["recommend", "anything good?"]]) {
    await client.event("kiosk.voice.intent", { event: "intent", intent_type, raw_text });
  }
  await turnTo(page, 1);
  await page.locator(".kiosks .cart li").first().waitFor();
  await page.locator("tr[data-session]").nth(1).waitFor();
  await visit("sessions", page);
  await page.locator("tr[data-session] button").last().click();
  await page.locator('input[type="range"]').fill("9");
  await visit("replay", page);

  await turnTo(page, 2);
  await page.locator("tr[data-dish]").first().waitFor();
  await visit("menu", page);

  await turnTo(page, 3);
  const letter = page.locator(".letter", { hasText: "hardware.status" });
  await letter.locator("button").click();
  await page.locator(".outcome.good").waitFor();
  await letter.waitFor({ state: "detached" });
  await page.locator(".letter summary").first().click();
  await visit("letters", page);

  await turnTo(page, 4);
  await page.locator("tr[data-seq] .textlink").first().click();
  await page.locator(".whole pre", { hasText: "msg_id" }).waitFor();
  await visit("events", page);

  await turnTo(page, 5);
  await page.locator(".bars li").first().waitFor();
  await page.locator(".tile", { hasText: "Suggestions taken" }).getByText("%").first().waitFor();
  await page.getByText(/Reading the day/).first().waitFor({ state: "detached" });
  await visit("figures", page);
}
