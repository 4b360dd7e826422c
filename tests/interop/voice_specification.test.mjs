// Every payload example of the voice specification is published, or taken, as it is written there, by npm's NATS client. What is said at the
// microphone is synthesised by the fleet's own tts.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { watch } from "../contract/traffic.mjs";
import { ALL_AGENTS, Client, eventually, Fleet, Kiosk, nats, SOURCE } from "./kit.mjs";

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const AGENTS = { voice: "arc-scarlett-voice", stt: "arc-stt", brain: "arc-sherlock-brain", tts: "arc-piper-tts" };
const WILDCARDS = ["agent.>", "agent.voice.>", "agent.*.track.>", "*.*.error", "system.*.error"];
const EXAMPLES = Object.fromEntries(
  JSON.parse(fs.readFileSync(path.join(SOURCE, "tests/contract/examples/voice_specification.json"), "utf8")).map((example) => [example.name, example]),
);
const ROOM = EXAMPLES.TtsRequest.body.target_room;
const MICROPHONE = "pcm_s16le;rate=16000;channels=1";
const FRAME_MS = 40;
const FRAME_BYTES = (16000 / 1000) * 2 * FRAME_MS;

let fleet, client, observer, traffic, kiosk, heard;
let failed = true;
// All of agent.*, system.* and kiosk.voice.*, in the order of the server: {subject, headers, data}.
const seen = [];
const caught = Object.fromEntries(WILDCARDS.map((subscription) => [subscription, []]));

const json = ({ data }) => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data));
const isAudio = (subject) => /^agent\.\w+\.audio\./.test(subject);
const bodies = (subject, from = 0) => seen.slice(from).filter((message) => message.subject === subject).map(json);
const found = (subject, wanted = () => true, { from = 0, milliseconds = 40_000 } = {}) =>
  eventually(`${subject}; there were ${[...new Set(seen.slice(from).map((message) => message.subject))].join(", ")}`, () => bodies(subject, from).find(wanted), milliseconds);
const publish = (subject, body, headers = {}) => {
  const fields = nats.headers();
  for (const [name, value] of Object.entries(headers)) fields.set(name, value);
  client.nc.publish(subject, body instanceof Uint8Array ? body : JSON.stringify(body), { headers: fields });
};

// Asserts that `value` has every field of `example`, of the same JSON type. Of `free` paths the type may be another; `absent` ones may be missing.
function assertLike(value, example, { free = [], absent = [] } = {}, at = "") {
  for (const [name, there] of Object.entries(example)) {
    const field = at ? `${at}.${name}` : name;
    if (!(name in value) && absent.includes(field)) continue;
    assert.ok(name in value, `there is no ${field} in ${JSON.stringify(value)}`);
    const here = value[name];
    if (free.includes(field)) continue;
    if (Array.isArray(there)) {
      assert.ok(Array.isArray(here), `${field}: ${JSON.stringify(here)}`);
      if (there[0] !== null && typeof there[0] === "object") here.forEach((element) => assertLike(element, there[0], { free, absent }, field));
      else for (const element of here) assert.equal(typeof element, typeof there[0], field);
    } else if (there !== null && typeof there === "object") {
      assertLike(here, there, { free, absent }, field);
    } else {
      assert.equal(typeof here, typeof there, `${field}: ${JSON.stringify(here)}`);
    }
    if (/timestamp$/.test(name)) assert.match(here, INSTANT, field);
  }
}
const echoes = (answer, request, ...names) => {
  for (const name of names) assert.equal(answer[name], request[name], name);
};

// Forgets the newest violation of the contract, which this test's own message on `subject` was.
async function forgive(subject) {
  await eventually("the traffic to be seen", async () => (await traffic.settle(), traffic.violations.length > 0));
  assert.deepEqual(traffic.violations.splice(0).map((violation) => violation.subject), [subject]);
}

