// The staff console at the staff's own login, beside a customer's screen.
import assert from "node:assert/strict";
import { envelope, eventually, nats } from "../interop/kit.mjs";
import { problems } from "./accessible.mjs";
import { Customer, SIZES } from "./browser.mjs";
import { scenario, setUp } from "./rig.mjs";
import { fill, order, signIn, walk } from "./staff.mjs";

const MARKUP = `<img src=x onerror="window.owned=1"><script>window.owned=1</script>`;

setUp();

scenario("a login is needed, and the kiosk's own is none", async ({ fleet, browser }) => {
  const answer = await fetch(`${fleet.facts.screen_url}/staff`);
  assert.equal(answer.status, 200);
  const policy = answer.headers.get("content-security-policy");
  assert.ok(policy.includes("default-src 'none'") && policy.includes("require-trusted-types-for 'script'") && !/unsafe|\*/.test(policy), policy);

  const staff = await Customer.at(browser, `${fleet.facts.screen_url}/staff`, { size: SIZES.landscape, expected: /Permissions Violation/ });
  const { page } = staff;
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.equal(await page.getByRole("navigation").count(), 0);
  for (const [user, password] of [["staff", "wrong"], ["nobody", "x"], ["staff.>", "x"]]) {
    await page.getByLabel("User").fill(user);
    await page.getByLabel("Password").fill(password);
    await staff.tap("Sign in");
    await page.getByRole("alert").getByText("The bus refuses this user and password.").waitFor();
    await staff.button("Sign in").and(page.locator(":enabled")).waitFor();
  }
  // The kiosk's own user is one of the bus, and none of the staff.
  await fill(fleet, page, "kiosk");
  await page.getByRole("alert").getByText("This user has no rights of the staff.").waitFor();
  assert.equal(await page.getByRole("navigation").count(), 0);
  await signIn(fleet, page);
  await page.locator("tr[data-agent]").first().waitFor();
  // A password is not kept anywhere.
  assert.deepEqual(await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]), [0, 0, ""]);
  await page.reload();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await staff.close();
});

