// Every example of sections 6, 7, 8 and 10 of the kiosk specification, as it is written there, by npm's NATS client.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { after, before, describe, test } from "node:test";
import { assertShape, Client, component, envelope, eventually, Fleet, Kiosk, nats } from "./kit.mjs";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const ENVELOPE = { msg_id: (id) => UUID.test(id), timestamp: (at) => INSTANT.test(at), session_id: "string", trace_id: (id) => UUID.test(id), version: (v) => v === "1.0", payload: {} };
const ERROR = { status: (s) => s === "error", error_code: "string", error_message: "string", retryable: "boolean" };

let fleet, client, kiosk;
let failed = true;

before(async () => {
  fleet = await Fleet.up();
  client = await Client.connect(fleet);
  kiosk = await Kiosk.open(client, "kiosk-001");
});
after(async () => {
  await client?.close();
  await fleet?.down({ failed });
});

// Publishes an event as the specification writes it and waits until the orchestrator has handled it.
async function accepted(subject, payload) {
  const before = await client.lastDeadLetter();
  await client.store(subject, { payload });
  await client.eventsApplied();
  assert.deepEqual((await client.deadLetters(before)).map(({ error }) => error), [], `${subject} became a dead letter`);
}

describe("section 6: events", () => {
  test("person_detected begins a session", async () => {
    await accepted("kiosk.vision.person_detected", {
      event: "person_detected", confidence: 0.95, bounding_box: { x: 100, y: 50, w: 200, h: 400 },
      face_detected: true, estimated_age_group: "adult", estimated_party_size: 2,
    });
    const started = await kiosk.sessionEvent("started");
    assertShape(started, { ...ENVELOPE, session_id: (id) => UUID.test(id) }, "session.started");
    assert.deepEqual(started.payload, { event: "session_started", kiosk_id: "kiosk-001" });
    const update = await kiosk.layout("hero_grid");
    assertShape(update, {
      event: (name) => name === "ui_update", layout_mode: "string", theme_override: "string?",
      components: [{ type: "string", data: {} }], suggested_actions: ["string"],
    });
    const hero = await kiosk.screen("a HeroItem", (screen) => component(screen, "HeroItem"));
    assertShape(component(hero, "HeroItem"), { id: "number", title: "string" }, "HeroItem");
  });
  test("gaze_detected, speech_start and transcript are taken", async () => {
    await accepted("kiosk.vision.gaze_detected", { event: "gaze_detected", looking_at_screen: true, gaze_point: { x: 500, y: 300 } });
    await accepted("kiosk.voice.speech_start", { event: "speech_start" });
    await accepted("kiosk.voice.transcript", {
      event: "transcript", text: "I want a burger with extra cheese", confidence: 0.92, language: "en-US", is_final: true,
    });
  });
  test("an intent searches the menu", async () => {
    await accepted("kiosk.voice.intent", {
      event: "intent", intent_type: "search_menu", entities: { item: "burger", modifiers: ["extra cheese"] },
      raw_text: "I want a burger with extra cheese", confidence: 0.88,
    });
    const update = await kiosk.screen("burgers found", (screen) => component(screen, "ItemGrid")?.items.some(({ title }) => /burger/i.test(title)) && !component(screen, "ItemGrid").loading);
    assert.match(component(update, "ItemGrid").title, /burger/);
  });
  test("a touch selects an item", async () => {
    await accepted("kiosk.input.touch", { event: "touch", action: "select_item", item_id: 101, component: "HeroItem" });
    const update = await kiosk.screen("the details of 101", (screen) => component(screen, "ItemDetails")?.loading === false);
    assert.equal(component(update, "ItemDetails").title, "Volcano Burger");
  });
  test("cart actions add, update_qty and remove", async () => {
    const lines = async () => (await kiosk.snapshot()).cart.lines.map(({ item_id, quantity }) => [item_id, quantity]);
    await accepted("kiosk.input.cart_action", { event: "cart_action", action: "add", item_id: 101, quantity: 2 });
    await eventually("two in the cart", async () => JSON.stringify(await lines()) === "[[101,2]]");
    await accepted("kiosk.input.cart_action", { event: "cart_action", action: "update_qty", item_id: 101, quantity: 3 });
    await eventually("three in the cart", async () => JSON.stringify(await lines()) === "[[101,3]]");
    await accepted("kiosk.input.cart_action", { event: "cart_action", action: "remove", item_id: 101, quantity: 2 });
    await eventually("one in the cart", async () => JSON.stringify(await lines()) === "[[101,1]]");
  });
  test("person_left is taken, and the session ends with reason and duration", async () => {
    await accepted("kiosk.vision.person_left", { event: "person_left", duration_seconds: 45.5 });
    await client.event("kiosk.input.touch", { event: "touch", action: "cancel_order" });
    const ended = await kiosk.sessionEvent("ended");
    assert.equal(ended.session_id, (await kiosk.sessionEvent("started")).session_id);
    assertShape(ended.payload, { event: (e) => e === "session_ended", reason: (r) => r === "cancelled", duration_seconds: (d) => d > 0 });
    assert.deepEqual(Object.keys(ended.payload).sort(), ["duration_seconds", "event", "reason"]);
  });
  test("all of it is in KIOSK_EVENTS, each once", async () => {
    const counts = (await client.jsm.streams.info("KIOSK_EVENTS", { subjects_filter: ">" })).state.subjects;
    for (const subject of ["kiosk.vision.person_detected", "kiosk.vision.person_left", "kiosk.vision.gaze_detected", "kiosk.voice.speech_start",
      "kiosk.voice.transcript", "kiosk.voice.intent", "kiosk.session.started", "kiosk.session.ended"]) {
      assert.equal(counts[subject], 1, subject);
    }
    assert.equal(counts["kiosk.input.cart_action"], 3);
    assert.ok(counts["kiosk.ui.update"] > 3);
  });
});

