// What no client should send, to every subject and on both command paths: a request always gets an answer that names what is
// wrong, an event is handled or becomes a dead letter, and an order works afterwards.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { Client, component, envelope, eventually, Fleet, Kiosk, nats, notices } from "./kit.mjs";

// Every command: a payload that is accepted, and its fields. A field's kind says which values are wrong for it; "!" marks a
// field that must be there. The field's name has to stand in the error message.
const LINES = [{ item_id: 101, name: "Volcano Burger", qty: 1, price: 12.99 }];
const COMMANDS = {
  "kiosk.agent.menu.search": [{ command: "search", query: "burger" }, { query: "text", tags: "texts", dietary_filters: "texts", exclude_allergens: "texts", limit: "count" }],
  "kiosk.agent.menu.details": [{ command: "get_details", item_id: 101 }, { item_id: "id!" }],
  "kiosk.agent.menu.list": [{ command: "list", category: "drinks" }, { category: "text" }],
  "kiosk.agent.menu.set_availability": [{ command: "set_availability", item_id: 101, available: true }, { item_id: "id!", available: "flag!" }],
  "kiosk.agent.recsys.suggest": [{ command: "suggest", cart: [{ item_id: 101, quantity: 1 }], context: { time_of_day: "lunch" } },
    { cart: "list", "cart.0.item_id": "id!", "cart.0.quantity": "count", context: "object", "context.weather": "text", "context.party_size": "natural", limit: "count" }],
  "kiosk.agent.payment.process": [{ command: "process_payment", order_id: "o", total: 12.99, items: LINES },
    { order_id: "text!", total: "money!", items: "list!", "items.0.item_id": "id!", "items.0.name": "text!", "items.0.qty": "count!", "items.0.price": "money!", loyalty_card: "text" }],
  "kiosk.agent.payment.status": [{ command: "payment_status", order_id: "nobody's" }, { order_id: "text!" }],
  "kiosk.agent.payment.cancel": [{ command: "cancel_payment", order_id: "nobody's" }, { order_id: "text!" }],
  "kiosk.agent.payment.refund": [{ command: "refund_payment", order_id: "nobody's" }, { order_id: "text!", amount: "money", refund_id: "text" }],
  "kiosk.agent.hardware.led": [{ command: "set_led", color: "#102030", pattern: "solid", duration_ms: 10 }, { color: "text!", pattern: "word", duration_ms: "natural" }],
  "kiosk.agent.hardware.print": [{ command: "print_receipt", order_id: "o", items: LINES, total: 12.99 },
    { order_id: "text!", total: "money!", items: "list!", "items.0.name": "text!", "items.0.qty": "count", "items.0.price": "money", transaction_id: "text" }],
  "kiosk.agent.hardware.status": [{ command: "hardware_status" }, {}],
  "kiosk.agent.orchestrator.snapshot": [{ command: "snapshot" }, { kiosk_id: "text" }],
};
COMMANDS["kiosk.hardware.led"] = COMMANDS["kiosk.agent.hardware.led"];
COMMANDS["kiosk.hardware.print"] = COMMANDS["kiosk.agent.hardware.print"];

// Every event that somebody consumes.
const EVENTS = {
  "kiosk.vision.person_detected": [{ event: "person_detected" }, { confidence: "share", bounding_box: "object", face_detected: "flag", estimated_age_group: "text", estimated_party_size: "natural" }],
  "kiosk.vision.person_left": [{ event: "person_left" }, { duration_seconds: "natural number" }],
  "kiosk.vision.gaze_detected": [{ event: "gaze_detected", looking_at_screen: false }, { looking_at_screen: "flag!", gaze_point: "object" }],
  "kiosk.voice.speech_start": [{ event: "speech_start" }, {}],
  "kiosk.voice.transcript": [{ event: "transcript", text: "hello" }, { text: "text!", confidence: "share", language: "text", is_final: "flag" }],
  "kiosk.voice.intent": [{ event: "intent", intent_type: "greet", entities: { items: [{ item_id: 101 }] } },
    { intent_type: "word!", entities: "object", "entities.item": "text", "entities.modifiers": "texts", "entities.items": "list", "entities.items.0.item_id": "id!", raw_text: "text", confidence: "share" }],
  "kiosk.input.touch": [{ event: "touch", action: "keep_going" }, { action: "word!", item_id: "id", component: "text", category: "text", query: "text", label: "text", customizations: "texts", note: "text" }],
  "kiosk.input.cart_action": [{ event: "cart_action", action: "remove", item_id: 999 }, { action: "word!", item_id: "id!", quantity: "natural", customizations: "texts", note: "text" }],
  "kiosk.input.text": [{ event: "text", text: "hello" }, { text: "text!" }],
  "kiosk.input.card": [{ event: "card", action: "tap", token: "tok_visa" }, { action: "word", token: "text!", order_id: "text" }],
  "kiosk.session.order_completed": [
    { event: "order_completed", order_id: "o", lines: [{ item_id: 101, quantity: 1 }], total: 1, payment: { transaction_id: "t", amount_charged: 1 } },
    { order_id: "text!", lines: "list!", "lines.0.item_id": "id!", "lines.0.quantity": "count!", total: "number!", payment: "object!", context: "object" }],
};