scenario("the agents: health, copies, latency, what waits", async ({ fleet, browser, client }) => {
  const staff = await Customer.at(browser, `${fleet.facts.screen_url}/staff`, { size: SIZES.landscape });
  const { page } = staff;
  await signIn(fleet, page);
  const row = (name) => page.locator(`tr[data-agent="${name}"]`);
  for (const name of ["menu", "recsys", "payment", "hardware", "orchestrator"]) {
    // Its next heartbeat says so, which comes within 30 s.
    await row(name).getByText(/^(Answers|Serving)$/).waitFor();
    await row(name).getByText("Serving", { exact: true }).waitFor({ timeout: 45_000 });
  }
  // An agent that nobody asks has a gap, not a zero.
  await row("hardware").getByRole("img", { name: "hardware: nothing handled" }).waitFor();
  assert.equal(await row("hardware").locator(".latency .both").innerText(), "–");
  assert.ok(!(await row("hardware").locator(".spark .p50").getAttribute("d")));
  const counted = async () => {
    for await (const { endpoints } of await client.nc.services.client({ maxMessages: 1, strategy: nats.RequestStrategy.Count }).stats("hardware")) {
      return endpoints.find(({ subject }) => subject === "kiosk.agent.hardware.status").data.latency_ms;
    }
  };
  const before = await counted();
  for (let i = 0; i < 50; i++) assert.equal((await client.ask("kiosk.agent.hardware.status", { command: "hardware_status" })).status, "success");
  await row("hardware").getByRole("img", { name: /^hardware: p50 [\d.]+ ms, p99 [\d.]+ ms$/ }).waitFor();
  const after = await counted();
  assert.equal(after.count - before.count, 50);
  const bucket = after.buckets.findIndex((count, index) => count - before.buckets[index] >= 25);
  const [, p50] = /p50 ([\d.]+) ms/.exec(await row("hardware").getByRole("img").getAttribute("aria-label"));
  assert.ok(Number(p50) >= (after.le[bucket - 1] ?? 0) && Number(p50) <= after.le[bucket], `${p50} ms, and half took up to ${after.le[bucket]} ms`);
  // One that is asked for nothing handles events.
  await client.event("kiosk.input.touch", { event: "touch", action: "back" });
  await row("orchestrator").getByRole("img", { name: /^orchestrator: p50 [\d.]+ ms, p99 [\d.]+ ms$/ }).waitFor();
  assert.match(await row("menu").locator("td").nth(5).innerText(), /^\d/);
  // One that says of itself that it does not serve.
  await fleet.script("kill", "terminal_sim");
  await row("payment").getByText("Not serving", { exact: true }).waitFor();
  await fleet.script("start", "terminal_sim");
  await row("payment").getByText("Serving", { exact: true }).waitFor();
  await fleet.script("start", "menu");
  await page.waitForFunction(() => document.querySelector('tr[data-agent="menu"] td:nth-of-type(2)')?.textContent === "2");
  await fleet.script("kill", "menu-2");
  // What is left of it serves; who is missed is a note.
  await row("menu").getByText(/^1 copy lost at \d\d:\d\d$/).waitFor();
  await row("menu").getByText("Serving", { exact: true }).waitFor({ timeout: 45_000 });
  assert.equal(await row("menu").locator("td").nth(1).innerText(), "1");

  // Who is dead before somebody signs in is down for them, too, and says what to do; started again it is up.
  await fleet.script("kill", "hardware");
  await row("hardware").getByText("No answer", { exact: true }).waitFor();
  const other = await Customer.at(browser, `${fleet.facts.screen_url}/staff`, { size: SIZES.landscape });
  await signIn(fleet, other.page);
  const dead = other.page.locator('tr[data-agent="hardware"]');
  await dead.getByText("No answer", { exact: true }).waitFor();
  await dead.getByText("scripts/fleet start hardware").waitFor();
  assert.equal(await dead.locator("td").nth(1).innerText(), "0");
  // No voice agent was ever in this fleet.
  await other.page.locator('tr[data-agent="voice"]').getByText("Not started", { exact: true }).waitFor();
  await fleet.script("start", "hardware");
  await dead.getByText(/^(Answers|Serving)$/).waitFor();
  assert.equal(await dead.locator("td").nth(1).innerText(), "1");
  await row("hardware").getByText("1 copy lost at").waitFor();
  await row("hardware").getByText(/^(Answers|Serving)$/).waitFor();
  await other.close();
  await staff.close();
});

scenario("86 an item, and it is gone from the kiosk; back, and it is there again", async ({ fleet, browser, client }) => {
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  await customer.layout("attract");
  await customer.begin();
  await customer.tap("Burgers");
  await customer.button(/^Add Volcano Burger/).waitFor();
  const staff = await Customer.at(browser, `${fleet.facts.screen_url}/staff`, { size: SIZES.landscape });
  const { page } = staff;
  await signIn(fleet, page);
  await staff.tap("Menu");
  const row = page.locator('tr[data-dish="101"]');
  await row.getByText("$12.99").waitFor();
  await page.getByLabel("Find a dish").fill("volcano");
  await staff.tap("86 Volcano Burger");
  await row.getByText("Sold out").waitFor();
  await customer.button(/^Volcano Burger.* Sold out$/).waitFor();
  assert.equal(await customer.button(/^Add Volcano Burger/).count(), 0);
  await staff.tap("Volcano Burger is back");
  await row.getByText("Available").waitFor();
  await customer.button(/^Add Volcano Burger/).waitFor();
  // A page that nobody sees asks for nothing while another one goes on, and asks at once when it is seen again.
  const operator = await Customer.at(browser, `${fleet.facts.screen_url}/staff`, { size: SIZES.landscape });
  await fill(fleet, operator.page, "operator");
  const asked = { staff: 0, operator: 0 };
  const listen = (subject) => client.nc.subscribe(subject, { callback: (_, { reply }) => asked[reply?.split(".")[1]]++ });
  const questions = ["kiosk.agent.menu.list", "$SRV.STATS"].map(listen);
  const hide = (hidden) => page.evaluate((to) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => to });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  await eventually("the console to ask", () => asked.staff > 0);
  await hide(true);
  // Once more, at most: what was under way.
  Object.assign(asked, { staff: 0, operator: 0 });
  await eventually("another console to go on", () => asked.operator >= 5);
  assert.ok(asked.staff <= 1, `${asked.staff} questions of a hidden page`);
  await hide(false);
  await eventually("the page to ask again", () => asked.staff > 1, 5_000);
  for (const subscription of questions) subscription.unsubscribe();
  await operator.close();
  // Somebody else's change is seen, too.
  await fleet.arcctl("menu", "86", "101");
  await row.getByText("Sold out").waitFor();
  await fleet.arcctl("menu", "back", "101");
  await row.getByText("Available").waitFor();
  await customer.tap("Cancel order");
  await customer.layout("attract");
  await staff.close();
  await customer.close();
});

