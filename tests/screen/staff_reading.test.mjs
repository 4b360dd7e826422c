// What the staff console reads out of streams: services/screen/src/staff/stream.ts, letters.ts and day.ts, without a browser and on a
// stand-in for JetStream's API that keeps its messages in an array.
import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { SOURCE } from "../interop/kit.mjs";

const SCREEN = path.join(SOURCE, "services/screen");
const { build } = await import(path.join(SCREEN, "node_modules/esbuild/lib/main.js"));
const { outputFiles: [{ text }] } = await build({
  absWorkingDir: SCREEN, bundle: true, format: "esm", target: "es2022", write: false, logLevel: "warning",
  stdin: { resolveDir: path.join(SCREEN, "src/staff"), contents: ["day", "figures", "letters", "stream"].map((name) => `export * from "./${name}";`).join("\n") },
});
const { consumers, Day, Letters, newest, suggestions, voice } = await import(`data:text/javascript,${encodeURIComponent(text)}`);

const matches = (subject, filter) => new RegExp(`^${filter.replaceAll(".", "\\.").replaceAll("*", "[^.]+").replace(/>$/, ".+")}$`).test(subject);

class Stream {
  asked = 0;
  refusals = 0;
  last = 0;
  messages = new Map();
  link = { peek: () => "online" };
  consumers = [];
  subscribe() {}
  add(subject, body, time = Date.now()) {
    this.messages.set(++this.last, { subject, time, data: JSON.stringify(body) });
    return this.last;
  }
  sorted = (filter = ">") => {
    const state = `${this.last} ${this.messages.size}`;
    if (state !== this.state) this.orders = new Map();
    this.state = state;
    if (!this.orders.has(filter)) this.orders.set(filter, [...this.messages].filter(([, { subject }]) => matches(subject, filter)).map(([seq]) => seq));
    return this.orders.get(filter);
  };
  // The first that fits at or behind `seq`.
  find(seq, filter) {
    const keys = this.sorted(filter);
    let low = 0, high = keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (keys[middle] < seq) low = middle + 1;
      else high = middle;
    }
    return keys[low];
  }
  async ask(subject, data) {
    this.asked++;
    const body = JSON.parse(new TextDecoder().decode(data));
    const answer = (value) => ({ data: new TextEncoder().encode(JSON.stringify(value)) });
    if (subject.startsWith("$JS.API.STREAM.INFO.")) return answer({ state: { first_seq: this.sorted()[0] ?? this.last + 1, last_seq: this.last, messages: this.messages.size } });
    if (subject.startsWith("$JS.API.CONSUMER.LIST.")) return answer({ total: this.consumers.length, offset: body.offset, consumers: this.consumers.slice(body.offset, body.offset + 256) });
    assert.ok(subject.startsWith("$JS.API.STREAM.MSG.GET."), subject);
    if (this.refusals > 0 && this.refusals-- > 0) throw new Error("timeout");
    const seq = body.next_by_subj ? this.find(body.seq, body.next_by_subj) : body.seq;
    const found = this.messages.get(seq);
    if (!found) return answer({ error: { code: 404, description: "no message found" } });
    return answer({ message: { seq, subject: found.subject, time: new Date(found.time).toISOString(), data: Buffer.from(found.data).toString("base64") } });
  }
}

const SUBJECT = "system.deadletter.core.menu";
const letter = { subject: "kiosk.input.touch", agent: "arc-orchestrator", error_code: "INVALID_REQUEST", error: "no", deliveries: 1, headers: [], body: "{}" };
function letters(count, deleted = () => false) {
  const stream = new Stream();
  for (let i = 0; i < count; i++) stream.add(SUBJECT, letter);
  for (let seq = 1; seq <= count; seq++) if (deleted(seq)) stream.messages.delete(seq);
  return stream;
}
const shown = ({ list }) => list.value.map(({ seq }) => seq);