// Every event that the orchestrator writes and only screens and monitors read.
const WRITTEN = {
  "kiosk.session.started": [{ event: "session_started", kiosk_id: "kiosk-bad" }, { kiosk_id: "text!" }],
  "kiosk.session.ended": [{ event: "session_ended", reason: "timeout", duration_seconds: 1 }, { reason: "word!", duration_seconds: "natural number!" }],
  "kiosk.ui.update": [
    { event: "ui_update", layout_mode: "attract", theme_override: null, components: [{ type: "HeroItem", data: { id: 101 } }], suggested_actions: [] },
    { layout_mode: "text!", theme_override: "text", components: "list!", "components.0.type": "text!", suggested_actions: "texts!" }],
};

const WRONG = {
  text: [5, true, [], {}, "a\0b", "x".repeat(100_000)],
  word: [5, true, [], {}, "nonsense"],
  texts: ["x", 5, true, {}, [5], [null], [["x"]]],
  id: ["x", "101", true, [], {}, 1.5, 0, -1, 1e16, 2 ** 63, 1e308],
  count: ["x", true, [], {}, 1.5, 0, -1, 1e15, 1e308],
  natural: ["x", true, [], {}, 1.5, -1, 1e15, 1e308],
  "natural number": ["x", true, [], {}, -1, 1e308],
  share: ["x", true, [], {}, -0.1, 1.1, 1e308],
  number: ["x", true, [], {}],
  money: ["12.99", true, [], {}, -0.01, 1e15, 1e308],
  flag: ["true", 1, [], {}],
  list: ["x", 5, true, {}, ["x"], [5], [null], [{}], [[]]],
  object: ["x", 5, true, []],
};

const copyWith = (payload, at, change) => {
  const copy = structuredClone(payload);
  const names = at.split(".");
  const last = names.pop();
  change(names.reduce((value, name) => (value[name] ??= {}), copy), last);
  return copy;
};

const nested = (levels) => (levels === 0 ? 1 : [nested(levels - 1)]);
const bytes = (body) => (body instanceof Uint8Array ? body : Buffer.from(typeof body === "string" ? body : JSON.stringify(body)));

// [what is wrong, the body, what the error has to say]
function* badBodies(kind, payload, fields) {
  const good = JSON.stringify(envelope(payload));
  yield ["nothing", "", /empty/];
  yield ["not JSON", "burger, please", /not JSON/];
  yield ["half a message", good.slice(0, good.length / 2), /not JSON/];
  yield ["two messages", good + good, /not JSON/];
  yield ["a number beyond a double", good.replace('"payload":{', '"payload":{"huge":1e400,'), /not JSON/];
  for (const other of ["[]", '"text"', "42", "null", "true"]) yield [other, other, /object/];
  for (const other of [undefined, null, [], "x", 5, true]) yield [`the payload ${JSON.stringify(other)}`, { ...envelope(payload), payload: other }, /payload/];
  for (const field of ["msg_id", "session_id", "trace_id"]) yield [`the ${field} 5`, { ...envelope(payload), [field]: 5 }, new RegExp(field)];
  yield ["33 levels", envelope({ ...payload, deep: nested(31) }), /deeper than 32/];
  yield ["ten thousand levels", `{"payload":${"[".repeat(10_000)}${"]".repeat(10_000)}}`, /deeper than 32/];
  yield ["a NUL byte", Buffer.concat([Buffer.from(good.slice(0, -1)), Buffer.from([0]), Buffer.from("}")]), /NUL/];
  yield ["invalid UTF-8", Buffer.from(good.replace('"payload":{', '"payload":{"name":"\xff\xfe",'), "latin1"), /not JSON/];
  yield ["half a surrogate pair", good.replace('"payload":{', '"payload":{"name":"\\ud800",'), /not JSON/];
  yield [`an unknown ${kind}`, envelope({ ...payload, [kind]: "dance" }), new RegExp(kind)];
  yield [`the ${kind} 5`, envelope({ ...payload, [kind]: 5 }), new RegExp(kind)];
  for (const [at, marked] of Object.entries(fields)) {
    const name = at.split(".").filter((part) => !/^\d+$/.test(part)).at(-1);
    const required = marked.endsWith("!");
    if (required) yield [`no ${at}`, envelope(copyWith(payload, at, (object, last) => delete object[last])), new RegExp(name)];
    for (const value of WRONG[marked.replace("!", "")]) {
      const shown = JSON.stringify(value);
      yield [`${at}: ${shown.length > 60 ? `${shown.length} bytes` : shown}`, envelope(copyWith(payload, at, (object, last) => (object[last] = value))), new RegExp(name)];
    }
  }
}