scenario("an order, as it goes on, as a timeline, and in the figures", async ({ fleet, browser }) => {
  const staff = await Customer.at(browser, `${fleet.facts.screen_url}/staff`, { size: SIZES.landscape });
  const { page } = staff;
  await signIn(fleet, page);
  await staff.tap("Sessions");
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  await order(customer, async (step) => {
    if (step !== "cart") return;
    const kiosk = page.locator('li[data-kiosk="kiosk-001"]');
    await kiosk.getByText("1 × Volcano Burger").waitFor();
    await kiosk.getByText("cart", { exact: true }).waitFor();
  });
  await page.locator('li[data-kiosk="kiosk-001"]').getByText("free", { exact: true }).waitFor();
  const past = page.locator("tr[data-session]").filter({ hasText: "completed" }).first();
  await past.getByRole("button", { name: /^Replay/ }).tap();
  await page.getByRole("heading", { name: /^Replay of kiosk-001/ }).waitFor();
  const steps = page.locator(".timeline li");
  assert.match((await steps.first().innerText()).replace(/\s+/g, " "), /^0:00\.0/);
  await steps.filter({ hasText: "session.order_completed" }).filter({ hasText: "1 × Volcano Burger" }).waitFor();
  const total = await steps.count();
  await page.getByLabel("Position").fill(String(total - 1));
  await page.getByText(`${total} of ${total}`).waitFor();
  assert.equal(await steps.last().getAttribute("aria-current"), "step");
  // The screen's cart at each step, as the screen said it.
  const replay = page.locator(".replay .cart");
  const shown = (await steps.locator(".what").allInnerTexts()).map((text) => text.split(" ")[0]);
  const position = async (index) => page.getByLabel("Position").fill(String(index));
  await position(shown.lastIndexOf("cart"));
  await replay.getByText("1 × Volcano Burger").waitFor();
  await replay.getByText("$12.99").waitFor();
  assert.equal(await replay.locator("li").count(), 3);
  await position(shown.indexOf("cart"));
  await replay.locator("li").nth(2).waitFor({ state: "detached" });
  await page.getByLabel("Position").fill("0");
  // Steps pass as fast as they did: what is seen now and then may miss one.
  await page.evaluate(() => {
    window.played = [];
    new MutationObserver(() => window.played.push(document.querySelector(".timeline li.now")?.innerText ?? "")).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
  await staff.tap("Play");
  await page.waitForFunction(() => window.played.some((step) => step.includes("input")));

  await staff.tap("Figures");
  await page.locator(".tile", { hasText: "Orders, 24 h" }).getByText("1", { exact: true }).waitFor();
  await page.locator(".bars li", { hasText: "Volcano Burger" }).getByText("1", { exact: true }).waitFor();
  await page.locator(".tile", { hasText: "Suggestions taken" }).getByText("100%").waitFor();
  await page.getByRole("img", { name: /^Orders by hour/ }).waitFor();

  await staff.tap("Events");
  await page.getByLabel("Kind").selectOption("input");
  await page.locator("tr[data-seq]", { hasText: "input.card" }).first().waitFor();
  assert.equal(await page.locator("tr[data-seq]", { hasText: "ui.update" }).count(), 0);
  await page.getByLabel("Find in the content").fill("Pay now");
  await page.waitForFunction(() => document.querySelectorAll("tr[data-seq]").length === 1);
  await page.locator("tr[data-seq] .textlink").tap();
  await page.locator(".whole pre", { hasText: '"label": "Pay now"' }).waitFor();
  await page.getByLabel("Find in the content").fill("");
  // A card's token is shown nowhere.
  await page.locator("tr[data-seq]", { hasText: "input.card" }).locator(".textlink").first().tap();
  await page.locator(".whole pre", { hasText: '"event": "card"' }).waitFor();
  assert.ok(!(await page.locator(".whole pre").innerText()).includes("tok_visa"));
  await staff.close();
  await customer.close();
});

scenario("a dead letter is replayed; what is in it is text", async ({ fleet, browser, client }) => {
  const staff = await Customer.at(browser, `${fleet.facts.screen_url}/staff`, { size: SIZES.landscape, expected: /Permissions Violation/ });
  const { page } = staff;
  await signIn(fleet, page);
  await staff.tap("Dead letters");
  await page.getByText("No dead letters.").waitFor();
  // A real one, with markup in it. What customers do is not the staff's to repeat.
  await client.event("kiosk.input.touch", { event: "touch", action: MARKUP });
  const first = page.locator(".letter", { hasText: "kiosk.input.touch" });
  await first.getByText("INVALID_REQUEST").waitFor();
  await first.getByText("Content").tap();
  await first.locator("pre", { hasText: "<script>window.owned=1</script>" }).waitFor();
  const seq = await first.getAttribute("data-letter");
  await first.getByText(`arcctl deadletter replay ${seq}`).waitFor();
  assert.equal(await first.getByRole("button", { name: /^Replay/ }).count(), 0);
  // Who can does, and it is gone here, too; as malformed as before, it comes back as a new one.
  await fleet.arcctl("deadletter", "replay", seq);
  await page.waitForFunction((old) => [...document.querySelectorAll(".letter")].some(({ dataset }) => Number(dataset.letter) > Number(old)) && !document.querySelector(`.letter[data-letter="${old}"]`), seq);

  // The operator has the same console, and more rights.
  const operator = await Customer.at(browser, `${fleet.facts.screen_url}/staff`, { size: SIZES.landscape });
  await fill(fleet, operator.page, "operator");
  await operator.tap("Dead letters");
  const again = await first.getAttribute("data-letter");
  await operator.tap(`Replay dead letter ${again}`);
  await operator.page.getByRole("status").getByText(`Dead letter ${again} was sent again on kiosk.input.touch. Answer: KIOSK_EVENTS`).waitFor();
  await page.locator(`.letter[data-letter="${again}"]`).waitFor({ state: "detached" });
  await operator.close();

  // A command that nobody was there for, which succeeds now.
  const letter = (subject, payload) => ({
    timestamp: new Date().toISOString(), agent: "arc-menu", subject, headers: [{ name: "Kiosk-Reply-To", value: "nowhere" }, { name: "X-Note", value: MARKUP }], body: JSON.stringify(envelope(payload)),
    error_code: "INTERNAL", error: MARKUP, deliveries: 3, trace_id: "",
  });
  await client.js.publish("system.deadletter.KIOSK_COMMANDS.menu-agent-consumer", JSON.stringify(letter("kiosk.agent.menu.set_availability", { command: "set_availability", item_id: 102, available: false })));
  const command = page.locator(".letter", { hasText: "kiosk.agent.menu.set_availability" });
  await command.getByRole("button", { name: /^Replay/ }).tap();
  await page.getByRole("status").getByText(/was sent again on kiosk.agent.menu.set_availability/).waitFor();
  await command.waitFor({ state: "detached" });
  const off = await eventually("102 to be off", async () => (await client.ask("kiosk.agent.menu.list", { command: "list" })).categories.flatMap(({ items }) => items).find(({ id, available }) => id === 102 && !available));
  assert.equal(off.id, 102);
  await client.ask("kiosk.agent.menu.set_availability", { command: "set_availability", item_id: 102, available: true });

  // What is refused stays: a command that fails, and one that is no right of the staff's.
  await client.js.publish("system.deadletter.KIOSK_COMMANDS.menu-agent-consumer", JSON.stringify(letter("kiosk.agent.menu.details", { command: "get_details", item_id: 999999 })));
  await client.js.publish("system.deadletter.KIOSK_COMMANDS.payment-agent-consumer", JSON.stringify(letter("kiosk.agent.payment.process", { command: "process" })));
  // A right of the staff, but not of who wrote it.
  await client.js.publish("system.deadletter.core.arc-vision-bridge", JSON.stringify(letter("kiosk.agent.payment.refund", { command: "refund", order_id: "1" })));
  const planted = page.locator(".letter", { hasText: "kiosk.agent.payment.refund" });
  await planted.waitFor();
  assert.equal(await planted.getByRole("button", { name: /^Replay/ }).count(), 0);
  await page.locator(".letter", { hasText: "kiosk.agent.menu.details" }).getByRole("button", { name: /^Replay/ }).tap();
  await page.getByRole("status").getByText(/stays: MENU_NOT_FOUND/).waitFor();
  const charge = page.locator(".letter", { hasText: "kiosk.agent.payment.process" });
  await charge.getByText("Only the operator may send this again").waitFor();
  assert.equal(await charge.getByRole("button", { name: /^Replay/ }).count(), 0);
  // The number at the page's name is that of the stream.
  const { state } = await client.jsm.streams.info("KIOSK_DEADLETTER");
  await page.locator("nav.pages .badge").getByText(String(state.messages), { exact: true }).waitFor();

  // Transcripts, too.
  await client.event("kiosk.voice.transcript", { event: "transcript", text: MARKUP, is_final: true });
  await staff.tap("Events");
  await page.locator("tr[data-seq]", { hasText: "voice.transcript" }).first().getByText("<script>window.owned=1</script>").waitFor();
  assert.equal(await page.evaluate(() => window.owned), undefined);
  assert.equal(await page.locator("main img, main script").count(), 0);
  await staff.close();
});

scenario("axe and the size of what is touched, on every page", async ({ fleet, browser, client }) => {
  const customer = await Customer.at(browser, fleet.facts.screen_url);
  // Past the content security policy, for axe alone.
  const staff = await Customer.at(browser, `${fleet.facts.screen_url}/staff`, { size: SIZES.landscape, bypassCSP: true, reducedMotion: "reduce" });
  const found = [];
  await walk(fleet, client, customer, staff, async (name, page) => {
    for (const [size, theme] of [["landscape", "light"], ["landscape", "dark"], ["phone", "light"], ["phone", "dark"]]) {
      await page.setViewportSize(SIZES[size]);
      await page.evaluate((colours) => (document.documentElement.dataset.theme = colours), theme);
      found.push(...(await problems(page)).map((problem) => `${name} ${size} ${theme}: ${problem}`));
    }
    await page.setViewportSize(SIZES.landscape);
    await page.evaluate(() => (document.documentElement.dataset.theme = "light"));
  });
  assert.equal([...new Set(found)].join("\n"), "");
  await staff.close();
  await customer.close();
});

scenario("nats-server is killed, and the console goes on", async ({ fleet, browser }) => {
  const staff = await Customer.at(browser, `${fleet.facts.screen_url}/staff`, { size: SIZES.landscape });
  const { page } = staff;
  await signIn(fleet, page);
  await page.locator("tr[data-agent]").first().waitFor();
  await fleet.script("kill", "nats");
  await page.getByText("No connection. What is shown may be old.").waitFor();
  await fleet.script("start", "nats");
  await page.getByText("Connected", { exact: true }).waitFor();
  await page.waitForFunction(() => document.querySelectorAll("tr[data-agent] .health.serving").length >= 5);
  await staff.close();
});
