// The document itself: valid AsyncAPI 3, current, true of both specifications' examples and of nothing that is broken.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { Parser } from "@asyncapi/parser";
import { Contract, DOCUMENT, SOURCE } from "./contract.mjs";

const contract = Contract.load();
const { channels, components, operations } = contract.document;
const script = (...words) => spawnSync(path.join(SOURCE, "scripts/asyncapi"), words, { encoding: "utf8", maxBuffer: 1 << 26 });
const examplesOf = (name) => JSON.parse(fs.readFileSync(path.join(SOURCE, `tests/contract/examples/${name}.json`), "utf8"));
const examples = [...examplesOf("kiosk_specification"), ...examplesOf("voice_specification")];

const copyOf = (value) => JSON.parse(JSON.stringify(value));
const at = (value, steps) => steps.reduce((node, step) => node[step], value);
function changed(value, steps, replacement) {
  const copy = copyOf(value);
  at(copy, steps.slice(0, -1))[steps.at(-1)] = replacement;
  return copy;
}
function without(value, steps) {
  const copy = copyOf(value);
  delete at(copy, steps.slice(0, -1))[steps.at(-1)];
  return copy;
}
// The way to every value that is no object and no array.
function* leaves(value, steps = []) {
  if (value === null || typeof value !== "object") return yield steps;
  for (const [name, entry] of Object.entries(value)) yield* leaves(entry, [...steps, Array.isArray(value) ? Number(name) : name]);
}

describe("docs/asyncapi.yaml", () => {
  test("is what scripts/asyncapi writes", () => {
    const { status, stderr } = script("--check");
    assert.equal(status, 0, stderr);
  });
  test("reads as it was meant", () => {
    assert.deepEqual(contract.document, JSON.parse(script("--json").stdout));
  });
  test("is valid AsyncAPI 3 by the specification's own parser", async () => {
    const { document, diagnostics } = await new Parser().parse(fs.readFileSync(DOCUMENT, "utf8"));
    const problems = diagnostics.filter(({ code }) => code !== "asyncapi-latest-version");
    assert.deepEqual(problems.map(({ path, message }) => `${path.join("/")}: ${message}`), []);
    assert.equal(document.version(), "3.0.0");
    assert.equal(document.channels().length, Object.keys(channels).length);
    assert.equal(document.operations().length, Object.keys(operations).length);
  });
  test("compiles, every payload and every header", () => {
    for (const [name, { headers }] of Object.entries(components.messages)) {
      assert.ok(contract.tolerant(`/components/messages/${name}/payload`), name);
      assert.ok(contract.strict(`/components/messages/${name}/payload`), name);
      if (headers) assert.ok(contract.tolerant(`/components/messages/${name}/headers`), name);
    }
  });
  test("uses every message and schema that it has", () => {
    const text = JSON.stringify(contract.document);
    for (const kind of ["messages", "schemas"]) {
      for (const name of Object.keys(components[kind])) assert.ok(text.includes(`"#/components/${kind}/${name}"`), `${kind}/${name}`);
    }
  });
  test("has requests with their answers, and channels with a way in or out", () => {
    for (const [name, { action, reply, channel }] of Object.entries(operations)) {
      const key = channel.$ref.split("/").at(-1);
      if (!channels[key].address.startsWith("kiosk.agent.") && !channels[key].address.startsWith("kiosk.hardware.")) continue;
      assert.ok(reply, name);
      const answers = Object.keys(channels[contract.replyOf(key)].messages);
      assert.ok(answers.includes("ErrorResponse") && answers.length === 2, `${name} (${action}): ${answers}`);
    }
    const used = new Set(Object.values(operations).flatMap(({ channel, reply }) => [channel.$ref, reply?.channel.$ref]));
    assert.deepEqual(Object.keys(channels).filter((key) => !used.has(`#/channels/${key}`)), []);
  });
  test("says which kiosk, room or request a subject is of", () => {
    const expected = {
      "kiosk.ui.update": "uiUpdate", "kiosk.ui.update.kiosk-007": "uiUpdateOfKiosk", "kiosk.hardware.led": "hardwareLedAlias", "kiosk.hardware.led.k1": "hardwareLedAliasOfKiosk",
      "kiosk.agent.hardware.led.k1": "hardwareLedOfKiosk", "agent.voice.audio.room-1": "voiceAudio", "agent.tts.audio.room-1": "ttsAudio", "agent.stt.audio.utt-1": "sttAudio",
      "system.deadletter.KIOSK_EVENTS.orchestrator-input-consumer": "deadLetter", "system.deadletter.core.arc-stt": "deadLetterCore", "agent.voice.track.published": "trackPublished",
    };
    for (const [subject, key] of Object.entries(expected)) assert.equal(contract.channelOf(subject), key, subject);
    for (const subject of ["kiosk.ui", "kiosk.ui.update.a.b", "kiosk.session.started.kiosk-007", "agent.voice", "agent.voice.audio", "agent.brain.thought", "kiosk.agent.menu.search.k1"]) {
      assert.equal(contract.channelOf(subject), undefined, subject);
    }
  });
});