// The sound of `text` by the fleet's own tts: PCM frames for a microphone.
async function synthesise(text) {
  const room = `studio-${randomUUID()}`;
  const from = seen.length;
  publish("agent.tts.request", { request_id: randomUUID(), text, target_room: room, constraints: { format: "pcm", sample_rate: 16000, max_latency_ms: 0 } });
  await eventually(`the sound of "${text}"`, () => seen.slice(from).some(({ subject, headers }) => subject === `agent.tts.audio.${room}` && headers?.get("End") === "true"), 40_000);
  const sound = Buffer.concat(seen.slice(from).filter(({ subject }) => subject === `agent.tts.audio.${room}`).map(({ data }) => data));
  assert.ok(sound.length > FRAME_BYTES * 10, `${sound.length} bytes of sound`);
  return sound;
}

// A microphone that is open from its first word on: frames in real time, silence between the words.
class Microphone {
  constructor(room) {
    Object.assign(this, { room, seq: 0, waiting: [], begun: performance.now() });
    this.timer = setInterval(() => this.send(), FRAME_MS / 2);
  }
  // The frames that are due by now.
  send() {
    while ((this.seq * FRAME_MS) <= performance.now() - this.begun) {
      const frame = this.waiting.shift() ?? new Uint8Array(FRAME_BYTES);
      publish(`agent.voice.audio.${this.room}`, frame, { "Audio-Format": MICROPHONE, Seq: String(this.seq) });
      this.seq += 1;
    }
  }
  say(sound) {
    for (let at = 0; at < sound.length; at += FRAME_BYTES) {
      const frame = new Uint8Array(FRAME_BYTES);
      frame.set(sound.subarray(at, at + FRAME_BYTES));
      this.waiting.push(frame);
    }
  }
  close() {
    clearInterval(this.timer);
  }
}

before(async () => {
  fleet = await Fleet.up("--agents", ALL_AGENTS, "--ready_seconds", "60");
  client = await Client.connect(fleet);
  // A connection of its own: what it sees, it sees in the order of the server.
  observer = await Client.connect(fleet);
  for (const subject of ["agent.>", "system.>", "kiosk.voice.>"]) observer.nc.subscribe(subject, { callback: (error, message) => !error && seen.push(message) });
  for (const subject of WILDCARDS) observer.nc.subscribe(subject, { callback: (error, message) => !error && caught[subject].push(message.subject) });
  traffic = await watch(observer.nc);
  kiosk = await Kiosk.open(client, "kiosk-001");
});
after(async () => {
  heard?.close();
  await observer?.close();
  await client?.close();
  await fleet?.down({ failed });
});

describe("text-to-speech service", () => {
  const { body: request } = EXAMPLES.TtsRequest;
  test("agent.tts.request is taken as it is written: opus at 24 kHz into its room", async () => {
    publish("agent.tts.request", request);
    const frames = () => seen.filter(({ subject }) => subject === `agent.tts.audio.${request.target_room}`);
    await eventually("the last frame", () => frames().some(({ headers }) => headers.get("End") === "true"), 40_000);
    const all = frames();
    assert.deepEqual(all.map(({ headers }) => headers.get("Seq")), all.map((_, index) => String(index)));
    for (const [index, { headers, data }] of all.entries()) {
      assert.equal(headers.get("Request-Id"), request.request_id);
      assert.equal(headers.get("Turn"), "0");
      assert.match(headers.get("Audio-Format"), /^opus;rate=24000/);
      assert.equal(data.length === 0, index === all.length - 1);
    }
    assert.ok(all.length > 20, `${all.length} frames`);
  });
  test("agent.tts.completed is published as it is written", async () => {
    const { body: example } = EXAMPLES.TtsCompleted;
    const completed = await found("agent.tts.completed", ({ request_id }) => request_id === request.request_id);
    assertLike(completed, example, { free: ["audio_track_sid"] });
    assert.ok(completed.audio_track_sid === null || typeof completed.audio_track_sid === "string");
    echoes(completed, request, "request_id", "trace_id");
    assert.equal(completed.audio_format, "opus");
    assert.equal(completed.ready_for_playback, true);
    assert.ok(completed.duration_ms > 1000 && completed.duration_ms < 10_000, `${completed.duration_ms} ms`);
    assert.ok(completed.synthesis_latency_ms >= 0 && completed.synthesis_latency_ms < 5000);
    assert.deepEqual(bodies("agent.tts.error"), []);
  });
});