// [what is unusual, the body]: still the same message
function* oddBodies(payload) {
  yield ["a bare payload", { payload }];
  yield ["unknown fields", { ...envelope({ ...payload, unknown: { a: [1, null, "x"] } }), more: true }];
  yield ["32 levels", envelope({ ...payload, deep: nested(30) })];
  yield ["nearly 1 MB", envelope({ ...payload, padding: "x".repeat(1_040_000) })];
  yield ["whitespace around", `\n\t ${JSON.stringify(envelope(payload))} \r\n`];
  yield ["an old timestamp and a strange version", envelope(payload, { timestamp: "2025-12-14T13:30:00Z", version: "0.9" })];
}

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

// Each of these as a failure of its own line, so that one run shows them all.
async function all(cases, check) {
  const problems = [];
  let next = 0;
  const worker = async () => {
    while (next < cases.length) {
      const one = cases[next++];
      try {
        await check(...one);
      } catch (error) {
        problems.push(`${one[0]}: ${error.message.split("\n")[0]}`);
      }
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  assert.equal(problems.length, 0, `${problems.length} of ${cases.length}:\n${problems.join("\n")}`);
}

describe("commands", () => {
  for (const [subject, [payload, fields]] of Object.entries(COMMANDS)) {
    test(subject, async () => {
      const before = await client.lastDeadLetter();
      let durable = 0;
      await all([...badBodies("command", payload, fields)], async (_, body, says) => {
        const refusal = (answer) => {
          assert.ok(answer, "no answer");
          const { status, error_code, error_message, retryable } = answer.payload;
          assert.deepEqual([status, error_code, retryable], ["error", "INVALID_REQUEST", false], JSON.stringify(answer.payload));
          assert.match(error_message, says);
          return error_message;
        };
        const plain = refusal(await client.raw(subject, bytes(body), { timeout: 10_000 }));
        const [answer] = await client.durable(subject, bytes(body), { timeout: 10_000 });
        ++durable;
        assert.equal(refusal(answer), plain);
      });
      // On the durable path nothing is dropped without a trace.
      await eventually(`${durable} dead letters`, async () => (await client.lastDeadLetter()) - before >= durable);
      const letters = await client.deadLetters(before);
      assert.equal(letters.length, durable);
      for (const letter of letters) {
        assert.equal(letter.error_code, "INVALID_REQUEST");
        assert.equal(letter.subject, subject);
      }
      // What is only unusual is answered as the message itself is. Orders need an id of their own each.
      const verdictOn = async (body) => {
        const order_id = randomUUID();
        const own = bytes(body).toString().replace('"order_id":"o"', `"order_id":"${order_id}"`);
        const asked = client.raw(subject, own, { timeout: 20_000 });
        if (subject === "kiosk.agent.payment.process") {
          await eventually("the terminal to await a card", async () => (await fleet.intents()).some(({ key, state }) => key === order_id && state === "waiting_for_card"));
          await client.event("kiosk.input.card", { event: "card", action: "tap", token: "tok_mastercard", order_id });
        }
        const { status, error_code } = (await asked).payload;
        return [status, error_code];
      };
      const verdict = await verdictOn(envelope(payload));
      if (payload.order_id !== "nobody's") assert.deepEqual(verdict, ["success", undefined]);
      for (const [what, body] of oddBodies(payload)) assert.deepEqual(await verdictOn(body), verdict, what);
    });
  }

  test("unknown commands are refused by the agent whose they would be", async () => {
    for (const agent of ["menu", "recsys", "payment", "hardware", "orchestrator"]) {
      const subject = `kiosk.agent.${agent}.dance`;
      const { payload } = await client.raw(subject, envelope({ command: "dance" }));
      assert.deepEqual([payload.status, payload.error_code], ["error", "INVALID_REQUEST"], subject);
      const [answer] = await client.durable(subject, envelope({ command: "dance" }));
      assert.equal(answer?.payload.error_code, "INVALID_REQUEST", subject);
    }
  });

  test("unknown ids are answers, not failures", async () => {
    for (const item_id of [1, 999_999, 2 ** 31, 999_999_999]) {
      assert.equal((await client.ask("kiosk.agent.menu.details", { command: "get_details", item_id })).error_code, "MENU_NOT_FOUND");
      assert.equal((await client.ask("kiosk.agent.menu.set_availability", { command: "set_availability", item_id, available: true })).error_code, "MENU_NOT_FOUND");
      assert.equal((await client.ask("kiosk.agent.recsys.suggest", { command: "suggest", cart: [{ item_id, quantity: 1 }] })).status, "success");
    }
    assert.equal((await client.ask("kiosk.agent.menu.list", { command: "list", category: "nowhere" })).error_code, "MENU_NOT_FOUND");
    assert.equal((await client.ask("kiosk.agent.payment.status", { command: "payment_status", order_id: randomUUID() })).status, "none");
    assert.equal((await client.ask("kiosk.agent.orchestrator.snapshot", { command: "snapshot", kiosk_id: "nobody" })).state, "attract");
  });

  test("headers that make no sense", async () => {
    const search = envelope({ command: "search", query: "burger" });
    const refusal = async (headers) => {
      const { payload } = await client.raw("kiosk.agent.menu.search", search, { headers });
      assert.equal(payload.error_code, "INVALID_REQUEST", JSON.stringify(headers));
      return payload.error_message;
    };
    for (const deadline of ["yesterday", "2025-13-40T99:00:00Z", "17000000000"]) assert.match(await refusal({ "Kiosk-Deadline": deadline }), /Kiosk-Deadline/);
    for (const id of ["a b", "x.y", "*", "x".repeat(65)]) assert.match(await refusal({ "Kiosk-Id": id }), /Kiosk-Id/);
    for (const traceparent of ["garbage", "00-00000000000000000000000000000000-0000000000000000-00", "x".repeat(10_000)]) {
      assert.equal((await client.raw("kiosk.agent.menu.search", search, { headers: { traceparent } })).payload.status, "success");
    }
    // An answer that went to one of the fleet's own subjects would be a message to an agent.
    for (const inbox of ["kiosk.agent.menu.search", "kiosk.input.touch", "system.health.heartbeat", "$JS.API.STREAM.DELETE.KIOSK_EVENTS", "agent.stt.request"]) {
      const before = await client.lastDeadLetter();
      client.nc.publish("kiosk.agent.menu.search", JSON.stringify(search), { headers: headersWith("Kiosk-Reply-To", inbox) });
      await eventually("a dead letter", async () => (await client.lastDeadLetter()) > before);
    }
    assert.equal((await client.jsm.streams.info("KIOSK_EVENTS")).config.name, "KIOSK_EVENTS");
    // An expired deadline on either path: the work is not begun.
    const expired = new Date(Date.now() - 1000).toISOString();
    assert.deepEqual(await client.durable("kiosk.agent.menu.search", search, { timeout: 500, deadline: expired }), []);
  });

  test("garbage that asks for no answer is a dead letter of its agent", async () => {
    for (const agent of ["menu", "recsys", "payment", "hardware", "orchestrator"]) {
      const before = await client.lastDeadLetter();
      client.nc.publish(`kiosk.agent.${agent}.dance`, "garbage");
      await eventually(`a dead letter of ${agent}`, async () => (await client.deadLetters(before)).some(({ to, body }) => to === `system.deadletter.core.arc-${agent}` && body === "garbage"));
    }
  });

  test("ids are text, not paths or patterns", async () => {
    for (const order_id of ["../../etc/passwd", "a.b.>", "*", "é ☃", "line\nbreak", "\u001b@", "x".repeat(128)]) {
      const print = { command: "print_receipt", order_id, items: [{ item_id: 101, name: "\u001b@\u001dVcut", qty: 1, price: 1 }], total: 1 };
      assert.deepEqual(await client.ask("kiosk.agent.hardware.print", print), { status: "success", order_id, already_printed: false });
      assert.deepEqual(await client.ask("kiosk.agent.hardware.print", print), { status: "success", order_id, already_printed: true });
      assert.equal((await client.ask("kiosk.agent.payment.status", { command: "payment_status", order_id })).status, "none");
    }
    for (const file of ["../../etc/passwd", "%2e%2e%2fx.pdf", "%00.pdf", "txn-none.pdf", ""]) {
      assert.equal((await fetch(`${fleet.facts.agents.payment.http_url}/receipts/${file}`)).status, 404, file);
    }
  });

  test("the same command fifty times at once: fifty answers, one effect", async () => {
    const order_id = randomUUID();
    const print = envelope({ command: "print_receipt", order_id, items: LINES, total: 12.99 });
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) =>
      index % 2 ? client.raw("kiosk.agent.hardware.print", print, { timeout: 20_000 }) : client.durable("kiosk.agent.hardware.print", print, { timeout: 20_000, idempotencyKey: order_id }).then(([answer]) => answer)));
    for (const answer of answers) assert.equal(answer?.payload.status, "success", JSON.stringify(answer));
    assert.equal((await fleet.receipts()).split(`Order ${order_id}`).length - 1, 1);
    const other = await client.ask("kiosk.agent.hardware.print", { command: "print_receipt", order_id, items: LINES, total: 13.99 });
    assert.equal(other.error_code, "INVALID_REQUEST");
  });

  test("the queue is empty", () => client.queueEmpty());
});

