// A fleet whose agents send their traces to a collector: one trace for each turn of a customer, spoken or touched, with what every
// agent did for it; trace_id in every line of every log; and a collector that hangs, refuses or dies disturbs nobody.
//
//   node tests/trace/trace.test.mjs
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { ALL_AGENTS, BUILD, Client, eventually, Fleet, Kiosk, run } from "../interop/kit.mjs";
import { Collector, uuidOf } from "./collector.mjs";

const NAMES = { menu: "arc-menu", recsys: "arc-recsys", payment: "arc-payment", hardware: "arc-hardware", orchestrator: "arc-orchestrator",
  stt: "arc-stt", brain: "arc-sherlock-brain", tts: "arc-piper-tts", voice: "arc-scarlett-voice" };
const ORDER = "two volcano burgers without onions and a large cola please";
const CLIENT = 3, PRODUCER = 4, CONSUMER = 5;

let fleet, client, collector, kiosk;
let failed = 0;
before(async () => {
  collector = await Collector.start();
  fleet = await Fleet.up("--agents", ALL_AGENTS, "--ready_seconds", "60", "--otlp_endpoint", collector.url, "--flag", "orchestrator=--paid_timeout=60s");
  client = await Client.connect(fleet);
  kiosk = await Kiosk.open(client, "kiosk-001");
});
after(async () => {
  await client?.close();
  await fleet?.down({ failed: failed > 0 });
  await collector?.stop();
});
const checked = (name, body) =>
  test(name, async () => {
    ++failed;
    await body();
    --failed;
  });

// Fields of a message of a trace of its own.
const traced = () => {
  const trace_id = randomUUID();
  return { trace_id, options: { fields: { trace_id } } };
};
const shown = (spans) => spans.map(({ service, name, id, parent }) => `${service}: ${name} (${id} of ${parent})`).join("\n");

// Waits for the spans of a turn that `wanted` [agent, name] names, and checks that all of them are one tree.
async function whole(trace, wanted) {
  const missing = () => wanted.filter(([agent, name]) => !collector.of(trace).some((span) => span.service === NAMES[agent] && (name instanceof RegExp ? name.test(span.name) : span.name === name)));
  await eventually("the turn's spans", () => {
    const spans = collector.of(trace);
    const ids = new Set(spans.map(({ id }) => id));
    return missing().length === 0 && spans.every(({ parent }) => parent === "" || ids.has(parent));
  }, 20_000).catch((error) => {
    throw new Error(`${error.message}: without ${JSON.stringify(missing().map(String))}; there are\n${shown(collector.of(trace))}`);
  });
  const spans = collector.of(trace);
  const ids = new Set(spans.map(({ id }) => id));
  assert.equal(ids.size, spans.length, "two spans with one id");
  const roots = spans.filter(({ parent }) => parent === "");
  assert.deepEqual(roots.map(({ name }) => name), ["turn"], shown(spans));
  for (const span of spans) assert.ok(span.begin <= span.end, span.name);
  return spans;
}
const one = (spans, agent, name) => {
  const found = spans.filter((span) => span.service === NAMES[agent] && span.name === name);
  assert.ok(found.length > 0, `no ${name} of ${agent} in\n${shown(spans)}`);
  return found[0];
};
const parentOf = (spans, span) => spans.find(({ id }) => id === span.parent);