describe("agent brain service", () => {
  const { body: request } = EXAMPLES.BrainRequest;
  test("agent.brain.request is taken as it is written, and answered on agent.brain.response and to its sender", async () => {
    const reply = await client.raw("agent.brain.request", request, { timeout: 5000 });
    const response = await found("agent.brain.response", ({ request_id }) => request_id === request.request_id);
    for (const answer of [reply, response]) {
      assertLike(answer, EXAMPLES.BrainResponse.body);
      echoes(answer, request, "request_id", "trace_id", "user_id", "session_id", "conversation_id", "turn_index");
      assert.ok(answer.agent_response.length > 0);
      assert.ok(answer.metadata.confidence_score >= 0 && answer.metadata.confidence_score <= 1);
      assert.ok(answer.metadata.reasoning_steps > 0);
      assert.ok(answer.performance.total_processing_ms <= request.constraints.timeout_ms);
    }
    assert.equal(reply.agent_response, response.agent_response);
  });
  test("agent.brain.response as it is written, to a question that nobody asked, is spoken by nobody", async () => {
    const from = seen.length;
    publish("agent.brain.response", { ...EXAMPLES.BrainResponse.body, request_id: `req-${randomUUID()}` });
    // Behind a later question's answer, it would have been spoken.
    await client.raw("agent.brain.request", { ...request, request_id: randomUUID() }, { timeout: 5000 });
    await found("agent.brain.response", () => true, { from });
    assert.deepEqual(bodies("agent.tts.request", from), []);
    assert.deepEqual(fleet.dead(), []);
    // The fleet's own always have intents and tool spans too.
    await forgive("agent.brain.response");
  });
  test("agent.brain.error is published as it is written when the time is over", async () => {
    // Its tools are there, and do not answer; with more time it would do without them.
    const late = { ...request, request_id: `req-${randomUUID()}`, user_input: "What do you recommend?", constraints: { ...request.constraints, timeout_ms: 1 } };
    const { menu, recsys, orchestrator } = fleet.facts.agents;
    const signal = (name) => [menu, recsys, orchestrator].forEach(({ pid }) => process.kill(pid, name));
    signal("SIGSTOP");
    try {
      publish("agent.brain.request", late);
      const error = await found("agent.brain.error", ({ request_id }) => request_id === late.request_id);
      assertLike(error, EXAMPLES.AgentError.body);
      echoes(error, late, "request_id", "trace_id");
      assert.equal(error.error_type, "timeout");
      assert.ok(error.fallback_response.length > 0);
    } finally {
      signal("SIGCONT");
    }
  });
  test("agent.brain.request that is malformed is an agent.brain.error, and a dead letter", async () => {
    const letters = await client.lastDeadLetter();
    const wrong = { ...request, request_id: `req-${randomUUID()}`, turn_index: "three" };
    publish("agent.brain.request", wrong);
    const error = await found("agent.brain.error", ({ request_id }) => request_id === wrong.request_id);
    assertLike(error, EXAMPLES.AgentError.body, { absent: ["fallback_response"] });
    assert.match(error.error_message, /turn_index/);
    await eventually("the dead letter", async () => (await client.deadLetters(letters)).some(({ to, subject }) => to === "system.deadletter.core.arc-sherlock-brain" && subject === "agent.brain.request"));
    await forgive("agent.brain.request");
  });
});