// Asks on both command paths and compares the answers: `shape` is the payload that the specification promises.
async function bothPaths(subject, payload, shape, options = {}) {
  const message = envelope(payload, { session_id: randomUUID() });
  const plain = await client.raw(subject, message, options);
  const [durable, ...more] = await client.durable(subject, message, options);
  assert.equal(more.length, 0);
  for (const [path, answer] of Object.entries({ plain, durable })) {
    assert.ok(answer, `no answer on the ${path} path`);
    assertShape(answer, ENVELOPE, path);
    assertShape(answer.payload, shape, `${path}.payload`);
    assert.equal(answer.trace_id, message.trace_id);
    assert.equal(answer.session_id, message.session_id);
    assert.notEqual(answer.msg_id, message.msg_id);
  }
  return [plain.payload, durable.payload];
}

const success = (status) => status === "success";
const ITEM = { id: "number", name: "string", price: "number", image: "string", tags: ["string"], available: "boolean" };

describe("section 7: commands", () => {
  test("menu.search", async () => {
    const [found, again] = await bothPaths("kiosk.agent.menu.search", { command: "search", query: "spicy burger", tags: ["spicy"], limit: 10 },
      { status: success, items: [ITEM], total_matches: "number" });
    assert.deepEqual(found, again);
    assert.ok(found.items.length > 0 && found.total_matches >= found.items.length && found.items.length <= 10);
    assert.deepEqual(found.items.find(({ id }) => id === 101), {
      id: 101, name: "Volcano Burger", price: 12.99, image: "/img/volcano.png", tags: ["spicy", "popular"], available: true });
    const request = { command: "search", query: "spicy burger", tags: ["spicy"], dietary_filters: ["vegetarian"], limit: 10 };
    const [filtered] = await bothPaths("kiosk.agent.menu.search", request, { status: success, items: [ITEM], total_matches: "number" });
    for (const { id } of filtered.items) {
      const { item } = await client.ask("kiosk.agent.menu.details", { command: "get_details", item_id: id });
      assert.ok(item.dietary.includes("vegetarian") || item.dietary.includes("vegan"), JSON.stringify(item));
      assert.ok(item.tags.includes("spicy"));
    }
  });
  test("menu.details", async () => {
    const [{ item }] = await bothPaths("kiosk.agent.menu.details", { command: "get_details", item_id: 101 }, {
      status: success,
      item: { id: "number", name: "string", description: "string", price: "number", calories: "number", allergens: ["string"], customizations: [{ name: "string", price: "number" }] },
    });
    assert.equal(item.id, 101);
    assert.equal(item.price, 12.99);
    assert.equal(item.calories, 850);
    assert.match(item.description, /^Spicy beef patty with jalapeños/);
    assert.deepEqual(item.allergens, ["gluten", "dairy"]);
    assert.deepEqual(item.customizations, [{ name: "Extra Cheese", price: 1.5 }, { name: "No Onions", price: 0 }]);
  });
  test("recsys.suggest", async () => {
    const [{ suggestions }] = await bothPaths("kiosk.agent.recsys.suggest",
      { command: "suggest", cart: [{ item_id: 101, quantity: 1 }], context: { time_of_day: "lunch", weather: "hot", party_size: 2 } },
      { status: success, suggestions: [{ item_id: "number", name: "string", pitch: "string", reason: "string" }] });
    assert.ok(suggestions.length > 0);
    assert.ok(suggestions.every(({ item_id, pitch }) => item_id !== 101 && pitch.length > 0));
    assert.ok(suggestions.some(({ reason }) => reason === "weather_hot"), JSON.stringify(suggestions));
    assert.ok(suggestions.some(({ reason }) => reason === "upsell_combo"), JSON.stringify(suggestions));
  });
  test("payment.process, whose answer is the same whoever asks", async () => {
    const order_id = randomUUID();
    const request = {
      command: "process_payment", order_id, total: 24.99,
      items: [{ item_id: 101, name: "Volcano Burger", qty: 1, price: 12.99 }, { item_id: 201, name: "Iced Cola", qty: 2, price: 5.99 }],
      loyalty_card: "LOYALTY123",
    };
    const options = { timeout: 30_000 };
    const both = bothPaths("kiosk.agent.payment.process", request, {
      status: success, transaction_id: (id) => /^txn-/.test(id), amount_charged: (amount) => amount === 24.99,
      loyalty_points_earned: (points) => points === 25, receipt_url: (url) => /^\/receipts\/txn-[\w-]+\.pdf$/.test(url), error: (error) => error === null,
    }, options);
    await eventually("the terminal to await a card", async () => (await fleet.intents()).some(({ key, state }) => key === order_id && state === "waiting_for_card"));
    await client.event("kiosk.input.card", { event: "card", action: "tap", token: "tok_visa", order_id });
    const [first, second] = await both;
    assert.deepEqual(first, second);
    const charged = (await fleet.intents()).filter(({ key }) => key === order_id);
    assert.deepEqual(charged.map(({ state, amount }) => [state, amount]), [["succeeded", 2499]]);
  });
  test("hardware.led, under both names", async () => {
    for (const subject of ["kiosk.agent.hardware.led", "kiosk.hardware.led"]) {
      for (const pattern of ["solid", "pulse", "error"]) {
        const [answer] = await bothPaths(subject, { command: "set_led", color: "#00FF00", pattern, duration_ms: 2000 }, { status: success });
        assert.deepEqual(answer, { status: "success" });
        const led = JSON.parse(fs.readFileSync(fleet.facts.files.hardware.led, "utf8"));
        assert.equal(led.color, "#00FF00");
        assert.equal(led.pattern, pattern);
      }
    }
  });
  test("hardware.print, once however often it is asked", async () => {
    const order_id = randomUUID();
    const request = {
      command: "print_receipt", order_id, total: 24.99, transaction_id: `txn-${randomUUID()}`,
      items: [{ item_id: 101, name: "Volcano Burger", qty: 1, price: 12.99 }, { item_id: 201, name: "Iced Cola", qty: 2, price: 5.99 }],
    };
    await bothPaths("kiosk.agent.hardware.print", request, { status: success });
    const paper = await fleet.receipts();
    assert.equal(paper.split(order_id).length - 1, 1);
    assert.match(paper, /2 x Iced Cola +11\.98/);
  });
});

