// Whole orders: by npm's NATS client alone, by arcctl alone, and the ways in which an order does not come about.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Client, component, eventually, Fleet, Kiosk, notices, run } from "./kit.mjs";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

describe("a fleet", () => {
  let fleet, client;
  let failed = true;
  before(async () => {
    fleet = await Fleet.up();
    client = await Client.connect(fleet);
  });
  after(async () => {
    await client?.close();
    await fleet?.down({ failed });
  });

  const receiptOf = async (url) => {
    const answer = await fetch(fleet.facts.agents.payment.http_url + url);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("content-type"), "application/pdf");
    const bytes = Buffer.from(await answer.arrayBuffer());
    assert.equal(bytes.subarray(0, 5).toString(), "%PDF-");
    const file = path.join(fleet.dir, "receipt.pdf");
    fs.writeFileSync(file, bytes);
    const done = await run("pdftotext", "-layout", file, "-");
    assert.equal(done.status, 0, done.stderr);
    return done.stdout;
  };
  // The one receipt of an order on the printer's paper.
  const printed = async (order_id) => {
    const paper = await eventually(`the receipt of ${order_id} to be printed`, async () => {
      const all = (await fleet.receipts()).split(/^8<-+$/m).filter((one) => one.includes(order_id));
      return all.length > 0 && all;
    });
    assert.equal(paper.length, 1, "printed more than once");
    return paper[0];
  };

  // From a screen with something in the cart to the order number.
  async function payWith(kiosk, tokens, fields = {}) {
    await kiosk.touch("checkout", fields);
    const checkout = await kiosk.screen("a checked order", (screen) => component(screen, "OrderSummary")?.verified);
    let paying;
    for (const [index, token] of tokens.entries()) {
      await kiosk.touch("confirm_payment");
      paying = await kiosk.screen("a payment that waits for a card", (screen) => component(screen, "PaymentPrompt")?.status === "waiting");
      const { order_id } = component(paying, "PaymentPrompt");
      await eventually("the terminal to await a card", async () => (await fleet.intents()).some(({ key, state }) => key === order_id && state === "waiting_for_card"));
      // Refused, and said so for as long as the payment is open.
      await kiosk.touch("show_cart");
      await kiosk.screen("a refusal", (screen) => notices(screen).includes("PAYMENT_IN_PROGRESS"));
      await kiosk.tap(token);
      if (index === tokens.length - 1) break;
      const declined = await kiosk.screen("a declined card", (screen) => screen.layout_mode === "checkout" && notices(screen).includes("PAYMENT_DECLINED"));
      assert.deepEqual(notices(declined), ["PAYMENT_DECLINED"]);
    }
    const paid = await kiosk.screen("a printed receipt", (screen) => component(screen, "Receipt")?.print === "printed", 15_000);
    return { checkout, paying, paid, ...component(paying, "PaymentPrompt") };
  }

  for (const [name, id, options] of [["the default kiosk", "kiosk-001", {}], ["a kiosk named by Kiosk-Id", "kiosk-002", {}], ["a scoped kiosk", "kiosk-003", { scoped: true }]]) {
    test(`an order by touch at ${name}`, async () => {
      // A scoped kiosk's printer is its own hardware agent; it has none in this fleet.
      const prints = !options.scoped;
      const kiosk = await Kiosk.open(client, id, options);
      await kiosk.personDetected({ estimated_party_size: 2 });
      const started = await kiosk.sessionEvent("started");
      assert.match(started.session_id, UUID);
      assert.equal(started.payload.kiosk_id, id);

      await kiosk.touch("start");
      const home = await kiosk.screen("the categories", (screen) => component(screen, "CategoryBar")?.categories.length === 8);
      await kiosk.touch("browse_category", { category: component(home, "CategoryBar").categories.find(({ name }) => /drinks/i.test(name)).id });
      await kiosk.screen("the drinks", (screen) => component(screen, "ItemGrid")?.items.some(({ id }) => id === 201));
      await kiosk.touch("search", { query: "vulcano burgr" });
      await kiosk.screen("what was mistyped", (screen) => component(screen, "ItemGrid")?.items[0]?.id === 101 && !component(screen, "ItemGrid").loading);

      await kiosk.touch("select_item", { item_id: 101, component: "HeroItem" });
      const details = await kiosk.screen("the Volcano Burger", (screen) => component(screen, "ItemDetails")?.loading === false);
      assert.deepEqual(component(details, "ItemDetails").customizations.map(({ name }) => name), ["Extra Cheese", "No Onions"]);
      await kiosk.touch("customize", { item_id: 101, customizations: ["Extra Cheese"] });
      await kiosk.screen("its price with cheese", (screen) => component(screen, "ItemDetails")?.unit_price === 14.49);
      await kiosk.cart("add", 101, { quantity: 2, customizations: ["Extra Cheese", "No Onions"], note: "well done" });
      const cart = await kiosk.screen("suggestions beside the cart", (screen) => component(screen, "Upsell")?.suggestions.length > 0);
      assert.deepEqual(component(cart, "CartLines").lines.map(({ item_id, quantity, unit_price, customizations, note }) => ({ item_id, quantity, unit_price, customizations, note })),
        [{ item_id: 101, quantity: 2, unit_price: 14.49, customizations: ["Extra Cheese", "No Onions"], note: "well done" }]);

      const upsell = component(cart, "Upsell").suggestions[0];
      assert.notEqual(upsell.item_id, 101);
      const label = cart.suggested_actions.find((action) => action === `Add ${upsell.name}`);
      assert.ok(label, JSON.stringify(cart.suggested_actions));
      await kiosk.touch("suggested_action", { label });
      await kiosk.screen("the suggestion in the cart", (screen) => component(screen, "CartLines")?.lines.some(({ item_id }) => item_id === upsell.item_id));

      let order;
      if (prints) {
        order = await payWith(kiosk, ["tok_visa"], { loyalty_card: "LOYALTY123" });
      } else {
        await kiosk.touch("checkout");
        await kiosk.screen("a checked order", (screen) => component(screen, "OrderSummary")?.verified);
        await kiosk.touch("confirm_payment");
        order = component(await kiosk.screen("a payment", (screen) => component(screen, "PaymentPrompt")?.status === "waiting"), "PaymentPrompt");
        await eventually("the terminal to await a card", async () => (await fleet.intents()).some(({ key, state }) => key === order.order_id && state === "waiting_for_card"));
        await kiosk.tap("tok_visa");
        order.paid = await kiosk.layout("paid");
      }
      const total = Math.round((2 * 14.49 + upsell.price) * 100) / 100;
      const receipt = component(order.paid, "Receipt");
      assert.equal(receipt.amount_charged, total);
      assert.match(component(order.paid, "OrderNumber").order_number, /^[A-Z]+\d+$/);

      const completed = await kiosk.sessionEvent("order_completed");
      assert.equal(completed.session_id, started.session_id);
      assert.deepEqual(completed.payload.lines.map(({ item_id, quantity }) => [item_id, quantity]), [[101, 2], [upsell.item_id, 1]]);
      assert.equal(completed.payload.lines[0].note, "well done");
      assert.equal(completed.payload.total, total);
      assert.equal(completed.payload.kiosk_id, id);
      assert.equal(completed.payload.context.party_size, 2);
      assert.deepEqual(completed.payload.payment, {
        transaction_id: receipt.transaction_id, amount_charged: total, loyalty_points_earned: prints ? Math.round(total) : 0, receipt_url: receipt.receipt_url,
      });

      const charges = (await fleet.intents()).filter(({ key }) => key === order.order_id);
      assert.deepEqual(charges.map(({ state, amount, kiosk_id }) => [state, amount, kiosk_id]), [["succeeded", Math.round(total * 100), id]]);

      const pdf = await receiptOf(receipt.receipt_url);
      for (const words of [/2 *[x×] *Volcano Burger/, /Extra Cheese/, /well done/, new RegExp(upsell.name), new RegExp(total.toFixed(2)), new RegExp(receipt.transaction_id)]) assert.match(pdf, words);
      if (prints) {
        const paper = await printed(order.order_id);
        for (const words of [/2 x Volcano Burger +28\.98/, /\+ Extra Cheese/, /\+ No Onions/, /well done/, new RegExp(`TOTAL +${total.toFixed(2)} USD`), new RegExp(receipt.transaction_id)]) assert.match(paper, words);
      }

      await kiosk.touch("done");
      const ended = await kiosk.sessionEvent("ended");
      assert.equal(ended.session_id, started.session_id);
      assert.equal(ended.payload.reason, "completed");
      assert.ok(ended.payload.duration_seconds > 0 && ended.payload.duration_seconds < 120);
      await kiosk.layout("attract");
      assert.deepEqual((await kiosk.snapshot()).cart, { lines: [], total: 0 });
      // Behind the end, so that each event had its chance to come twice.
      assert.deepEqual(kiosk.events.map(({ subject }) => subject), ["kiosk.session.started", "kiosk.session.order_completed", "kiosk.session.ended"]);
    });
  }

  test("an order by arcctl alone", async () => {
    const at = (...words) => fleet.arcctlJson("--kiosk_id", "kiosk-004", ...words);
    const kiosk = await Kiosk.open(client, "kiosk-004");
    await at("person", "detected");
    await at("touch", "start");
    await at("touch", "search", "--query", "cola");
    await at("cart", "add", "101", "2", "--customization", "Extra Cheese", "--note", "no salt");
    await at("cart", "add", "201");
    await at("cart", "update_qty", "201", "3");
    await at("cart", "remove", "201", "1");
    const [snapshot] = await at("snapshot");
    assert.deepEqual(snapshot.cart.lines.map(({ item_id, quantity, price }) => [item_id, quantity, price]), [[101, 2, 14.49], [201, 2, 5.99]]);
    await at("touch", "checkout");
    await at("touch", "confirm_payment");
    const { order_id } = component(await kiosk.screen("a payment", (screen) => component(screen, "PaymentPrompt")), "PaymentPrompt");
    await eventually("the terminal to await a card", async () => (await fleet.intents()).some(({ key, state }) => key === order_id && state === "waiting_for_card"));
    await at("tap", "tok_visa");
    const completed = await kiosk.sessionEvent("order_completed");
    assert.equal(completed.payload.order_id, order_id);
    assert.equal(completed.payload.total, 40.96);
    assert.match(await printed(order_id), /TOTAL +40\.96 USD/);
    assert.match(await receiptOf(completed.payload.payment.receipt_url), /40\.96/);
    await at("touch", "done");
    await kiosk.sessionEvent("ended");
    const refused = await fleet.arcctl("--kiosk_id", "kiosk-004", "cart", "add", "101", "many");
    assert.equal(refused.status, 2);
    const unknown = await fleet.arcctl("--kiosk_id", "kiosk-004", "cart", "add", "999999");
    assert.equal(unknown.status, 1);
    assert.match(unknown.stderr, /MENU_NOT_FOUND/);
  });

  test("a declined card, then a good one: one charge, one receipt", async () => {
    const kiosk = await Kiosk.open(client, "kiosk-005");
    await kiosk.cart("add", 102);
    await kiosk.screen("the burger", (screen) => component(screen, "CartSummary")?.count === 1);
    const { order_id } = await payWith(kiosk, ["tok_declined", "tok_insufficient", "tok_visa"]);
    const charges = (await fleet.intents()).filter(({ key }) => key === order_id);
    assert.deepEqual(charges.map(({ state, amount }) => [state, amount]), [["succeeded", 899]]);
    assert.equal(kiosk.events.filter(({ subject }) => subject === "kiosk.session.order_completed").length, 1);
    await printed(order_id);
    await kiosk.touch("done");
    await kiosk.sessionEvent("ended");
  });

  test("cancelled while a card is awaited: nothing is charged, the session ends", async () => {
    const kiosk = await Kiosk.open(client, "kiosk-006");
    await kiosk.cart("add", 102);
    await kiosk.screen("the burger", (screen) => component(screen, "CartSummary")?.count === 1);
    await kiosk.touch("checkout");
    await kiosk.touch("confirm_payment");
    const { order_id } = component(await kiosk.screen("a payment", (screen) => component(screen, "PaymentPrompt")), "PaymentPrompt");
    await kiosk.touch("back");
    await kiosk.screen("the checkout again", (screen) => screen.layout_mode === "checkout" && notices(screen).includes("PAYMENT_CANCELLED"));
    await kiosk.touch("confirm_payment");
    await kiosk.screen("a payment", (screen) => component(screen, "PaymentPrompt")?.status === "waiting");
    await kiosk.touch("cancel_order");
    assert.equal((await kiosk.sessionEvent("ended")).payload.reason, "cancelled");
    assert.ok((await fleet.intents()).every(({ key, state }) => key !== order_id || state === "cancelled"));
    await kiosk.layout("attract");
  });

  test("an item that is taken off leaves the cart at checkout", async () => {
    const kiosk = await Kiosk.open(client, "kiosk-007");
    await kiosk.cart("add", 102);
    await kiosk.cart("add", 405);
    await kiosk.screen("two items", (screen) => component(screen, "CartSummary")?.count === 2);
    assert.equal((await fleet.arcctl("menu", "86", "405")).status, 0);
    await kiosk.touch("checkout");
    const checkout = await kiosk.screen("the remaining order", (screen) => component(screen, "OrderSummary")?.verified && component(screen, "OrderSummary").lines.length === 1);
    assert.ok(notices(checkout).includes("ITEM_OUT_OF_STOCK"));
    assert.equal(component(checkout, "Totals").total, 8.99);
    assert.equal((await fleet.arcctl("menu", "back", "405")).status, 0);
    await kiosk.touch("cancel_order");
    await kiosk.sessionEvent("ended");
  });

  test("an item that is taken off while the customer reads the checkout is not charged", async () => {
    const kiosk = await Kiosk.open(client, "kiosk-008");
    await kiosk.cart("add", 102);
    await kiosk.cart("add", 405);
    await kiosk.touch("checkout");
    await kiosk.screen("a checked order", (screen) => component(screen, "OrderSummary")?.verified && component(screen, "OrderSummary").lines.length === 2);
    const since = Date.now();
    assert.equal((await fleet.arcctl("menu", "86", "405")).status, 0);
    try {
      // A check is good for a second.
      await eventually("the check to be old", () => Date.now() - since > 1100);
      await kiosk.touch("confirm_payment");
      const checkout = await kiosk.screen("the remaining order", (screen) => component(screen, "OrderSummary")?.verified && component(screen, "OrderSummary").lines.length === 1);
      assert.ok(notices(checkout).includes("ITEM_OUT_OF_STOCK"));
      assert.equal(component(checkout, "Totals").total, 8.99);
    } finally {
      assert.equal((await fleet.arcctl("menu", "back", "405")).status, 0);
    }
    const { paid } = await payWith(kiosk, ["tok_visa"]);
    assert.equal(component(paid, "Receipt").amount_charged, 8.99);
    await kiosk.touch("done");
    await kiosk.sessionEvent("ended");
  });

  test("a combo that is offered takes the place of its parts and saves what it says", async () => {
    const kiosk = await Kiosk.open(client, "kiosk-009");
    await kiosk.cart("add", 101, { customizations: ["Extra Cheese"], note: "well done" });
    await kiosk.cart("add", 401);
    await kiosk.cart("add", 201);
    await kiosk.touch("show_cart");
    const offered = await kiosk.screen("the offer", (screen) => component(screen, "Upsell")?.suggestions.some(({ item_id }) => item_id === 301));
    const offer = component(offered, "Upsell").suggestions.find(({ item_id }) => item_id === 301);
    assert.equal(offer.reason, "upsell_combo");
    const saving = Number(offer.pitch.match(/save \$([\d.]+)/)[1].replace(/\.$/, ""));
    const before = component(offered, "Totals").total;
    await kiosk.touch("suggested_action", { label: `Add ${offer.name}` });
    const taken = await kiosk.screen("the combo alone", (screen) => component(screen, "CartLines")?.lines.length === 1);
    assert.deepEqual(component(taken, "CartLines").lines.map(({ item_id, quantity, customizations, note }) => ({ item_id, quantity, customizations, note })),
      [{ item_id: 301, quantity: 1, customizations: ["Extra Cheese"], note: "Volcano Burger: well done" }]);
    assert.equal(component(taken, "Totals").total, Math.round((before - saving) * 100) / 100);
    // By its id it is one more line.
    await kiosk.cart("add", 101);
    await kiosk.cart("add", 301);
    await kiosk.screen("three lines", (screen) => component(screen, "CartLines")?.lines.length === 3);
    await kiosk.touch("cancel_order");
    await kiosk.sessionEvent("ended");
  });

  test("a suggestion without a price, as the specification has it, is shown with the menu's", async () => {
    const kiosk = await Kiosk.open(client, "kiosk-010");
    await fleet.script("stop", "recsys");
    const answer = { payload: { status: "success", suggestions: [
      { item_id: 201, name: "Iced Cola", pitch: "Perfect to cool down with your burger!", reason: "weather_hot" },
      { item_id: 999, name: "Secret Shake", pitch: "Psst!", reason: "popular" }] } };
    const responder = client.nc.subscribe("kiosk.agent.recsys.suggest", { callback: (_, message) => message.respond(JSON.stringify(answer)) });
    try {
      await kiosk.cart("add", 101);
      await kiosk.touch("show_cart");
      const cart = await kiosk.screen("the suggestions", (screen) => component(screen, "Upsell"));
      assert.deepEqual(component(cart, "Upsell").suggestions.map(({ item_id, price }) => [item_id, price]), [[201, 5.99], [999, undefined]]);
    } finally {
      responder.unsubscribe();
      await fleet.script("start", "recsys");
    }
    await kiosk.touch("cancel_order");
    await kiosk.sessionEvent("ended");
  });

  test("nothing died and nothing waits", async () => {
    assert.deepEqual(fleet.dead(), []);
    assert.equal(await client.lastDeadLetter(), 0);
    // Led and receipts of the scoped kiosk wait for its hardware agent, which this fleet has not.
    await eventually("the queue to hold only the scoped kiosk's hardware commands", async () => {
      const { state } = await client.jsm.streams.info("KIOSK_COMMANDS", { subjects_filter: ">" });
      return Object.keys(state.subjects ?? {}).every((subject) => /^kiosk\.agent\.hardware\.\w+\.kiosk-003$/.test(subject));
    });
    failed = false;
  });
});