describe("agent voice service", () => {
  const said = "two volcano burgers without onions please";
  let from, question;
  test("a turn is spoken at a microphone and answered", async () => {
    const sound = await synthesise(said);
    from = seen.length;
    heard = new Microphone(ROOM);
    heard.say(sound);
    question = await found("agent.brain.request", () => true, { from });
    await found("agent.brain.response", ({ request_id }) => request_id === question.request_id, { from });
    const speech = await found("agent.tts.request", ({ target_room, turn_index }) => target_room === ROOM && turn_index === question.turn_index, { from });
    await found("agent.tts.completed", ({ request_id }) => request_id === speech.request_id, { from });
    await eventually("the burgers in the cart", async () => (await kiosk.snapshot()).cart.lines.some(({ item_id, quantity }) => item_id === 101 && quantity === 2));
  });
  test("agent.voice.track.published is published as it is written", async () => {
    const track = await found("agent.voice.track.published", ({ room_name }) => room_name === ROOM, { from });
    // What a room that is only on the bus does not know of its participant is left out.
    assertLike(track, EXAMPLES.TrackPublished.body, { absent: ["metadata", "metadata.user_id", "metadata.session_id"] });
    assert.deepEqual([track.event, track.track_kind, track.track_source], ["track_published", "audio", "microphone"]);
  });
  test("agent.voice.session.started is published as it is written", async () => {
    const session = await found("agent.voice.session.started", ({ room_name }) => room_name === ROOM, { from });
    assertLike(session, EXAMPLES.VoiceSessionStarted.body);
    assert.deepEqual([session.event, session.agent_id], ["session_started", AGENTS.voice]);
    assert.equal(question.session_id, session.session_id);
    assert.equal(question.user_id, session.user_id);
  });
  test("agent.brain.request is published as it is written", async () => {
    assertLike(question, EXAMPLES.BrainRequest.body, { absent: ["context.user_profile"] });
    assert.match(question.user_input, /volcano/i);
    const typed = "and an iced cola";
    const mark = seen.length;
    await kiosk.event("kiosk.input.text", { event: "text", text: typed });
    const next = await found("agent.brain.request", ({ user_input }) => user_input.toLowerCase() === typed, { from: mark });
    assertLike(next, EXAMPLES.BrainRequest.body, { absent: ["context.user_profile"] });
    assert.ok(next.context.previous_turns.some(({ user, agent }) => /volcano/i.test(user) && agent.length > 0), JSON.stringify(next.context.previous_turns));
    assert.equal(next.conversation_id, question.conversation_id);
    assert.ok(next.turn_index > question.turn_index);
  });
  test("agent.tts.request is published as it is written", async () => {
    const speech = await found("agent.tts.request", ({ target_room }) => target_room === ROOM, { from });
    assertLike(speech, EXAMPLES.TtsRequest.body);
    assert.equal(speech.session_id, question.session_id);
  });
  test("kiosk.voice.speech_start, transcript and intent are published as the kiosk specification writes them", async () => {
    const payloads = (subject) => bodies(subject, from).map(({ payload }) => payload);
    assert.ok(payloads("kiosk.voice.speech_start").some(({ event }) => event === "speech_start"));
    const final = payloads("kiosk.voice.transcript").find(({ is_final }) => is_final);
    assertLike(final, { event: "transcript", text: "", confidence: 0, language: "", is_final: true });
    const intent = payloads("kiosk.voice.intent").find(({ intent_type }) => intent_type === "add_to_cart");
    assertLike(intent, { event: "intent", intent_type: "", entities: { item: "", modifiers: [""] }, raw_text: "", confidence: 0 }, { absent: ["entities.item"] });
    assert.equal(intent.entities.items[0].item_id, 101);
  });
  test("all messages of the turn have one trace", async () => {
    const { trace_id } = question;
    assert.match(trace_id, /^[0-9a-f]{8}-/);
    for (const subject of ["agent.stt.request", "agent.stt.transcript", "agent.brain.response", "agent.tts.request", "agent.tts.completed", "kiosk.voice.transcript", "kiosk.voice.intent"]) {
      assert.ok(bodies(subject, from).some((body) => body.trace_id === trace_id), `${subject} has no message with the trace ${trace_id}`);
    }
  });
  test("agent.voice.session.ended is published as it is written", async () => {
    const mark = seen.length;
    await kiosk.touch("cancel_order");
    const ended = await found("agent.voice.session.ended", ({ session_id }) => session_id === question.session_id, { from: mark });
    assertLike(ended, EXAMPLES.VoiceSessionEnded.body);
    assert.equal(ended.event, "session_ended");
    assert.ok(ended.total_turns >= 1);
    assert.equal(ended.final_status, "cancelled");
  });
  test("agent.voice.track.unpublished is published as it is written when the microphone is silent for ever", async () => {
    const mark = seen.length;
    heard.close();
    const track = await found("agent.voice.track.unpublished", ({ room_name }) => room_name === ROOM, { from: mark, milliseconds: 60_000 });
    assertLike(track, EXAMPLES.TrackUnpublished.body);
    assert.equal(track.event, "track_unpublished");
    assert.ok(track.duration_seconds >= 1);
  });
  test("the specification's own test event harms nobody", async () => {
    const letters = await client.lastDeadLetter();
    const mark = seen.length;
    publish("agent.voice.track.published", EXAMPLES.TrackPublishedTestEvent.body);
    await found("agent.voice.track.published", ({ room_name }) => room_name === "test-room", { from: mark });
    await client.raw("agent.brain.request", { ...EXAMPLES.BrainRequest.body, request_id: randomUUID() }, { timeout: 5000 });
    assert.equal(await client.lastDeadLetter(), letters);
    assert.deepEqual(fleet.dead(), []);
  });
});