async function refused(subject, payload, code, retryable, options = {}) {
  const answer = await client.ask(subject, payload, options);
  assertShape(answer, ERROR);
  assert.deepEqual([answer.error_code, answer.retryable], [code, retryable], JSON.stringify(answer));
  assert.deepEqual(Object.keys(answer).sort(), ["error_code", "error_message", "retryable", "status"]);
  return answer.error_message;
}

const LINE = { item_id: 101, name: "Volcano Burger", qty: 1, price: 12.99 };
const payFor = (order_id, fields = {}) => ({ command: "process_payment", order_id, total: 12.99, items: [LINE], ...fields });
const awaited = (order_id) => eventually("the terminal to await a card",
  async () => (await fleet.intents()).some(({ key, state }) => key === order_id && state === "waiting_for_card"));

describe("section 8: error codes, each provoked", () => {
  test("MENU_NOT_FOUND", async () => {
    await refused("kiosk.agent.menu.search", { command: "search", query: "zzqxv plutonium" }, "MENU_NOT_FOUND", false);
    await refused("kiosk.agent.menu.details", { command: "get_details", item_id: 999999 }, "MENU_NOT_FOUND", false);
  });
  test("ITEM_OUT_OF_STOCK", async () => {
    assert.equal((await client.ask("kiosk.agent.menu.set_availability", { command: "set_availability", item_id: 201, available: false })).status, "success");
    await refused("kiosk.agent.menu.details", { command: "get_details", item_id: 201 }, "ITEM_OUT_OF_STOCK", false);
    assert.equal((await client.ask("kiosk.agent.menu.set_availability", { command: "set_availability", item_id: 201, available: true })).status, "success");
    assert.equal((await client.ask("kiosk.agent.menu.details", { command: "get_details", item_id: 201 })).status, "success");
  });
  test("PAYMENT_DECLINED", async () => {
    for (const token of ["tok_declined", "tok_insufficient"]) {
      const order_id = randomUUID();
      const answer = client.ask("kiosk.agent.payment.process", payFor(order_id), { timeout: 30_000 });
      await awaited(order_id);
      await client.event("kiosk.input.card", { event: "card", action: "tap", token, order_id });
      assertShape(await answer, {
        status: (s) => s === "failed", amount_charged: (amount) => amount === 0, receipt_url: (url) => url === null, error: "string",
        error_code: (code) => code === "PAYMENT_DECLINED", error_message: "string", retryable: (is) => is === true,
      });
    }
  });
  test("PAYMENT_TIMEOUT", async () => {
    const order_id = randomUUID();
    const [answer] = await client.durable("kiosk.agent.payment.process", envelope(payFor(order_id)),
      { timeout: 10_000, deadline: new Date(Date.now() + 3000).toISOString() });
    assertShape(answer.payload, {
      status: (s) => s === "failed", amount_charged: (amount) => amount === 0, error: "string", error_code: (code) => code === "PAYMENT_TIMEOUT", retryable: (is) => is === true,
    });
  });
  test("a cancelled payment", async () => {
    const order_id = randomUUID();
    const answer = client.ask("kiosk.agent.payment.process", payFor(order_id), { timeout: 30_000 });
    await awaited(order_id);
    assert.equal((await client.ask("kiosk.agent.payment.cancel", { command: "cancel_payment", order_id })).status, "cancelled");
    assertShape(await answer, { status: (s) => s === "cancelled", transaction_id: "string?", amount_charged: (amount) => amount === 0, error: "string" });
  });
  test("HARDWARE_ERROR without paper; the receipt comes out when there is some", async () => {
    const order_id = randomUUID();
    const empty = `${fleet.facts.files.hardware.printer}.paper_out`;
    fs.writeFileSync(empty, "");
    try {
      await refused("kiosk.agent.hardware.print", { command: "print_receipt", order_id, items: [LINE], total: 12.99 }, "HARDWARE_ERROR", false);
    } finally {
      fs.rmSync(empty);
    }
    await eventually("the receipt to be printed", async () => (await fleet.receipts()).includes(order_id), 30_000);
  });
  test("INVALID_REQUEST names the field", async () => {
    assert.match(await refused("kiosk.agent.hardware.led", { command: "set_led", color: "greenish" }, "INVALID_REQUEST", false), /color/);
    assert.match(await refused("kiosk.agent.payment.process", payFor(randomUUID(), { total: 12.98 }), "INVALID_REQUEST", false), /total/);
    assert.match(await refused("kiosk.agent.payment.process", payFor(randomUUID(), { total: 12.991 }), "INVALID_REQUEST", false), /total/);
  });
  test("UNAVAILABLE without a terminal, and PAYMENT_UNKNOWN while nobody knows", async () => {
    const order_id = randomUUID();
    const deadline = new Date(Date.now() + 6000).toISOString();
    const answers = client.durable("kiosk.agent.payment.process", envelope(payFor(order_id)), { timeout: 30_000, deadline });
    await awaited(order_id);
    await fleet.script("kill", "terminal_sim");
    const unknown = (await answers)[0].payload;
    assertShape(unknown, ERROR);
    assert.deepEqual([unknown.error_code, unknown.retryable], ["PAYMENT_UNKNOWN", false]);
    const other = await client.ask("kiosk.agent.payment.process", payFor(randomUUID()), { timeout: 30_000 });
    assert.deepEqual([other.status, other.error_code, other.retryable, other.amount_charged], ["failed", "UNAVAILABLE", true, 0]);
    await fleet.script("restart", "terminal_sim");
    await eventually("the payment to be settled", async () => {
      const { status } = await client.ask("kiosk.agent.payment.status", { command: "payment_status", order_id });
      return ["failed", "cancelled"].includes(status);
    }, 30_000);
    assert.ok((await fleet.intents()).every(({ key, state }) => key !== order_id || state !== "succeeded"));
  });
});