describe("a fleet whose kiosk has subjects of its own", () => {
  let fleet, client;
  let failed = true;
  before(async () => {
    fleet = await Fleet.up("--kiosk_id", "kiosk-777", "--scoped");
    client = await Client.connect(fleet);
  });
  after(async () => {
    await client?.close();
    await fleet?.down({ failed });
  });

  test("an order, printed by the kiosk's own printer", async () => {
    const kiosk = await Kiosk.open(client, "kiosk-777", { scoped: true });
    await kiosk.personDetected();
    await kiosk.cart("add", 101, { quantity: 2 });
    await kiosk.touch("checkout");
    await kiosk.screen("a checked order", (screen) => component(screen, "OrderSummary")?.verified);
    await kiosk.touch("confirm_payment");
    const { order_id } = component(await kiosk.screen("a payment", (screen) => component(screen, "PaymentPrompt")), "PaymentPrompt");
    await eventually("the terminal to await a card", async () => (await fleet.intents()).some(({ key, state }) => key === order_id && state === "waiting_for_card"));
    await kiosk.tap("tok_visa");
    await kiosk.screen("a printed receipt", (screen) => component(screen, "Receipt")?.print === "printed");
    assert.equal((await fleet.receipts()).split(`Order ${order_id}`).length - 1, 1);
    await kiosk.touch("done");
    assert.equal((await kiosk.sessionEvent("ended")).payload.reason, "completed");
    // Nothing of it went out under the default kiosk's names.
    const { state } = await client.jsm.streams.info("KIOSK_EVENTS", { subjects_filter: ">" });
    assert.deepEqual(Object.keys(state.subjects).filter((subject) => /^kiosk\.(ui|input|vision)\.\w+$/.test(subject)), []);
    await client.queueEmpty();
    assert.equal(await client.lastDeadLetter(), 0);
    assert.deepEqual(fleet.dead(), []);
    failed = false;
  });
});