// What is not read, so that nothing there can be wrong.
const UNREAD = new Set(["context.user_profile", "metrics.goroutines"]);
const isUnread = (steps) => [...UNREAD].some((name) => steps.join(".").startsWith(name));

describe("the specifications' examples", () => {
  test("are all of them", () => {
    assert.equal(examplesOf("kiosk_specification").length, 34);
    assert.equal(examplesOf("voice_specification").length, 12);
  });
  for (const { name, subject, message, body } of examples) {
    test(`${name}, on ${subject}`, () => {
      assert.deepEqual(contract.payloadProblems(message, body), []);
      if (subject !== "any reply") {
        const key = contract.channelOf(subject);
        const there = [key, contract.replyOf(key)].flatMap((one) => Object.keys(channels[one]?.messages ?? {}));
        assert.ok(there.includes(message), `${subject} carries ${there}`);
      }
      // An unknown field is no harm; a value of another type is, wherever it stands.
      assert.deepEqual(contract.payloadProblems(message, { ...body, not_a_field: [{ x: 1 }] }), []);
      for (const steps of leaves(body)) {
        if (isUnread(steps)) continue;
        assert.notDeepEqual(contract.payloadProblems(message, changed(body, steps, { wrong: true })), [], `${steps.join(".")} as an object`);
        const scalar = typeof at(body, steps) === "boolean" ? "yes" : true;
        assert.notDeepEqual(contract.payloadProblems(message, changed(body, steps, scalar)), [], `${steps.join(".")} as ${scalar}`);
      }
      assert.notDeepEqual(contract.payloadProblems(message, []), []);
      assert.notDeepEqual(contract.payloadProblems(message, null), []);
    });
  }
  test("without a field that is required they are invalid", () => {
    let removed = 0;
    for (const { message, body } of examples) {
      const enveloped = "payload" in body;
      const schema = components.schemas[message];
      for (const name of schema.required ?? []) {
        const steps = enveloped ? ["payload", name] : [name];
        assert.notDeepEqual(contract.payloadProblems(message, without(body, steps)), [], `${message} without ${name}`);
        ++removed;
      }
      if (enveloped) assert.notDeepEqual(contract.payloadProblems(message, without(body, ["payload"])), [], message);
    }
    assert.ok(removed > 100, `${removed} fields`);
  });
});