describe("deadlines and the queue", () => {
  test("an expired command is not run, and leaves the queue", async () => {
    const answers = await client.durable("kiosk.agent.menu.search", envelope({ command: "search", query: "burger" }),
      { timeout: 1500, deadline: new Date(Date.now() - 1000).toISOString() });
    assert.deepEqual(answers, []);
    await client.queueEmpty();
  });
  test("a plain request is handled once, and leaves nothing in the queue", async () => {
    const inbox = nats.createInbox();
    const replies = [];
    const subscription = client.nc.subscribe(inbox, { callback: (_, message) => replies.push(message) });
    client.nc.publish("kiosk.agent.menu.search", JSON.stringify({ payload: { command: "search", query: "cola" } }), { reply: inbox });
    await client.queueEmpty();
    await eventually("the answer", () => replies.length > 0);
    // Behind an answer to a later request on both paths, a second answer would have come.
    await bothPaths("kiosk.agent.menu.search", { command: "search", query: "cola" }, { status: success });
    assert.equal(replies.length, 1);
    subscription.unsubscribe();
  });
});

// Section 10.1's interface, with the specification's own method names.
class NATSAgentBase {
  constructor(login) {
    this.login = login;
    this.sessionId = randomUUID();
    this.received = [];
  }
  async connect() {
    this.nc = await nats.connect(this.login);
    this.js = this.nc.jetstream();
    await this.setupSubscriptions();
  }
  async setupSubscriptions() {
    this.nc.subscribe("kiosk.ui.update", { callback: (_, message) => this.handleMessage(message) });
    this.nc.subscribe("kiosk.session.*", { callback: (_, message) => this.handleMessage(message) });
    await this.nc.flush();
  }
  handleMessage(message) {
    this.received.push({ subject: message.subject, ...message.json() });
  }
  create(payload) {
    // The specification's isoformat() writes microseconds.
    const timestamp = new Date().toISOString().replace("Z", "123Z");
    return { msg_id: randomUUID(), timestamp, session_id: this.sessionId, trace_id: randomUUID(), version: "1.0", payload };
  }
  publish(subject, payload) {
    return this.js.publish(subject, JSON.stringify(this.create(payload)));
  }
  async request(subject, payload, timeout = 5.0) {
    return (await this.nc.request(subject, JSON.stringify(this.create(payload)), { timeout: timeout * 1000 })).json();
  }
}