test("the newest that exist are found over gaps of any size", async () => {
  for (const [name, deleted] of Object.entries({
    "none is gone": () => false,
    "the newest are gone": (seq) => seq > 5817,
    "all but one are gone": (seq) => seq !== 3,
    "every other one is gone": (seq) => seq % 2 === 0,
    "few are left, far apart": (seq) => seq % 997 !== 0,
    "islands of 40": (seq) => Math.floor(seq / 40) % 5 !== 0,
    "all are gone": () => true,
  })) {
    const stream = letters(6022, deleted);
    const expected = stream.sorted().slice(-200);
    const found = (await newest(stream, "KIOSK_DEADLETTER", "system.deadletter.>", 1, 6023, 200)).map(({ seq }) => seq);
    assert.deepEqual(found, expected, name);
    assert.ok(stream.asked < 1500, `${name}: ${stream.asked} questions`);
  }
});

test("dead letters whose newest were deleted are there, and older ones by a button", async () => {
  const stream = letters(6022, (seq) => seq > 5817);
  const console = new Letters(stream, "staff");
  await console.look();
  assert.equal(console.total.value, 5817);
  assert.deepEqual(shown(console), stream.sorted().slice(-200).reverse());
  // One that comes takes the place of the oldest; one that goes makes place.
  stream.add(SUBJECT, letter);
  await console.look();
  assert.equal(shown(console)[0], 6023);
  assert.deepEqual(shown(console), stream.sorted().slice(-200).reverse());
  for (const seq of [6023, 5817, 5700]) stream.messages.delete(seq);
  await console.look();
  assert.deepEqual(shown(console), stream.sorted().slice(-200).reverse());
  assert.equal(console.total.value, 5815);
  console.older();
  await console.look();
  await console.look();
  assert.deepEqual(shown(console), stream.sorted().slice(-400).reverse());
  // What is as it was is not read again.
  const asked = stream.asked;
  await console.look();
  assert.equal(stream.asked, asked + 1);
  // More come at once than are shown.
  for (let i = 0; i < 1000; i++) stream.add(SUBJECT, letter);
  await console.look();
  assert.deepEqual(shown(console), stream.sorted().slice(-400).reverse());
  stream.messages.clear();
  await console.look();
  assert.deepEqual([shown(console), console.total.value], [[], 0]);
  console.stop();
});

// A letter of whoever is given such messages.
const letterOf = (subject) => {
  const service = subject.startsWith("kiosk.hardware.") ? "hardware" : subject.split(".")[2];
  return { subject, source: `system.deadletter.${subject.startsWith("kiosk.input.") ? "KIOSK_EVENTS.orchestrator-input" : `KIOSK_COMMANDS.${service}-agent`}-consumer` };
};

test("what the staff may not repeat is known before it is tried", () => {
  const staff = new Letters(new Stream(), "staff"), operator = new Letters(new Stream(), "operator");
  for (const subject of ["kiosk.agent.menu.set_availability", "kiosk.agent.hardware.print.kiosk-007", "kiosk.agent.payment.refund", "kiosk.agent.orchestrator.snapshot"]) assert.ok(staff.mayReplay(letterOf(subject)), subject);
  for (const subject of ["kiosk.input.touch", "kiosk.agent.payment.process", "kiosk.agent.payment.refund.x", "kiosk.agent.recsys.suggest", "kiosk.hardware.print"]) {
    assert.ok(!staff.mayReplay(letterOf(subject)), subject);
    assert.ok(operator.mayReplay(letterOf(subject)), subject);
  }
});

test("nobody repeats what its writer is not given: a letter is its writer's word", () => {
  const operator = new Letters(new Stream(), "operator");
  for (const [subject, source] of [
    ["kiosk.agent.payment.refund", "system.deadletter.core.arc-vision_bridge"],
    ["kiosk.agent.payment.refund", "system.deadletter.KIOSK_COMMANDS.menu-agent-consumer"],
    ["kiosk.input.touch", "system.deadletter.KIOSK_COMMANDS.menu-agent-consumer"],
    ["kiosk.agent.payment.refund", "system.deadletter.KIOSK_EVENTS.orchestrator-input-consumer"],
  ]) assert.ok(!operator.mayReplay({ subject, source }), `${subject} of ${source}`);
  assert.ok(operator.mayReplay({ subject: "kiosk.agent.payment.refund", source: "system.deadletter.core.arc-payment" }));
});

