// Orders by voice: recordings that arc-tts speaks go into the kiosk's microphone in real time, through voice,
// stt, brain and tts; what they put into the cart, and what the kiosk says, is checked.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { watch, SPOKEN_TURN } from "../contract/traffic.mjs";
import { ALL_AGENTS, BUILD, Client, component, eventually, Fleet, Kiosk, nats, run } from "./kit.mjs";

const ORDER = "two volcano burgers without onions and a large cola please";
const VOICES = [["flite", "cmu_us_slt"], ["flite", "cmu_us_rms"], ["espeak-ng", "en-us"]];

let fleet, client, observer, traffic;
let failed = 0;
before(async () => {
  fleet = await Fleet.up("--agents", ALL_AGENTS, "--ready_seconds", "60", "--flag", "orchestrator=--paid_timeout=60s");
  client = await Client.connect(fleet);
  observer = await Client.connect(fleet);
  traffic = await watch(observer.nc);
});
after(async () => {
  await observer?.close();
  await client?.close();
  await fleet?.down({ failed: failed > 0 });
});

const checked = (name, body) =>
  test(name, async () => {
    ++failed;
    await body();
    --failed;
  });

// A recording of `text`.
async function spoken(text, engine = "flite", voice = "cmu_us_slt") {
  const file = path.join(fleet.dir, `${randomUUID()}.wav`);
  const done = await run(path.join(BUILD, "bin/arc-tts"), `--engine=${engine}`, `--voice=${voice}`, `--say=${text}`, `--out=${file}`);
  assert.equal(done.status, 0, done.stderr);
  return file;
}

// Speaks it at the kiosk, and gives arcctl's account of the turn.
async function speak(kiosk, text, { out, engine, voice } = {}) {
  const words = ["--kiosk_id", kiosk.id, "speak", await spoken(text, engine, voice), ...(out ? ["--out", out] : [])];
  const [result] = await fleet.arcctlJson(...words);
  const turn = result.turns.at(-1);
  console.log(`    "${text}" -> heard "${turn.heard}", answered "${turn.answered}", first sound ${turn.first_audio_ms} ms after the last word`);
  return turn;
}

// 16 bit samples of a WAV file that arcctl wrote.
function samplesOf(file) {
  const bytes = fs.readFileSync(file);
  const at = bytes.indexOf("data") + 8;
  assert.equal(bytes.readUInt32LE(24), 16000);
  return bytes.subarray(at, at + bytes.readUInt32LE(at - 4));
}

// What the stt agent makes of a recording, asked as the voice agent asks it.
async function recognised(pcm) {
  const request_id = randomUUID();
  const texts = client.nc.subscribe("agent.stt.transcript");
  const accepted = await eventually("a free recogniser", async () => {
    const answer = await client.raw("agent.stt.request", { request_id, timestamp: new Date().toISOString() });
    return answer.status === "accepted" && answer;
  });
  const frame = (seq, data, more = {}) => {
    const headers = nats.headers();
    for (const [name, value] of Object.entries({ "Audio-Format": "pcm_s16le;rate=16000;channels=1", Seq: String(seq), ...more })) headers.set(name, value);
    client.nc.publish(accepted.audio_subject, data, { headers });
  };
  let seq = 0;
  for (let at = 0; at < pcm.length; at += 3200) frame(seq++, pcm.subarray(at, at + 3200));
  frame(seq, new Uint8Array(), { End: "true" });
  const timer = setTimeout(() => texts.unsubscribe(), 60_000);
  for await (const message of texts) {
    const { request_id: id, is_final, text } = message.json();
    if (id !== request_id || !is_final) continue;
    clearTimeout(timer);
    texts.unsubscribe();
    return text;
  }
  throw new Error("no final transcript within 60 s");
}

const cartOf = async (kiosk) => (await kiosk.snapshot()).cart.lines.map(({ item_id, quantity, customizations }) => [item_id, quantity, customizations]);
const ordered = (lines) => JSON.stringify([...lines].sort(([a], [b]) => a - b));
const cartBecomes = (kiosk, lines) =>
  eventually(`the cart ${ordered(lines)}`, async () => {
    const cart = ordered(await cartOf(kiosk));
    if (cart !== ordered(lines)) throw new Error(cart);
    return true;
  });