describe("unions, ranges and forms", () => {
  const example = (name) => examples.find((one) => one.name === name);
  const broken = (name, steps, value) => {
    const { message, body } = example(name);
    assert.notDeepEqual(contract.payloadProblems(message, changed(body, steps, value)), [], `${steps.join(".")} = ${JSON.stringify(value)}`);
  };
  const whole = (name, steps, value) => {
    const { message, body } = example(name);
    assert.deepEqual(contract.payloadProblems(message, changed(body, steps, value)), [], `${steps.join(".")} = ${JSON.stringify(value)}`);
  };
  const unions = {
    CartAction_add: [["payload", "action"], ["add", "remove", "update_qty"]],
    SessionEnded_completed: [["payload", "reason"], ["completed", "timeout", "cancelled"]],
    PaymentOutcome_success: [["payload", "status"], ["success", "failed", "cancelled", "pending", "unknown", "none"]],
    LedRequest_solid: [["payload", "pattern"], ["solid", "pulse", "error"]],
    Heartbeat: [["status"], ["healthy", "degraded", "draining"]],
    ServiceError: [["severity"], ["warning", "critical"]],
    ErrorResponse: [["payload", "error_code"], ["TIMEOUT", "UNAVAILABLE", "MENU_NOT_FOUND", "ITEM_OUT_OF_STOCK", "PAYMENT_DECLINED", "PAYMENT_TIMEOUT", "HARDWARE_ERROR", "INVALID_REQUEST", "PAYMENT_UNKNOWN", "INTERNAL"]],
  };
  for (const [name, [steps, values]] of Object.entries(unions)) {
    test(`${name}.${steps.at(-1)} is one of ${values.length}`, () => {
      for (const value of values) whole(name, steps, value);
      for (const value of ["", "other", values[0].toUpperCase() === values[0] ? values[0].toLowerCase() : values[0].toUpperCase(), `${values[0]} `]) broken(name, steps, value);
    });
  }
  test("a constant is itself", () => {
    for (const [name, steps] of [["Touch", ["payload", "event"]], ["SearchRequest", ["payload", "command"]], ["SearchResponse", ["payload", "status"]], ["TrackPublished", ["event"]]]) broken(name, steps, "else");
  });
  test("an error is no success, and a success no error", () => {
    const { body: error } = example("ErrorResponse");
    const { body: success } = example("SearchResponse");
    assert.notDeepEqual(contract.payloadProblems("SearchResponse", error), []);
    assert.notDeepEqual(contract.payloadProblems("ErrorResponse", success), []);
  });
  test("null is only where it may be", () => {
    whole("GazeDetected", ["payload", "gaze_point"], null);
    whole("PaymentOutcome_success", ["payload", "transaction_id"], null);
    whole("TtsCompleted", ["audio_track_sid"], null);
    broken("PaymentOutcome_success", ["payload", "amount_charged"], null);
    broken("TtsCompleted", ["duration_ms"], null);
  });
  test("bounds hold", () => {
    whole("Transcript", ["payload", "confidence"], 1);
    broken("Transcript", ["payload", "confidence"], 1.01);
    broken("Touch", ["payload", "item_id"], 0);
    broken("Touch", ["payload", "item_id"], 1.5);
    broken("Touch", ["payload", "item_id"], 2 ** 53);
    whole("CartAction_update_qty", ["payload", "quantity"], 0);
    broken("CartAction_add", ["payload", "quantity"], 100);
    broken("BrainRequest", ["user_input"], "x".repeat(4001));
    broken("BrainRequest", ["request_id"], "");
    broken("TtsRequest", ["constraints", "sample_rate"], 7999);
    broken("TtsRequest", ["target_room"], "a.b");
    broken("ProcessPaymentRequest", ["payload", "items"], []);
    broken("LedRequest_solid", ["payload", "color"], "green");
    broken("SearchRequest", ["payload", "tags"], [1]);
    broken("UiUpdate", ["payload", "components", 0, "data", "title"], 7);
  });
  test("timestamps are RFC 3339", () => {
    whole("Heartbeat", ["timestamp"], "2025-12-14T13:30:00Z");
    for (const value of ["", "yesterday", "2025-12-14 13:30:00", 1765719000]) broken("Heartbeat", ["timestamp"], value);
  });
});

const bytes = (value) => (value instanceof Uint8Array ? value : new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value)));
const verdict = (subject, body, headers = {}) => contract.problems(contract.channelOf(subject), headers, bytes(body)).join("; ");