describe("section 10: integration", () => {
  test("10.1: an agent written to the specification's interface publishes, subscribes and requests", async () => {
    const agent = new NATSAgentBase(fleet.login());
    await agent.connect();
    const { payload, session_id } = await agent.request("kiosk.agent.menu.search", { command: "search", query: "burger" });
    assert.equal(payload.status, "success");
    assert.equal(session_id, agent.sessionId);
    const ack = await agent.publish("kiosk.input.touch", { event: "touch", action: "start" });
    assert.equal(ack.stream, "KIOSK_EVENTS");
    await eventually("a screen and a session", () =>
      agent.received.some(({ subject }) => subject === "kiosk.session.started") && agent.received.some(({ payload }) => payload.layout_mode === "hero_grid"));
    await agent.publish("kiosk.input.touch", { event: "touch", action: "cancel_order" });
    await eventually("the session's end", () => agent.received.some(({ subject }) => subject === "kiosk.session.ended"));
    await agent.nc.close();
  });
  test("10.2: nats pub with a msg_id that is no UUID", async () => {
    const from = kiosk.events.length;
    const before = await client.lastDeadLetter();
    client.nc.publish("kiosk.vision.person_detected", '{"msg_id":"test","payload":{"event":"person_detected"}}');
    await kiosk.sessionEvent("started", from);
    assert.equal(await client.lastDeadLetter(), before);
    await kiosk.touch("cancel_order");
    await kiosk.sessionEvent("ended", from);
  });
  test("10.2: nats sub kiosk.> sees the events", async () => {
    const seen = [];
    const subscription = client.nc.subscribe("kiosk.>", { callback: (_, message) => seen.push(message.subject) });
    await client.nc.flush();
    await kiosk.touch("start");
    await eventually("touch, session and screen", () => ["kiosk.input.touch", "kiosk.session.started", "kiosk.ui.update"].every((subject) => seen.includes(subject)));
    await kiosk.touch("cancel_order");
    subscription.unsubscribe();
  });
  test("10.2: nats req with a bare payload", async () => {
    const answer = await client.raw("kiosk.agent.menu.search", '{"payload":{"command":"search","query":"burger"}}', { timeout: 2000 });
    assertShape(answer, ENVELOPE);
    assertShape(answer.payload, { status: success, items: [ITEM], total_matches: (n) => n > 0 });
  });
  test("10.2: nats reply stands in for a stopped agent", async () => {
    await fleet.script("stop", "menu");
    const foreign = await Client.connect(fleet);
    const stranger = await Kiosk.open(client, "kiosk-foreign");
    let asked = 0;
    try {
      // Without anybody, the screen says so instead of waiting for ever.
      await stranger.touch("search", { query: "anything" });
      await stranger.screen("a notice that the menu is away", (screen) => screen.components.some(({ type }) => type === "Notice") && !component(screen, "ItemGrid")?.loading);
      foreign.nc.subscribe("kiosk.agent.menu.search", {
        callback: (_, message) => {
          ++asked;
          message.respond('{"payload":{"status":"success","items":[]}}');
        },
      });
      foreign.nc.subscribe("kiosk.agent.menu.details", {
        callback: (_, message) => message.respond(JSON.stringify({ payload: { status: "success", item: { id: 777, name: "Stranger's Pie", price: 3.5 } } })),
      });
      await foreign.nc.flush();
      assert.deepEqual(await client.raw("kiosk.agent.menu.search", '{"payload":{"command":"search","query":"burger"}}'), { payload: { status: "success", items: [] } });
      // The orchestrator's own requests are answered by the stranger too.
      await stranger.cart("add", 777, { quantity: 2 });
      await eventually("the stranger's pie in the cart", async () => {
        const { cart } = await stranger.snapshot();
        return cart.lines.length === 1 && cart.lines[0].name === "Stranger's Pie" && cart.total === 7;
      });
      assert.ok(asked > 0);
      await stranger.touch("cancel_order");
      await stranger.layout("attract");
    } finally {
      await foreign.close();
      await fleet.script("restart", "menu");
    }
    assert.equal((await client.ask("kiosk.agent.menu.search", { command: "search", query: "burger" })).status, "success");
    await client.queueEmpty();
  });
});