const component = (type, data) => ({ type, data });
const screen = (session, { offers = [], cart }) => ({
  session_id: session,
  payload: {
    event: "ui_update", layout_mode: "cart",
    components: [...(cart ? [component("CartLines", { lines: cart.map(([item_id, quantity]) => ({ item_id, quantity })) })] : []), ...(offers.length > 0 ? [component("Upsell", { suggestions: offers.map((item_id) => ({ item_id })) })] : [])],
  },
});
const gaze = (stream, times) => {
  for (let i = 0; i < times; i++) stream.add("kiosk.vision.gaze", { payload: {} });
};

test("the day's suggestions and intents count whatever lies between them", async () => {
  const stream = new Stream();
  stream.add("kiosk.ui.update", screen("long ago", { offers: [1] }), Date.now() - 25 * 3600_000);
  for (let i = 0; i < 19; i++) {
    stream.add("kiosk.ui.update.kiosk-007", screen(`s${i}`, { cart: [[101, 1]], offers: [7, 8] }));
    stream.add("kiosk.input.touch", { session_id: `s${i}`, payload: { action: "suggested_action", label: "Add 7" } });
    gaze(stream, 300);
  }
  // Touched by all; in the cart of one.
  stream.add("kiosk.ui.update", screen("s0", { cart: [[101, 1], [7, 1]], offers: [8] }));
  // More of what was not offered is no suggestion taken.
  stream.add("kiosk.ui.update", screen("s1", { cart: [[101, 2]] }));
  // Offered where no cart is shown, and there before.
  stream.add("kiosk.ui.update", screen("s3", { cart: [[101, 1], [9, 1]] }));
  stream.add("kiosk.ui.update", screen("s3", { offers: [9] }));
  stream.add("kiosk.ui.update", screen("s3", { cart: [[101, 1], [9, 1]] }));
  for (const intent_type of ["add_to_cart", "unknown", "help"]) stream.add("kiosk.voice.intent", { payload: { intent_type } });
  stream.add("kiosk.voice.intent.kiosk-007", { payload: { intent_type: "checkout" } });
  gaze(stream, 5000);
  const day = new Day(stream);
  // A question without an answer costs nothing but time.
  stream.refusals = 16;
  await assert.rejects(day.look(), /timeout/);
  assert.equal(day.progress.value, 0);
  await day.look();
  assert.deepEqual(suggestions(day.screens.value), { offered: 19, taken: 1 });
  assert.deepEqual(voice(day.said.value), { all: 4, good: 3 });
  assert.equal(day.progress.value, 1);
  assert.equal(day.since.value, undefined);
  // What comes later counts, too, and nothing counts twice.
  stream.add("kiosk.ui.update", screen("s2", { cart: [[101, 1], [8, 2]] }));
  await day.look();
  await day.look();
  assert.deepEqual(suggestions(day.screens.value), { offered: 19, taken: 2 });
  assert.deepEqual(voice(day.said.value), { all: 4, good: 3 });
});

test("of more than the bound the newest are read, and it says since when", async () => {
  const stream = new Stream();
  const bound = 4_000;
  const begin = Date.now() - 3600_000;
  for (let i = 0; i < bound + 20_000; i++) stream.add("kiosk.voice.intent", { payload: { intent_type: i < 5_000 ? "unknown" : "help" } }, begin + i * 10);
  const day = new Day(stream, bound);
  await day.look();
  const { all, good } = voice(day.said.value);
  assert.ok(all >= bound && all < bound + 16 * 500, all);
  assert.equal(good, all);
  assert.equal(day.progress.value, 1);
  assert.equal(day.since.value, day.said.value[0].time);
  assert.equal(day.said.value.at(-1).seq, stream.last);
  stream.add("kiosk.voice.intent", { payload: { intent_type: "help" } });
  await day.look();
  assert.equal(voice(day.said.value).all, all + 1);
});

test("consumers come in pages", async () => {
  const stream = new Stream();
  stream.consumers = Array.from({ length: 600 }, (_, index) => ({ name: `hardware-agent-consumer-kiosk-${index}` }));
  assert.equal((await consumers(stream, "KIOSK_COMMANDS")).length, 600);
});