describe("a fleet that loses what it needs", () => {
  let fleet, client;
  let failed = true;
  before(async () => {
    fleet = await Fleet.up("--copies", "orchestrator=2");
    client = await Client.connect(fleet);
  });
  after(async () => {
    await client?.close();
    await fleet?.down({ failed });
  });

  test("hardware and nats-server die when the order is paid: the receipt is printed, once", async () => {
    const kiosk = await Kiosk.open(client, "kiosk-001", { retrySeconds: 20 });
    await kiosk.cart("add", 101);
    await kiosk.touch("checkout");
    await kiosk.touch("confirm_payment");
    const { order_id } = component(await kiosk.screen("a payment", (screen) => component(screen, "PaymentPrompt")), "PaymentPrompt");
    await eventually("the terminal to await a card", async () => (await fleet.intents()).some(({ key, state }) => key === order_id && state === "waiting_for_card"));
    await fleet.script("kill", "hardware");
    await kiosk.tap("tok_visa");
    await kiosk.screen("a receipt that is asked for", (screen) => component(screen, "Receipt")?.print === "pending");
    // KIOSK_COMMANDS lives in memory: what waits for hardware is gone.
    await fleet.script("kill", "nats");
    await fleet.script("start", "nats");
    await fleet.script("start", "hardware");
    const copies = await eventually("the receipt to be printed", async () => {
      const all = (await fleet.receipts()).split(/^8<-+$/m).filter((one) => one.includes(order_id));
      return all.length > 0 && all;
    }, 60_000);
    assert.equal(copies.length, 1);
    await kiosk.touch("done");
    await kiosk.sessionEvent("ended", 0, 20_000);
  });

  test("the bucket of the sessions is lost: no copy is SERVING, and once it is back one leads", async () => {
    const health = async (name) => (await fetch(`${fleet.facts.agents[name].http_url}/healthz`)).json();
    const names = ["orchestrator", "orchestrator-2"];
    for (const name of names) await eventually(`${name} to be SERVING`, async () => (await health(name)).status === "SERVING", 20_000);
    await fleet.script("kill", "provision");
    await client.jsm.streams.delete("KV_KIOSK_SESSIONS");
    for (const name of names) {
      await eventually(`${name} to say why`, async () => (await health(name)).status === "NOT_SERVING" && (await health(name)).reasons.some((reason) => reason.startsWith("lead: ")), 20_000);
    }
    assert.equal((await fleet.arcctl("provision")).status, 0);
    for (const name of names) await eventually(`${name} to be SERVING`, async () => (await health(name)).status === "SERVING", 20_000);
    const kiosk = await Kiosk.open(client, "kiosk-002");
    await kiosk.touch("start");
    await kiosk.layout("hero_grid");
    failed = false;
  });
});