function headersWith(name, value) {
  const headers = nats.headers();
  headers.set(name, value);
  return headers;
}

describe("events", () => {
  // Stores bodies and gives the dead letter of each, or undefined.
  async function lettersOf(subject, bodies, headers = {}) {
    const before = await client.lastDeadLetter();
    const sequences = [];
    for (const body of bodies) sequences.push((await client.store(subject, bytes(body), { headers: { "Kiosk-Id": "kiosk-bad", ...headers } })).seq);
    await client.eventsApplied();
    await eventually("recsys to read completed orders", async () => {
      const { num_pending, num_ack_pending } = await client.jsm.consumers.info("KIOSK_EVENTS", "recsys-orders-consumer");
      return num_pending + num_ack_pending === 0;
    });
    const letters = new Map((await client.deadLetters(before)).map((letter) => [letter.stream_seq, letter]));
    return sequences.map((sequence) => letters.get(sequence));
  }

  for (const [subject, [payload, fields]] of Object.entries(EVENTS)) {
    test(subject, async () => {
      const cases = [...badBodies("event", payload, fields)];
      const letters = await lettersOf(subject, cases.map(([, body]) => body));
      const problems = [];
      for (const [index, [what, body, says]] of cases.entries()) {
        const letter = letters[index];
        if (!letter) problems.push(`${what}: no dead letter`);
        else if (letter.error_code !== "INVALID_REQUEST" || !says.test(letter.error)) problems.push(`${what}: ${letter.error_code} ${letter.error}`);
        else if (letter.subject !== subject || letter.stream !== "KIOSK_EVENTS" || letter.body_bytes !== bytes(body).length) problems.push(`${what}: ${JSON.stringify(letter).slice(0, 300)}`);
      }
      assert.equal(problems.length, 0, `${problems.length} of ${cases.length}:\n${problems.join("\n")}`);
      const odd = [...oddBodies(payload)];
      const refused = (await lettersOf(subject, odd.map(([, body]) => body))).map((letter, index) => letter && `${odd[index][0]}: ${letter.error}`);
      assert.deepEqual(refused.filter(Boolean), []);
    });
  }

  for (const [subject, [payload, fields]] of Object.entries(WRITTEN)) {
    test(`${subject}, which the orchestrator writes`, async () => {
      const before = await client.lastDeadLetter();
      const scoped = `${subject}${subject === "kiosk.ui.update" ? ".kiosk-bad" : ""}`;
      const cases = [...badBodies("event", payload, fields)];
      for (const [, body] of oddBodies(payload)) await client.store(scoped, bytes(body));
      for (const [, body] of cases) await client.store(scoped, bytes(body));
      await eventually(`${cases.length} dead letters`, async () => (await client.lastDeadLetter()) - before >= cases.length);
      const letters = await client.deadLetters(before);
      const problems = cases.flatMap(([what, body, says], index) => {
        const { to, subject: from, body_bytes, error_code, error } = letters[index];
        const right = to === "system.deadletter.core.arc-orchestrator" && from === scoped && body_bytes === bytes(body).length && error_code === "INVALID_REQUEST" && says.test(error);
        return right ? [] : [`${what}: ${JSON.stringify(letters[index]).slice(0, 300)}`];
      });
      assert.equal(problems.length, 0, `${problems.length} of ${cases.length}:\n${problems.join("\n")}`);
      assert.equal(letters.length, cases.length);
    });
  }

  test("subjects that no event has", async () => {
    for (const subject of ["kiosk.input.dance", "kiosk.vision.dance", "kiosk.voice.dance", "kiosk.input.touch.a.b"]) {
      const [letter] = await lettersOf(subject, [envelope({ event: "dance" })]);
      assert.ok(letter, `${subject}: no dead letter`);
    }
    for (const id of ["a b", "x".repeat(65), "../etc", "a*", "ä"]) {
      const [letter] = await lettersOf("kiosk.input.touch", [envelope({ event: "touch", action: "start" })], { "Kiosk-Id": id });
      assert.ok(letter, `the kiosk ${id}: no dead letter`);
    }
  });

  test("one event twice, under two Nats-Msg-Ids: applied once", async () => {
    const kiosk = await Kiosk.open(client, "kiosk-twice");
    const add = envelope({ event: "cart_action", action: "add", item_id: 101, quantity: 2 });
    for (let copy = 0; copy < 5; ++copy) await client.store("kiosk.input.cart_action", add, { headers: { "Kiosk-Id": kiosk.id, "Nats-Msg-Id": randomUUID() } });
    await kiosk.cart("add", 201);
    const { cart } = await eventually("the later addition", async () => {
      const snapshot = await kiosk.snapshot();
      return snapshot.cart.lines.some(({ item_id }) => item_id === 201) && snapshot;
    });
    assert.deepEqual(cart.lines.map(({ item_id, quantity }) => [item_id, quantity]), [[101, 2], [201, 1]]);
  });

  test("what cannot be had is said on the screen", async () => {
    const kiosk = await Kiosk.open(client, "kiosk-odd");
    for (const [send, code] of [
      [() => kiosk.cart("add", 999_999), "MENU_NOT_FOUND"],
      [() => kiosk.cart("add", 101, { customizations: ["Gold leaf"] }), "INVALID_CUSTOMIZATION"],
      [() => kiosk.cart("add", 101, { quantity: 0 }), "INVALID_REQUEST"],
      [() => kiosk.cart("remove", 101), "NOT_IN_CART"],
      [() => kiosk.cart("update_qty", 101), "INVALID_REQUEST"],
      [() => kiosk.touch("select_item"), "INVALID_REQUEST"],
      [() => kiosk.touch("browse_category", { category: "nowhere" }), "MENU_NOT_FOUND"],
      [() => kiosk.touch("checkout"), "CART_EMPTY"],
    ]) {
      await send();
      await kiosk.screen(`the notice ${code}`, (screen) => notices(screen).includes(code));
    }
    for (const touch of ["confirm_payment", "done", "back", "keep_going", "suggested_action"]) await kiosk.touch(touch);
    await kiosk.touch("cancel_order");
    await kiosk.layout("attract");
  });
});

test("afterwards nothing has died, nothing waits, and an order works", async () => {
  assert.deepEqual(fleet.dead(), []);
  const kiosk = await Kiosk.open(client, "kiosk-001");
  await kiosk.cart("add", 101, { quantity: 2 });
  await kiosk.touch("checkout");
  await kiosk.screen("a checked order", (screen) => component(screen, "OrderSummary")?.verified);
  await kiosk.touch("confirm_payment");
  const { order_id } = component(await kiosk.screen("a payment", (screen) => component(screen, "PaymentPrompt")), "PaymentPrompt");
  await eventually("the terminal to await a card", async () => (await fleet.intents()).some(({ key, state }) => key === order_id && state === "waiting_for_card"));
  await kiosk.tap("tok_visa", { order_id });
  await kiosk.screen("a printed receipt", (screen) => component(screen, "Receipt")?.print === "printed");
  await client.queueEmpty();
  await client.eventsApplied();
  const doctor = await fleet.arcctl("doctor");
  assert.match(doctor.stdout + doctor.stderr, /dead letters wait/);
  for (const [name, { http_url }] of Object.entries(fleet.facts.agents)) assert.equal((await fetch(`${http_url}/healthz`)).status, 200, name);
  failed = false;
});