describe("messages with headers", () => {
  const event = { msg_id: "8cf9b5b2-3f3c-4c0a-a2f6-2f3f7c1d5a10", timestamp: "2026-01-01T00:00:00.000Z", session_id: "", trace_id: "", version: "1.0" };
  const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const sent = { "Nats-Msg-Id": event.msg_id, traceparent: parent };
  const started = { ...event, payload: { event: "session_started", kiosk_id: "kiosk-001" } };

  test("what this fleet alone sends has everything that it always sends", () => {
    assert.equal(verdict("kiosk.session.started", started, sent), "");
    assert.match(verdict("kiosk.session.started", { payload: started.payload }, sent), /msg_id/);
    assert.match(verdict("kiosk.session.started", { ...started, timestamp: "2026-01-01T00:00:00Z" }, sent), /timestamp/);
    assert.match(verdict("kiosk.session.started", { ...started, payload: { kiosk_id: "kiosk-001" } }, sent), /event/);
    assert.match(verdict("kiosk.session.started", started, { traceparent: parent }), /Nats-Msg-Id/);
  });
  test("what others send may be bare", () => {
    assert.equal(verdict("kiosk.input.touch", { payload: { action: "start" } }), "");
    assert.match(verdict("kiosk.input.touch", { payload: { action: "fly" } }), /action/);
    assert.match(verdict("kiosk.input.touch", "{"), /JSON/);
    assert.match(verdict("kiosk.input.touch", new Uint8Array([0x22, 0xff, 0x22])), /JSON/);
  });
  test("a header is known, and of its form", () => {
    const touch = { payload: { action: "start" } };
    assert.equal(verdict("kiosk.input.touch", touch, { "Kiosk-Id": "kiosk-7", traceparent: parent, "Nats-Msg-Id": "1", "Nats-Expected-Stream": "KIOSK_EVENTS" }), "");
    assert.match(verdict("kiosk.input.touch", touch, { "Kiosk-Id": "kiosk 7" }), /Kiosk-Id/);
    assert.match(verdict("kiosk.input.touch", touch, { traceparent: "00-4bf9" }), /traceparent/);
    assert.match(verdict("kiosk.input.touch", touch, { "Kiosk-Name": "x" }), /Kiosk-Name/);
    const search = { payload: { command: "search" } };
    assert.equal(verdict("kiosk.agent.menu.search", search, { "Kiosk-Reply-To": "_INBOX.1", "Kiosk-Deadline": "2026-01-01T00:00:00.000Z" }), "");
    assert.match(verdict("kiosk.agent.menu.search", search, { "Kiosk-Reply-To": "kiosk.ui.update" }), /Kiosk-Reply-To/);
    assert.match(verdict("kiosk.agent.menu.search", search, { "Kiosk-Deadline": "soon" }), /Kiosk-Deadline/);
  });
  test("a frame of sound has its headers, a whole number of samples and at most 100 ms", () => {
    const headers = { "Audio-Format": "pcm_s16le;rate=16000;channels=1", Seq: "0" };
    assert.equal(verdict("agent.voice.audio.room-1", new Uint8Array(640), headers), "");
    assert.equal(verdict("agent.stt.audio.utt-1", new Uint8Array(0), { ...headers, End: "true" }), "");
    assert.match(verdict("agent.voice.audio.room-1", new Uint8Array(641), headers), /samples/);
    assert.match(verdict("agent.voice.audio.room-1", new Uint8Array(6400), headers), /200 ms/);
    assert.match(verdict("agent.voice.audio.room-1", new Uint8Array(0), headers), /empty/);
    assert.match(verdict("agent.stt.audio.utt-1", new Uint8Array(640), { ...headers, End: "true" }), /End/);
    assert.match(verdict("agent.voice.audio.room-1", new Uint8Array(640), { Seq: "0" }), /Audio-Format/);
    assert.match(verdict("agent.voice.audio.room-1", new Uint8Array(640), { "Audio-Format": "pcm_s16le" }), /Seq/);
    assert.match(verdict("agent.voice.audio.room-1", new Uint8Array(640), { ...headers, Seq: "-1" }), /Seq/);
    assert.match(verdict("agent.voice.audio.room-1", new Uint8Array(640), { ...headers, "Audio-Format": "mp3" }), /Audio-Format/);
    assert.match(verdict("agent.tts.audio.room-1", new Uint8Array(640), headers), /Request-Id/);
    assert.equal(verdict("agent.tts.audio.room-1", new Uint8Array(99), { ...headers, "Audio-Format": "opus;rate=24000;channels=1", "Request-Id": "r", Turn: "3" }), "");
  });
  test("an answer is one of those that its command has", () => {
    const answer = (payload) => contract.problems("menuSearchReply", {}, bytes({ ...event, payload })).join("; ");
    assert.equal(answer({ status: "error", error_code: "MENU_NOT_FOUND", error_message: "", retryable: false }), "");
    assert.equal(answer({ status: "success", items: [], total_matches: 0 }), "");
    assert.match(answer({ status: "success" }), /items/);
    assert.match(answer({ status: "error", error_code: "OOPS", error_message: "", retryable: false }), /error_code/);
    assert.notEqual(answer({ status: "maybe", items: [] }), "");
  });
});