describe("a fleet with little patience", () => {
  let fleet, client;
  let failed = true;
  before(async () => {
    fleet = await Fleet.up("--flag", "orchestrator=--idle_warning=1s", "--flag", "orchestrator=--idle_timeout=3s",
      "--flag", "orchestrator=--person_left_grace=1s", "--flag", "orchestrator=--paid_timeout=1s", "--flag", "orchestrator=--max_kiosks=8");
    client = await Client.connect(fleet);
  });
  after(async () => {
    await client?.close();
    await fleet?.down({ failed });
  });

  test("nobody touches: a warning, then the session ends", async () => {
    const kiosk = await Kiosk.open(client, "kiosk-001");
    await kiosk.cart("add", 101);
    const warning = await kiosk.screen("a warning", (screen) => component(screen, "IdleWarning"));
    assert.ok(warning.suggested_actions.includes("Keep going"));
    await kiosk.touch("keep_going");
    await kiosk.screen("no warning", (screen) => !component(screen, "IdleWarning"));
    const { payload } = await kiosk.sessionEvent("ended");
    assert.equal(payload.reason, "timeout");
    assert.ok(payload.duration_seconds >= 3 && payload.duration_seconds < 10, JSON.stringify(payload));
    await kiosk.layout("attract");
  });
  test("the customer walks away", async () => {
    const kiosk = await Kiosk.open(client, "kiosk-002");
    await kiosk.personDetected();
    await kiosk.sessionEvent("started");
    await kiosk.event("kiosk.vision.person_left", { event: "person_left", duration_seconds: 5 });
    assert.equal((await kiosk.sessionEvent("ended")).payload.reason, "timeout");
  });
  test("the customer walks away and comes back in time", async () => {
    const kiosk = await Kiosk.open(client, "kiosk-003");
    await kiosk.cart("add", 101);
    await kiosk.event("kiosk.vision.person_left", { event: "person_left", duration_seconds: 5 });
    await kiosk.personDetected();
    await kiosk.touch("show_cart");
    await kiosk.screen("the cart as it was", (screen) => component(screen, "CartLines")?.lines.length === 1);
    assert.deepEqual(kiosk.events.map(({ subject }) => subject), ["kiosk.session.started"]);
  });
  test("a paid order ends its session by itself", async () => {
    const kiosk = await Kiosk.open(client, "kiosk-004");
    await kiosk.cart("add", 101);
    await kiosk.touch("checkout");
    await kiosk.touch("confirm_payment");
    const { order_id } = component(await kiosk.screen("a payment", (screen) => component(screen, "PaymentPrompt")), "PaymentPrompt");
    await eventually("the terminal to await a card", async () => (await fleet.intents()).some(({ key, state }) => key === order_id && state === "waiting_for_card"));
    await kiosk.tap("tok_visa");
    await kiosk.sessionEvent("order_completed");
    assert.equal((await kiosk.sessionEvent("ended")).payload.reason, "completed");
  });
  test("made-up kiosks in attract keep no place from a new one", async () => {
    await eventually("every session to be over", async () => (await fleet.arcctlJson("sessions")).every(({ session_id }) => !session_id));
    for (let i = 0; i < 20; ++i) await client.event("kiosk.input.touch", { event: "touch", action: "back" }, { kiosk: `made-up-${i}` });
    await client.eventsApplied();
    const before = await client.lastDeadLetter();
    const kiosk = await Kiosk.open(client, "kiosk-005");
    await kiosk.touch("start");
    await kiosk.layout("hero_grid");
    assert.equal(await client.lastDeadLetter(), before);
    assert.deepEqual(fleet.dead(), []);
    failed = false;
  });
});
