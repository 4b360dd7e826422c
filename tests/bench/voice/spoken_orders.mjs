// Whole spoken orders against a fleet of its own: how many are in the cart as they were meant at the first try, and
// how long after the last word the answer begins to sound, stage by stage.
//
//   node tests/bench/voice/spoken_orders.mjs [--voices flite:slt,espeak:en-us] [--orders N] [--json]
//
// Each order is one recording, spoken into the microphone of a kiosk that nobody has used, in real time. An order is
// right when the cart holds just what was meant: dishes, numbers, customisations.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { ALL_AGENTS, Client, Fleet, Kiosk, run } from "../../interop/kit.mjs";

const ORDERS = [
  ["two volcano burgers without onions and a large cola please", [[101, 2, ["No Onions"]], [201, 1, ["Large"]]]],
  ["a classic cheeseburger with extra cheese please", [[103, 1, ["Extra Cheese"]]]],
  ["i'd like one volcano burger and classic fries please", [[101, 1, []], [401, 1, []]]],
  ["three garlic breads and a caesar salad please", [[411, 3, []], [501, 1, []]]],
  ["can i get a halloumi burger and onion rings please", [[115, 1, []], [405, 1, []]]],
  ["two chicken nuggets and an iced cola please", [[407, 2, []], [201, 1, []]]],
  ["a double cheeseburger with no pickles please", [[104, 1, ["No Pickles"]]]],
  ["i'll have a greek salad without olives please", [[503, 1, ["No Olives"]]]],
];
const VOICES = "flite:slt,flite:rms,flite:awb,espeak:en-us,espeak:en-gb";
const STAGES = ["endpointing", "stt", "queued", "brain", "tools", "held", "tts", "total"];

const { values: options } = parseArgs({
  options: {
    voices: { type: "string", default: VOICES },
    orders: { type: "string", default: String(ORDERS.length) },
    flag: { type: "string", multiple: true, default: [] },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (options.help) {
  console.log("node spoken_orders.mjs [--voices ENGINE:VOICE,...] [--orders N] [--flag AGENT=--FLAG]... [--json]");
  process.exit(0);
}

async function record(voice, text, file) {
  const [engine, name] = voice.split(":");
  const done =
    engine === "flite" ? await run("flite", "-voice", name, "-t", text, "-o", file) : await run("espeak-ng", "-v", name, "-s", "160", "-w", file, text);
  assert.equal(done.status, 0, done.stderr);
}

const canonical = (lines) => JSON.stringify(lines.map(([id, quantity, extras]) => [id, quantity, [...extras].sort()]).sort(([a], [b]) => a - b));
const quantile = (sorted, q) => (sorted.length === 0 ? null : sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]);

// The turns in the voice agent's log, by trace.
function turnsOf(fleet) {
  const turns = new Map();
  for (const line of fs.readFileSync(path.join(fleet.dir, "logs/voice.log"), "utf8").split("\n")) {
    if (!line.includes('"msg":"turn"')) continue;
    const turn = JSON.parse(line);
    turns.set(turn.trace_id, turn);
  }
  return turns;
}

const flags = options.flag.flatMap((flag) => ["--flag", flag]);
const fleet = await Fleet.up("--agents", ALL_AGENTS, "--ready_seconds", "120", ...flags);
const results = [];
try {
  const client = await Client.connect(fleet);
  let number = 0;
  for (const voice of options.voices.split(",")) {
    for (const [text, meant] of ORDERS.slice(0, Number(options.orders))) {
      const kiosk = await Kiosk.open(client, `kiosk-b${++number}`);
      const file = path.join(fleet.dir, `${number}.wav`);
      await record(voice, text, file);
      const [spoken] = await fleet.arcctlJson("--kiosk_id", kiosk.id, "speak", file);
      await client.eventsApplied();
      const { cart } = await kiosk.snapshot();
      const lines = cart.lines.map(({ item_id, quantity, customizations }) => [item_id, quantity, customizations ?? []]);
      const turn = spoken.turns.at(-1);
      const right = canonical(lines) === canonical(meant);
      results.push({ voice, text, right, heard: turn?.heard ?? "", confidence: turn?.confidence ?? null, answered: turn?.answered ?? "", trace_id: turn?.trace_id, lines });
      if (!options.json) console.log(`${right ? "right" : "WRONG"}  ${voice}  "${text}"${right ? "" : `\n       heard "${turn?.heard}", answered "${turn?.answered}"`}`);
    }
  }
  await client.close();
  const turns = turnsOf(fleet);
  const measured = results.map(({ trace_id }) => turns.get(trace_id)).filter((turn) => turn !== undefined && turn.outcome === "answered");
  const stages = {};
  for (const stage of STAGES) {
    const sorted = measured.map((turn) => Number(turn[`${stage}_ms`])).sort((a, b) => a - b);
    stages[stage] = { p50: quantile(sorted, 0.5), p95: quantile(sorted, 0.95) };
  }
  const beyond = measured.map((turn) => Number(turn.total_ms) - Number(turn.endpointing_ms)).sort((a, b) => a - b);
  stages["total - endpointing"] = { p50: quantile(beyond, 0.5), p95: quantile(beyond, 0.95) };
  // Each stage is rounded to a millisecond by itself.
  for (const turn of measured) {
    const sum = STAGES.slice(0, -1).reduce((all, stage) => all + Number(turn[`${stage}_ms`]), 0);
    assert.ok(Math.abs(sum - Number(turn.total_ms)) <= STAGES.length, `the stages of ${turn.trace_id} are ${sum} ms, the whole is ${turn.total_ms} ms`);
  }
  const voices = Object.fromEntries(
    options.voices.split(",").map((voice) => {
      const own = results.filter((result) => result.voice === voice);
      return [voice, { right: own.filter(({ right }) => right).length, orders: own.length }];
    }),
  );
  if (options.json) {
    console.log(JSON.stringify({ voices, stages, measured: measured.length, results }));
  } else {
    console.log("\nvoice           complete orders right at the first try");
    for (const [voice, { right, orders }] of Object.entries(voices)) console.log(`${voice.padEnd(15)} ${right} of ${orders}`);
    console.log(`all             ${results.filter(({ right }) => right).length} of ${results.length}`);
    console.log(`\nms from the last word, of ${measured.length} answered turns\nstage                   p50    p95`);
    for (const [stage, { p50, p95 }] of Object.entries(stages)) console.log(`${stage.padEnd(20)} ${String(p50).padStart(6)} ${String(p95).padStart(6)}`);
  }
} finally {
  await fleet.down();
}