async function linesOf(name) {
  const log = path.join(fleet.dir, "logs", `${name}.log`);
  return fs.readFileSync(log, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

async function speak(text) {
  const file = path.join(fleet.dir, `${randomUUID()}.wav`);
  const done = await run(path.join(BUILD, "bin/arc-tts"), `--say=${text}`, `--out=${file}`);
  assert.equal(done.status, 0, done.stderr);
  const [result] = await fleet.arcctlJson("speak", file);
  return result.turns.at(-1);
}

describe("traces", () => {
  checked("the start of every agent is one", async () => {
    for (const [agent, service] of Object.entries(NAMES)) {
      const start = await eventually(`the start of ${agent}`, () => collector.spans.find((span) => span.service === service && span.name === "start"));
      assert.equal(start.parent, "");
      assert.equal(start.resource["service.namespace"], "arc-kiosk");
      assert.match(start.resource["service.version"], /^\d+\.\d+/);
      const lines = await linesOf(agent);
      assert.ok(lines.some(({ trace_id, msg }) => msg === "serving" && trace_id === uuidOf(start.trace)), `${agent}'s log says which`);
    }
  });

  checked("a touch is one: stored, waited, handled, asked, answered, shown", async () => {
    await kiosk.touch("start");
    await kiosk.screen("a menu", ({ components }) => components.length > 0);
    const search = traced();
    await client.event("kiosk.input.touch", { event: "touch", action: "search", query: "volcano" }, search.options);
    const spans = await whole(search.trace_id, [["orchestrator", "queue kiosk.input.touch"], ["orchestrator", "process kiosk.input.touch"],
      ["orchestrator", "request kiosk.agent.menu.search"], ["orchestrator", "publish kiosk.agent.menu.search"], ["menu", "queue kiosk.agent.menu.search"],
      ["menu", "process kiosk.agent.menu.search"], ["menu", "engine inverted-index"], ["orchestrator", "publish kiosk.ui.update"], ["orchestrator", "turn"]]);
    const [turn, handled, asked, published, waited, answered, engine] = [["orchestrator", "turn"], ["orchestrator", "process kiosk.input.touch"],
      ["orchestrator", "request kiosk.agent.menu.search"], ["orchestrator", "publish kiosk.agent.menu.search"], ["menu", "queue kiosk.agent.menu.search"],
      ["menu", "process kiosk.agent.menu.search"], ["menu", "engine inverted-index"]].map(([agent, name]) => one(spans, agent, name));
    assert.equal(parentOf(spans, handled), turn);
    assert.equal(parentOf(spans, asked), handled);
    assert.equal(parentOf(spans, published), asked);
    assert.equal(parentOf(spans, waited), published);
    assert.equal(parentOf(spans, answered), published);
    assert.equal(parentOf(spans, engine), answered);
    assert.deepEqual([asked.kind, published.kind, answered.kind], [CLIENT, PRODUCER, CONSUMER]);
    assert.ok(waited.end <= answered.begin || waited.end === answered.begin);
    assert.ok(turn.begin <= handled.begin && asked.end <= turn.end, "the turn is as long as what it waits for");
    assert.equal(answered.attributes["messaging.destination.name"], "kiosk.agent.menu.search");
    assert.equal(turn.attributes["kiosk.id"], "kiosk-001");
  });

  let heard;
  checked("a spoken sentence is one, over six agents", async () => {
    const turn = await speak(ORDER);
    heard = turn;
    assert.ok(turn.trace_id, JSON.stringify(turn));
    const spans = await whole(turn.trace_id, [["voice", "turn"], ["voice", "stage endpointing"], ["voice", "stage stt"], ["voice", "stage brain"], ["voice", "stage tts"],
      ["stt", "process agent.stt.request"], ["stt", /^engine pocketsphinx/], ["stt", "publish agent.stt.transcript"],
      ["voice", "request agent.brain.request"], ["brain", "queue agent.brain.request"], ["brain", "process agent.brain.request"], ["brain", "engine rules"],
      ["brain", /^tool menu\./], ["brain", "tool orchestrator.snapshot"], ["menu", /^process kiosk\.agent\.menu\./], ["brain", "publish agent.brain.response"],
      ["voice", "publish kiosk.voice.intent"], ["orchestrator", "process kiosk.voice.intent"], ["orchestrator", "publish kiosk.ui.update"],
      ["tts", "process agent.tts.request"], ["tts", /^engine flite/], ["voice", "process agent.brain.response"]]);
    const tool = one(spans, "brain", "tool orchestrator.snapshot");
    const asked = one(spans, "brain", "request kiosk.agent.orchestrator.snapshot");
    assert.equal(parentOf(spans, tool), one(spans, "brain", "process agent.brain.request"));
    assert.equal(parentOf(spans, asked), tool);
    const root = one(spans, "voice", "turn");
    const sound = one(spans, "tts", "process agent.tts.request");
    assert.ok(root.begin <= sound.begin && sound.begin <= root.end);
    assert.equal(root.attributes["kiosk.outcome"], "answered");
    // Stages follow one another, and the last ends with the turn.
    const stages = ["speech", "endpointing", "stt", "brain", "tts"].map((name) => one(spans, "voice", `stage ${name}`));
    for (let i = 1; i < stages.length; ++i) assert.ok(stages[i - 1].end <= stages[i].begin, `stage ${i}`);
    assert.equal(stages.at(-1).end, root.end);
  });

  checked("a payment is one: the terminal, the printer, and what is learned of it", async () => {
    const checkout = traced();
    await client.event("kiosk.input.touch", { event: "touch", action: "checkout" }, checkout.options);
    await kiosk.layout("checkout");
    const pay = traced();
    await client.event("kiosk.input.touch", { event: "touch", action: "confirm_payment" }, pay.options);
    await eventually("the payment to wait for a card", async () => (await fleet.intents()).some(({ state }) => state === "waiting_for_card"));
    await kiosk.tap("tok_visa");
    await kiosk.layout("paid");
    const spans = await whole(pay.trace_id, [["orchestrator", "request kiosk.agent.payment.process"], ["payment", "process kiosk.agent.payment.process"], ["payment", "terminal create"],
      ["orchestrator", "request kiosk.agent.hardware.print"], ["hardware", "process kiosk.agent.hardware.print"], ["hardware", "engine printer"],
      ["orchestrator", "publish kiosk.session.order_completed"], ["recsys", "process kiosk.session.order_completed"], ["orchestrator", "turn"]]);
    const turn = one(spans, "orchestrator", "turn");
    const charged = one(spans, "payment", "process kiosk.agent.payment.process");
    assert.ok(turn.begin <= charged.begin && charged.end <= turn.end);
    assert.equal(charged.failed, false);
  });

  checked("no span has what a customer said, a card's token, or a password", async () => {
    const passwords = fs.readdirSync(path.join(fleet.dir, "credentials")).filter((name) => name.endsWith(".password"))
      .map((name) => fs.readFileSync(path.join(fleet.dir, "credentials", name), "utf8").trim());
    const everything = JSON.stringify(collector.spans, (key, value) => (typeof value === "bigint" ? String(value) : value));
    for (const secret of ["volcano", "onions", "tok_visa", heard.heard, ...passwords]) {
      assert.ok(!everything.toLowerCase().includes(secret.toLowerCase()), secret);
    }
    assert.deepEqual(collector.problems, []);
  });

  checked("every line of every log has a trace_id, and those of a turn have its", async () => {
    for (const agent of Object.keys(NAMES)) {
      for (const line of await linesOf(agent)) assert.match(line.trace_id, /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/, `${agent}: ${JSON.stringify(line)}`);
    }
    assert.ok((await linesOf("voice")).some(({ msg, trace_id }) => msg === "turn" && trace_id === heard.trace_id));
  });

  checked("a header traceparent of a foreign client is the parent", async () => {
    const [trace, parent] = [randomUUID(), "00f067aa0ba902b7"];
    const header = `00-${trace.replaceAll("-", "")}-${parent}-01`;
    const answer = await client.raw("kiosk.agent.menu.search", { payload: { command: "search", query: "burger" } }, { headers: { traceparent: header } });
    assert.equal(answer.trace_id, trace);
    await eventually("its spans", () => collector.of(trace).some(({ name, parent: of }) => name === "process kiosk.agent.menu.search" && of === parent));
    // Not kept where the header says so.
    const other = randomUUID();
    await client.raw("kiosk.agent.menu.search", { payload: { command: "search", query: "burger" } }, { headers: { traceparent: `00-${other.replaceAll("-", "")}-${parent}-00` } });
    const last = randomUUID();
    await client.raw("kiosk.agent.menu.search", { payload: { command: "search", query: "burger" } }, { headers: { traceparent: `00-${last.replaceAll("-", "")}-${parent}-01` } });
    await eventually("the spans after it", () => collector.of(last).length >= 2);
    assert.deepEqual(collector.of(other), []);
  });
});

const metric = async (agent, outcome) => {
  const text = await (await fetch(`${fleet.facts.agents[agent].http_url}/metrics`)).text();
  return Number(new RegExp(`^kiosk_agent_trace_spans_total\\{.*outcome="${outcome}".*\\} (.+)$`, "m").exec(text)[1]);
};
const searches = async (count) => {
  const begin = performance.now();
  const answers = await Promise.all(Array.from({ length: count }, () => client.ask("kiosk.agent.menu.search", { command: "search", query: "burger" })));
  for (const answer of answers) assert.equal(answer.status, "success");
  return performance.now() - begin;
};

describe("a collector in trouble disturbs nobody", () => {
  for (const [what, behaviour] of [["hangs", "hangs"], ["is overloaded", 503], ["refuses", 400]]) {
    checked(`one that ${what}`, async () => {
      const before = collector.requests;
      collector.behaviour = behaviour;
      await searches(500);
      await eventually("a request to it", () => collector.requests > before);
      await searches(4000);  // more spans than are kept
      assert.equal((await fetch(`${fleet.facts.agents.menu.http_url}/healthz`)).status, 200);
      if (behaviour === 400) await eventually("spans that were refused", async () => (await metric("menu", "failed")) > 0);
      else await eventually("spans that were dropped", async () => (await metric("menu", "dropped")) > 0);
      // What hangs is let go, as a collector that is started again does it.
      for (const socket of collector.sockets) socket.destroy();
      collector.behaviour = "well";
      const trace = randomUUID();
      await eventually("spans to be taken again", async () => {
        await client.raw("kiosk.agent.menu.search", { trace_id: trace, payload: { command: "search", query: "burger" } });
        return collector.of(trace).some(({ service }) => service === NAMES.menu);
      }, 60_000);
    });
  }

  checked("one that is away, also at an agent's end and start", async () => {
    await collector.stop();
    await searches(200);
    const begin = performance.now();
    await fleet.script("restart", "menu");
    await searches(200);
    assert.equal((await fetch(`${fleet.facts.agents.menu.http_url}/healthz`)).status, 200);
    await collector.listen();
    await eventually("the start of the new one", () => collector.spans.filter(({ service, name }) => service === NAMES.menu && name === "start").length === 2, 60_000);
    console.log(`    menu restarted in ${(performance.now() - begin).toFixed(0)} ms, with the collector away`);
  });

  checked("the last spans of an agent that ends are sent", async () => {
    await fleet.script("stop", "recsys");
    await eventually("its drain", () => collector.spans.some(({ service, name }) => service === NAMES.recsys && name === "drain"));
    assert.deepEqual(collector.problems, []);
  });
});
