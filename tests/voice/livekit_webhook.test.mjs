// LiveKit's webhooks, signed by LiveKit's own SDK, to a running arc-voice; forged, expired, replayed and hostile ones too.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createHash, createHmac, webcrypto } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as nats from "nats";

globalThis.crypto ??= webcrypto; // the SDK expects what Node 18 does not offer yet
const { AccessToken, WebhookEvent, WebhookReceiver } = await import("livekit-server-sdk");

const SOURCE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const BIN = path.join(path.resolve(process.env.ARC_BUILD_DIR ?? path.join(SOURCE, "build/release")), "bin");
const KEY = "APItestkey";
const SECRET = "the-secret-of-this-test-which-is-long-enough";
const ROOM = "room-user-123-session-456";

const children = [];
let folder, connection, keyed, keyless;
const seen = [];

async function until(what, attempt, milliseconds = 30_000) {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const value = await attempt();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`waited ${milliseconds} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function start(program, ...words) {
  const child = spawn(program, words, { stdio: ["ignore", "ignore", "pipe"] });
  child.errors = "";
  child.stderr.setEncoding("utf8").on("data", (part) => (child.errors += part));
  children.push(child);
  return child;
}

async function startAgent(url, name, ...words) {
  const ready = path.join(folder, `${name}.json`);
  const child = start(path.join(BIN, "arc-voice"), `--nats_url=${url}`, `--ready_file=${ready}`, "--greet=false", ...words);
  await until(`${name} to listen`, () => fs.existsSync(ready));
  const facts = JSON.parse(fs.readFileSync(ready, "utf8"));
  await until(`${name} to serve`, async () => (await fetch(`${facts.http_url}/healthz`)).ok);
  return { child, url: facts.http_url };
}

before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "arc-voice-"));
  start("nats-server", "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", folder, "--ports_file_dir", folder);
  const ports = await until("nats-server", () => fs.readdirSync(folder).find((name) => name.endsWith(".ports")));
  const url = await until("its address", () => {
    const text = fs.readFileSync(path.join(folder, ports), "utf8");
    return text && JSON.parse(text).nats[0];
  });
  const provisioned = spawnSync(path.join(BIN, "arcctl"), ["--nats_url", url, "provision"], { encoding: "utf8" });
  assert.equal(provisioned.status, 0, provisioned.stdout + provisioned.stderr);
  connection = await nats.connect({ servers: url });
  const subscription = connection.subscribe("agent.voice.>");
  (async () => {
    for await (const message of subscription) seen.push({ subject: message.subject, ...message.json() });
  })();
  const secret = path.join(folder, "secret");
  fs.writeFileSync(secret, `${SECRET}\n`);
  keyed = await startAgent(url, "keyed", `--livekit_api_key=${KEY}`, `--livekit_api_secret_file=${secret}`);
  keyless = await startAgent(url, "keyless", "--text=false", "--rooms=nowhere");
});

after(async () => {
  await connection?.close();
  for (const child of children) child.kill("SIGKILL");
  fs.rmSync(folder, { recursive: true, force: true });
});

async function sign(body, { key = KEY, secret = SECRET, ttl = 60, of = body } = {}) {
  const token = new AccessToken(key, secret, { ttl });
  token.sha256 = createHash("sha256").update(of).digest("base64");
  return token.toJwt();
}

async function post(body, authorization, agent = keyed) {
  const headers = { "content-type": "application/webhook+json" };
  if (authorization) headers.authorization = authorization;
  return (await fetch(`${agent.url}/livekit/webhook`, { method: "POST", headers, body })).status;
}

let events = 0;
// What LiveKit would send: the SDK's own event as JSON.
function event(name, rest = {}) {
  const whole = { event: name, id: `EV_${++events}`, createdAt: String(Math.floor(Date.now() / 1000)), room: { sid: "RM_AbCdEfGhIjKl", name: ROOM }, ...rest };
  return WebhookEvent.fromJson(whole).toJsonString();
}
const user = {
  sid: "PA_MnOpQrStUvWx",
  identity: "user-123",
  metadata: JSON.stringify({ user_id: "user-123", session_id: "session-456", kiosk_id: "kiosk-009" }),
};
const track = { sid: "TR_YzAbCdEfGhIj", type: "AUDIO", source: "MICROPHONE" };
const of = (subject) => seen.filter((message) => message.subject === subject);

test("what the SDK signs, the SDK's own receiver takes: the test's signatures are LiveKit's", async () => {
  const body = event("room_started");
  const received = await new WebhookReceiver(KEY, SECRET).receive(body, await sign(body));
  assert.equal(received.event, "room_started");
});

test("a participant's visit becomes session and track events as the specification writes them", async () => {
  for (const body of [event("room_started"), event("participant_joined", { participant: user }), event("track_published", { participant: user, track })]) {
    assert.equal(await post(body, await sign(body)), 200);
  }
  await until("track_published", () => of("agent.voice.track.published").length);
  const [started] = of("agent.voice.session.started");
  assert.deepEqual([started.event, started.user_id, started.session_id, started.room_name, started.room_sid, started.participant_sid, started.agent_id],
    ["session_started", "user-123", "session-456", ROOM, "RM_AbCdEfGhIjKl", "PA_MnOpQrStUvWx", "arc-scarlett-voice"]);
  const [published] = of("agent.voice.track.published");
  assert.deepEqual([published.event, published.room_name, published.room_sid, published.participant_sid, published.participant_identity, published.track_sid, published.track_kind, published.track_source],
    ["track_published", ROOM, "RM_AbCdEfGhIjKl", "PA_MnOpQrStUvWx", "user-123", "TR_YzAbCdEfGhIj", "audio", "microphone"]);
  assert.deepEqual(published.metadata, { user_id: "user-123", session_id: "session-456", kiosk_id: "kiosk-009" });
  for (const message of [started, published]) {
    assert.match(message.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.match(message.trace_id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  }

  for (const body of [event("track_unpublished", { participant: user, track }), event("participant_left", { participant: user })]) {
    assert.equal(await post(body, await sign(body)), 200);
  }
  await until("session_ended", () => of("agent.voice.session.ended").length);
  const [unpublished] = of("agent.voice.track.unpublished");
  assert.deepEqual([unpublished.event, unpublished.reason, unpublished.track_sid], ["track_unpublished", "track_ended", track.sid]);
  const [ended] = of("agent.voice.session.ended");
  assert.deepEqual([ended.event, ended.reason, ended.final_status, ended.total_turns, ended.session_id], ["session_ended", "user_left", "abandoned", 0, "session-456"]);
});

test("room_finished ends what is left; agents, videos and other events begin nothing", async () => {
  const room = { sid: "RM_2", name: "second" };
  const joined = event("participant_joined", { room, participant: { ...user, identity: "user-2" } });
  assert.equal(await post(joined, await sign(joined)), 200);
  for (const body of [
    event("participant_joined", { room: { sid: "RM_3", name: "third" }, participant: { sid: "PA_9", identity: "recorder", kind: "EGRESS" } }),
    event("track_published", { room, participant: user, track: { sid: "TR_V", type: "VIDEO", source: "CAMERA" } }),
    event("egress_started", { room }),
    event("participant_joined", { room: { sid: "RM_4", name: "no.such room>" }, participant: user }),
  ]) assert.equal(await post(body, await sign(body)), 200);
  const finished = event("room_finished", { room });
  assert.equal(await post(finished, await sign(finished)), 200);
  const ended = await until("its end", () => of("agent.voice.session.ended").find((message) => message.room_name === "second"));
  assert.equal(ended.reason, "room_finished");
  assert.equal(of("agent.voice.session.started").some((message) => !["second", ROOM].includes(message.room_name)), false);
  assert.equal(of("agent.voice.track.published").some((message) => message.room_name === "second"), false);
});

test("forged, expired and foreign requests are refused and change nothing", async () => {
  const before = seen.length;
  const body = event("participant_joined", { room: { sid: "RM_5", name: "forged" }, participant: user });
  assert.equal(await post(body), 401);
  assert.equal(await post(body, "Bearer"), 401);
  assert.equal(await post(body, "x".repeat(7000)), 401);
  assert.equal(await post(body, await sign(body, { secret: `${SECRET}x` })), 401);
  assert.equal(await post(body, await sign(body, { key: "APIother" })), 401);
  assert.equal(await post(body, await sign(body, { of: `${body} ` })), 401);
  assert.equal(await post(`${body}\n`, await sign(body)), 401);
  const token = await sign(body);
  const [head, claims] = token.split(".");
  const unsigned = Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url");
  assert.equal(await post(body, `${unsigned}.${claims}.`), 401);
  assert.equal(await post(body, `${head}.${claims}.${"A".repeat(43)}`), 401);
  // Signed by the right secret, but expired, not valid yet, or without an end.
  const now = Math.floor(Date.now() / 1000);
  const digest = createHash("sha256").update(body).digest("base64");
  const make = (rest) => {
    const parts = [{ alg: "HS256", typ: "JWT" }, { iss: KEY, sha256: digest, ...rest }].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"));
    return `${parts.join(".")}.${createHmac("sha256", SECRET).update(parts.join(".")).digest("base64url")}`;
  };
  for (const claim of [{ exp: now - 10 }, { exp: now + 600, nbf: now + 300 }, {}, { exp: "later" }, { exp: now + 60, sha256: 7 }, { exp: now + 60, iss: ["x"] }]) {
    assert.equal(await post(body, make(claim)), 401, JSON.stringify(claim));
  }
  assert.equal(await post(body, make({ exp: now + 60, nbf: now - 1 })), 200);
  await until("the last one's session", () => seen.some((message) => message.room_name === "forged"));
  assert.equal(seen.slice(before).filter((message) => message.subject === "agent.voice.session.started").length, 1);
});

test("a replayed event has no second effect", async () => {
  const room = { sid: "RM_6", name: "replayed" };
  const joined = event("participant_joined", { room, participant: user });
  const token = await sign(joined);
  for (let i = 0; i < 3; ++i) assert.equal(await post(joined, token), 200);
  const left = event("participant_left", { room, participant: user });
  assert.equal(await post(left, await sign(left)), 200);
  // Were it counted thrice, one would still be there.
  await until("the end", () => of("agent.voice.session.ended").some((message) => message.room_name === "replayed"));
  assert.equal(await post(joined, await sign(joined)), 200);
  assert.equal(of("agent.voice.session.started").filter((message) => message.room_name === "replayed").length, 1);
});

test("too large, malformed, other methods", async () => {
  const large = JSON.stringify({ event: "participant_joined", padding: "x".repeat(66_000) });
  assert.equal(await post(large, await sign(large)), 413);
  for (const bad of ["{", "[]", "null", '{"event":1}', "{}", `{"event":"room_finished","room":${"[".repeat(5000)}}`]) {
    assert.equal(await post(bad, await sign(bad)), 400, bad);
  }
  assert.equal((await fetch(`${keyed.url}/livekit/webhook`)).status, 404);
  const metrics = await (await fetch(`${keyed.url}/metrics`)).text();
  for (const outcome of ["taken", "ignored", "replayed", "unauthenticated", "malformed", "too_large"]) {
    assert.match(metrics, new RegExp(`kiosk_voice_webhooks_total\\{[^}]*outcome="${outcome}"\\} [1-9]`));
  }
  assert.equal(keyed.child.exitCode, null);
});

test("without a key the route says so", async () => {
  const body = event("room_started");
  assert.equal(await post(body, await sign(body), keyless), 503);
});