describe("discovery by the client's own services API", () => {
  const NAMES = ["menu", "recsys", "payment", "hardware", "orchestrator"];
  const collect = async (iterator) => {
    const found = [];
    for await (const one of await iterator) found.push(one);
    return found;
  };
  test("ping, info and stats of every agent", async () => {
    // All answers of a second to the ping; of the others, asked by name, the first.
    const everyone = client.nc.services.client({ maxWait: 1000, strategy: nats.RequestStrategy.Timer });
    const services = client.nc.services.client({ maxWait: 5000, maxMessages: 1, strategy: nats.RequestStrategy.Count });
    const pings = await collect(everyone.ping());
    assert.deepEqual(pings.map(({ name }) => name).sort(), [...NAMES].sort());
    for (const name of NAMES) {
      const [info] = await collect(services.info(name));
      assertShape(info, { type: (t) => t === "io.nats.micro.v1.info_response", id: "string", version: (v) => /^\d+\.\d+\.\d+/.test(v), description: "string", endpoints: [{ name: "string", subject: "string" }] }, name);
      const [stats] = await collect(services.stats(name, info.id));
      assertShape(stats, { type: (t) => t === "io.nats.micro.v1.stats_response", started: "string", endpoints: [{ name: "string", subject: "string", num_requests: "number", num_errors: "number", processing_time: "number", average_processing_time: "number" }] }, name);
    }
    const [{ endpoints }] = await collect(services.stats("menu"));
    assert.ok(endpoints.some(({ subject, num_requests }) => subject.startsWith("kiosk.agent.menu.search") && num_requests > 0), JSON.stringify(endpoints));
  });
  // A field that the protocol leaves to the service: this client hands it on as it is.
  test("stats carry how long everything took", async () => {
    const services = client.nc.services.client({ maxWait: 5000, maxMessages: 1, strategy: nats.RequestStrategy.Count });
    const endpointsOf = async (name) => (await collect(services.stats(name)))[0].endpoints;
    for (const name of NAMES) {
      for (const { name: endpoint, num_requests, data: { latency_ms: { le, buckets, count, sum } } } of await endpointsOf(name)) {
        const what = `${name} ${endpoint}`;
        assert.deepEqual(le, [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2000, 5000, 10000, 30000, 60000], what);
        assert.equal(buckets.length, le.length, what);
        assert.ok(buckets.every((many, index) => Number.isInteger(many) && many >= (buckets[index - 1] ?? 0)) && count >= buckets.at(-1), `${what}: ${buckets} of ${count}`);
        assert.ok(count >= num_requests, `${what}: ${count} of ${num_requests}`);
        assert.ok(count > 0 ? sum > 0 : sum === 0, `${what}: ${sum}`);
      }
    }
    const search = async () => (await endpointsOf("menu")).find(({ name }) => name === "search").data.latency_ms.count;
    const before = await search();
    for (let i = 0; i < 5; i++) assert.equal((await client.ask("kiosk.agent.menu.search", { command: "search", query: "burger" })).status, "success");
    assert.equal(await search(), before + 5);
    // The orchestrator takes events, and tells of them as well.
    const input = async () => (await endpointsOf("orchestrator")).find(({ subject }) => subject === "kiosk.input.>").num_requests;
    const handled = await input();
    await client.event("kiosk.input.touch", { event: "touch", action: "back" });
    await eventually("the touch to be counted", async () => (await input()) === handled + 1);
  });
});

test("nothing died and nothing waits", async () => {
  assert.deepEqual(fleet.dead(), []);
  await client.queueEmpty();
  failed = false;
});