describe("a spoken order", () => {
  for (const [index, [engine, voice]] of VOICES.entries()) {
    checked(`is understood from ${engine}'s ${voice}, and answered in words that the recogniser understands`, async () => {
      const kiosk = await Kiosk.open(client, `kiosk-v${index}`);
      const out = path.join(fleet.dir, `answer-${index}.wav`);
      const turn = await speak(kiosk, ORDER, { engine, voice, out });
      await cartBecomes(kiosk, [[101, 2, ["No Onions"]], [201, 1, ["Large"]]]);
      assert.ok(turn.answer_audio_ms > 1000);
      const heard = await recognised(samplesOf(out));
      console.log(`    the answer, recognised: "${heard}"`);
      for (const word of ["two", "volcano", "burgers", "without", "onions", "large", "cola"]) {
        assert.match(heard, new RegExp(`\\b${word}`), `${turn.answered} / ${heard}`);
      }
    });
  }
});

describe("a whole order by voice alone", () => {
  checked("greeted, ordered, corrected, upsold, paid with a tap, receipt, goodbye", async () => {
    const kiosk = await Kiosk.open(client, "kiosk-001");
    const greeting = client.nc.subscribe("agent.tts.request", { max: 1 });
    await kiosk.personDetected();
    for await (const message of greeting) assert.ok(message.json().text.length > 0, "a greeting");

    await speak(kiosk, "two volcano burgers and a cola please");
    await cartBecomes(kiosk, [[101, 2, []], [201, 1, []]]);
    await speak(kiosk, "actually make it three volcano burgers");
    await cartBecomes(kiosk, [[101, 3, []], [201, 1, []]]);
    const offered = await speak(kiosk, "what do you recommend");
    assert.ok(offered.tools_called.includes("recsys.suggest"), JSON.stringify(offered.tools_called));
    const before = ordered(await cartOf(kiosk));
    // Two dishes were offered, so that a yes alone would be asked about.
    await speak(kiosk, "the classic fries please");
    await eventually("the recommended dish in the cart", async () => ordered(await cartOf(kiosk)) !== before);

    await speak(kiosk, "i'd like to pay");
    if ((await kiosk.snapshot()).state !== "paying") await speak(kiosk, "yes");
    await kiosk.layout("paying");
    const { order_id } = component(await kiosk.screen("a payment", (screen) => component(screen, "PaymentPrompt")?.status === "waiting"), "PaymentPrompt");
    await eventually("the terminal to await a card", async () => (await fleet.intents()).some(({ key, state }) => key === order_id && state === "waiting_for_card"));
    const thanks = client.nc.subscribe("agent.tts.request", { max: 1 });
    await kiosk.tap("tok_visa");
    await kiosk.layout("paid");
    for await (const message of thanks) assert.match(message.json().text, /thank/i);
    const completed = await kiosk.sessionEvent("order_completed");
    const paid = completed.payload.lines.map(({ item_id, quantity }) => `${quantity} x ${item_id}`);
    for (const line of ["3 x 101", "1 x 201"]) assert.ok(paid.includes(line), paid.join(", "));
    await eventually("the receipt", async () => (await fleet.receipts()).includes("Volcano Burger"), 20_000);
    await speak(kiosk, "thank you goodbye");
    await kiosk.sessionEvent("ended");
    await kiosk.layout("attract");
    await eventually("the voice session to end", () => traffic.seen.has("voiceSessionEnded"));
  });
});

checked("an allergy outlives the voice agent that heard of it", async () => {
  const kiosk = await Kiosk.open(client, "kiosk-v9");
  const say = async (text) => (await fleet.arcctlJson("--kiosk_id", kiosk.id, "say", text))[0].turns.at(-1);
  await say("i'm allergic to nuts");
  await eventually("the allergy in the snapshot", async () => (await kiosk.snapshot()).exclude_allergens.includes("nuts"));
  await fleet.script("kill", "voice");
  await fleet.script("start", "voice");
  const asked = client.nc.subscribe("agent.brain.request", { max: 1 });
  const { answered } = await say("a chocolate brownie please");
  for await (const message of asked) assert.ok(message.json().context.exclude_allergens.includes("nuts"));
  assert.match(answered, /nuts/, answered);
});

checked("all of that traffic keeps to the contract", async () => {
  await traffic.assertClean(...SPOKEN_TURN);
});

checked("nothing died", async () => {
  assert.deepEqual(fleet.dead(), []);
});