describe("system health and monitoring", () => {
  for (const service of Object.values(AGENTS)) {
    test(`system.health.heartbeat of ${service} is published as it is written`, async () => {
      const beat = await found("system.health.heartbeat", (body) => body.service === service && body.status === "healthy", { milliseconds: 45_000 });
      // threads stands where the specification says goroutines.
      const { goroutines, ...metrics } = EXAMPLES.Heartbeat.body.metrics;
      assertLike(beat, { ...EXAMPLES.Heartbeat.body, metrics: { ...metrics, threads: goroutines } });
      assert.ok(beat.metrics.memory_mb > 1 && beat.metrics.threads >= 1);
      assert.ok(Number.isInteger(beat.metrics.active_sessions));
    });
  }
  test("system.service.error is published as it is written when the connection was lost", async () => {
    const mark = seen.length;
    await fleet.script("restart", "nats");
    for (const service of Object.values(AGENTS)) {
      const error = await found("system.service.error", (body) => body.service === service && body.error_type === "connection_lost", { from: mark, milliseconds: 30_000 });
      assertLike(error, EXAMPLES.ServiceError.body);
      assert.equal(error.severity, "critical");
    }
  });
});

describe("what holds for all of it", () => {
  const matches = (subscription, subject) => {
    const pattern = subscription.split(".").map((token) => ({ "*": "[^.]+", ">": ".+" })[token] ?? token).join("\\.");
    return new RegExp(`^${pattern}$`).test(subject);
  };
  test("the wildcard monitors catch what they say", async () => {
    await observer.nc.flush();
    const subjects = seen.map(({ subject }) => subject).filter((subject) => !subject.startsWith("kiosk."));
    for (const subscription of WILDCARDS) {
      assert.deepEqual(caught[subscription], subjects.filter((subject) => matches(subscription, subject)), subscription);
    }
    const kinds = (subscription) => new Set(caught[subscription].filter((subject) => !isAudio(subject)));
    assert.deepEqual(kinds("agent.*.track.>"), new Set(["agent.voice.track.published", "agent.voice.track.unpublished"]));
    for (const subject of ["agent.brain.error", "system.service.error"]) assert.ok(kinds("*.*.error").has(subject), subject);
    assert.deepEqual(kinds("system.*.error"), new Set(["system.service.error"]));
    for (const subject of ["agent.stt.request", "agent.brain.response", "agent.tts.completed", "agent.voice.state"]) assert.ok(kinds("agent.>").has(subject), subject);
    assert.deepEqual([...kinds("agent.voice.>")].filter((subject) => !subject.startsWith("agent.voice.")), []);
  });
  test("agent.* is in no stream", async () => {
    for await (const { config } of client.jsm.streams.list()) {
      assert.deepEqual((config.subjects ?? []).filter((subject) => /^(>|\*|agent\.)/.test(subject)), [], config.name);
    }
  });
  test("subjects are at most eight levels deep, messages at most 1 MB", () => {
    assert.deepEqual(seen.filter(({ subject, data }) => subject.split(".").length > 8 || data.length > 1_000_000).map(({ subject }) => subject), []);
  });
  test("all traffic keeps to docs/asyncapi.yaml", async () => {
    await traffic.assertClean();
  });
  test("nothing died", () => {
    assert.deepEqual(fleet.dead(), []);
    failed = false;
  });
});
