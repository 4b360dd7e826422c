// What the tests of this folder and of tests/chaos share: a fleet of their own, npm's NATS client, a customer at a kiosk.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as nats from "nats";
import { NodeTransport } from "nats/lib/src/node_transport.js";

export { nats };

// What the client calls before it dials again. nats 2.29.3 leaves a dial alone that it has given up: when the server answers after
// all and closes it again, the client takes that for the loss of the connection that it has, opens one more, and reads both with one
// parser, which ends in messages that come twice and a "parse error". Versions 3 close such a dial here, too.
NodeTransport.prototype.discard = function discard() {
  this.done = true;
  this.socket?.destroy();
};

export const SOURCE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
export const BUILD = path.resolve(process.env.ARC_BUILD_DIR ?? path.join(SOURCE, "build/release"));

// The agents that an order by touch needs. A fleet with those that speak and listen is asked for by "--agents".
export const TOUCH_AGENTS = "menu,recsys,payment,hardware,orchestrator";
export const ALL_AGENTS = `${TOUCH_AGENTS},stt,brain,tts,voice`;

const text = new TextEncoder();
const json = (data) => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data));
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Calls `attempt` until it returns something true, and returns that. What it throws counts as "not yet".
export async function eventually(what, attempt, milliseconds = 30_000) {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    let problem = "";
    try {
      const value = await attempt();
      if (value) return value;
    } catch (error) {
      problem = `: ${error.message}`;
    }
    if (Date.now() > deadline) throw new Error(`waited ${milliseconds} ms in vain for ${what}${problem}`);
    await pause(20);
  }
}

// Runs a program to its end: {status, stdout, stderr}.
export function run(program, ...words) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { cwd: SOURCE, stdio: ["ignore", "pipe", "pipe"] });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"]) child[name].setEncoding("utf8").on("data", (part) => (output[name] += part));
    child.on("error", reject);
    child.on("close", (status, signal) => resolve({ status: status ?? signal, ...output }));
  });
}

async function succeed(program, ...words) {
  const done = await run(program, ...words);
  assert.equal(done.status, 0, `${path.basename(program)} ${words.join(" ")}\n${done.stdout}${done.stderr}`);
  return done.stdout;
}

const FLEET = path.join(SOURCE, "scripts/fleet");
const running = new Set();
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    for (const { dir } of running) spawnSync(FLEET, ["down", "--dir", dir]);
    process.exit(1);
  });
}

// A fleet under a folder of its own, started by scripts/fleet.
export class Fleet {
  static async up(...options) {
    const fleet = new Fleet();
    fleet.dir = fs.mkdtempSync(path.join(os.tmpdir(), "arc-interop-"));
    running.add(fleet);
    if (!options.includes("--agents")) options.push("--agents", TOUCH_AGENTS);
    await fleet.script("up", "--build_dir", BUILD, ...options);
    return fleet;
  }
  script(verb, ...words) {
    return succeed(FLEET, verb, "--dir", this.dir, ...words);
  }
  // As it is now: addresses and process ids change with restarts.
  get facts() {
    return JSON.parse(fs.readFileSync(path.join(this.dir, "fleet.json"), "utf8"));
  }
  // Where the bus is and as whom, for the client's connect(): the operator, or `staff` or `kiosk`.
  login(who = "operator") {
    const { nats_user: user, nats_password: pass, nats_nkey_seed: seed, inbox_prefix: inboxPrefix } = JSON.parse(fs.readFileSync(path.join(this.dir, "credentials", `${who}.json`), "utf8"));
    const { nats_url, nats_ca_file: caFile } = this.facts;
    const proof = seed ? { authenticator: nats.nkeyAuthenticator(text.encode(seed)), tls: { caFile } } : { user, pass };
    return { servers: nats_url.split(","), ...proof, ...(who === "operator" ? {} : { inboxPrefix }) };
  }
  arcctl(...words) {
    return run(path.join(BUILD, "bin/arcctl"), "--nats_url", this.facts.nats_url, ...words);
  }
  async arcctlJson(...words) {
    const done = await this.arcctl("--json", ...words);
    assert.equal(done.status, 0, `arcctl ${words.join(" ")}\n${done.stdout}${done.stderr}`);
    return done.stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  }
  // Names of processes that have ended.
  dead() {
    const { agents, companions, nats_nodes } = this.facts;
    return Object.entries({ ...agents, ...companions, ...nats_nodes })
      .filter(([, { pid }]) => {
        try {
          process.kill(pid, 0);
          return false;
        } catch {
          return true;
        }
      })
      .map(([name]) => name);
  }
  // What the receipt printer's file says, as a person would read it.
  receipts() {
    return succeed(path.join(BUILD, "bin/arc-receipt-view"), this.facts.files.hardware.printer);
  }
  // Every charge that the card terminal ever made.
  async intents() {
    const answer = await fetch(`${this.facts.companions.terminal_sim.http_url}/v1/intents`);
    assert.equal(answer.status, 200);
    return (await answer.json()).intents;
  }
  // Logs and data stay where a test failed; what the agents complained about is shown as well, for a machine that is gone.
  async down({ failed = false } = {}) {
    if (failed) this.complaints();
    await this.script("down", ...(failed ? [] : ["--purge"]));
    running.delete(this);
    if (failed) console.error(`logs: ${this.dir}/logs`);
    else fs.rmSync(this.dir, { recursive: true, force: true });
  }
  complaints(most = 12) {
    const folder = path.join(this.dir, "logs");
    for (const name of fs.readdirSync(folder).filter((each) => each.endsWith(".log"))) {
      const lines = fs.readFileSync(path.join(folder, name), "utf8").split("\n").filter((line) => /"level":"(warning|error)"|\[(WRN|ERR|FTL)\]/.test(line));
      for (const line of lines.slice(-most)) console.error(`${name}: ${line.slice(0, 400)}`);
    }
  }
}

export const envelope = (payload, fields = {}) => ({
  msg_id: randomUUID(),
  timestamp: new Date().toISOString(),
  session_id: "",
  trace_id: randomUUID(),
  version: "1.0",
  payload,
  ...fields,
});

const headersOf = (fields) => {
  const headers = nats.headers();
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) headers.set(name, value);
  return headers;
};

const bytesOf = (body) => (body instanceof Uint8Array ? body : text.encode(typeof body === "string" ? body : JSON.stringify(body)));

export class Client {
  static async connect(fleet, { patience = 5000, ...options } = {}) {
    const client = new Client();
    client.nc = await nats.connect({ ...fleet.login(), reconnectTimeWait: 100, maxReconnectAttempts: -1, ...options });
    client.js = client.nc.jetstream();
    // As long as an answer of a server may take that is there.
    client.patience = patience;
    client.jsm = await client.nc.jetstreamManager({ timeout: patience });
    return client;
  }
  close() {
    return this.nc.close();
  }
  // A request as `nats req` makes it; `body` is bytes, text, or a value that becomes JSON.
  async raw(subject, body, { timeout = this.patience, headers = {} } = {}) {
    const reply = await this.nc.request(subject, bytesOf(body), { timeout, headers: headersOf(headers) });
    return json(reply.data);
  }
  // The payload of the answer to a command, on the plain path.
  async ask(subject, payload, options) {
    return (await this.raw(subject, envelope(payload), options)).payload;
  }
  // The answers that arrive within `timeout` to a request on the durable path, as the fleet's own requesters send it.
  // Ends with the first `answers`.
  async durable(subject, body, { timeout = 5000, deadline, idempotencyKey, answers = 1, headers = {} } = {}) {
    const inbox = nats.createInbox();
    const subscription = this.nc.subscribe(inbox);
    const timer = setTimeout(() => subscription.unsubscribe(), timeout);
    this.nc.publish(subject, bytesOf(body), {
      reply: inbox,
      headers: headersOf({
        "Kiosk-Reply-To": inbox,
        "Kiosk-Deadline": deadline ?? new Date(Date.now() + timeout).toISOString(),
        "Kiosk-Idempotency-Key": idempotencyKey,
        ...headers,
      }),
    });
    const found = [];
    for await (const message of subscription) {
      if (message.headers?.code === 503) continue;
      found.push(json(message.data));
      if (found.length === answers) break;
    }
    clearTimeout(timer);
    subscription.unsubscribe();
    return found;
  }
  // Publishes an event and waits until its stream has stored it. Retries go out under the same msg_id.
  async event(subject, payload, { kiosk, fields = {}, headers = {}, timeout = 2000, retrySeconds = 0 } = {}) {
    const message = envelope(payload, fields);
    const options = { msgID: message.msg_id, timeout, headers: headersOf({ "Kiosk-Id": kiosk, ...headers }) };
    const deadline = Date.now() + retrySeconds * 1000;
    for (;;) {
      try {
        return { ...message, ack: await this.js.publish(subject, bytesOf(message), options) };
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await pause(50);
      }
    }
  }
  // Stores a body that need not be a message.
  store(subject, body, { headers = {} } = {}) {
    return this.js.publish(subject, bytesOf(body), { headers: headersOf(headers) });
  }
  async waiting() {
    return (await this.jsm.streams.info("KIOSK_COMMANDS")).state.messages;
  }
  queueEmpty(milliseconds = 15_000) {
    return eventually("KIOSK_COMMANDS to be empty", async () => (await this.waiting()) === 0, milliseconds);
  }
  // Whether every command has been taken and ended. Measured on nats-server 2.9.10: a copy of KIOSK_COMMANDS keeps commands that
  // were acknowledged before it had stored them, until they are 5 minutes old; nobody is given them again.
  async commandsEnded(milliseconds = 15_000) {
    await eventually("no command to wait for an agent", async () => {
      const consumers = await this.jsm.consumers.list("KIOSK_COMMANDS").next();
      return consumers.length >= 6 && consumers.every(({ num_pending, num_ack_pending }) => num_pending + num_ack_pending === 0);
    }, milliseconds);
  }
  // Dead letters from number `after` on, oldest first.
  async deadLetters(after = 0) {
    const { state } = await this.jsm.streams.info("KIOSK_DEADLETTER");
    const found = [];
    for (let sequence = Math.max(after + 1, state.first_seq); sequence <= state.last_seq; ++sequence) {
      const stored = await this.jsm.streams.getMessage("KIOSK_DEADLETTER", { seq: sequence });
      found.push({ sequence, to: stored.subject, ...json(stored.data) });
    }
    return found;
  }
  async lastDeadLetter() {
    return (await this.jsm.streams.info("KIOSK_DEADLETTER")).state.last_seq;
  }
  // Whether the orchestrator has applied every event that is stored.
  async eventsApplied(milliseconds = 20_000) {
    const names = ["input", "vision", "voice"].map((family) => `orchestrator-${family}-consumer`);
    await eventually("every event to be applied", async () => {
      for (const name of names) {
        const { num_pending, num_ack_pending } = await this.jsm.consumers.info("KIOSK_EVENTS", name);
        if (num_pending + num_ack_pending > 0) return false;
      }
      return true;
    }, milliseconds);
  }
}

// A customer at one kiosk: sends inputs, sees the screen. `scoped`: the kiosk's subjects end in its id; otherwise its
// events carry the header Kiosk-Id, or nothing when it is the default kiosk.
export class Kiosk {
  constructor(client, id, { scoped = false, retrySeconds = 0 } = {}) {
    Object.assign(this, { client, id, scoped, retrySeconds, screens: [], events: [] });
  }
  static async open(client, id, options) {
    const kiosk = new Kiosk(client, id, options);
    for (const [base, list] of [["kiosk.ui.update", kiosk.screens], ["kiosk.session.*", kiosk.events]]) {
      const subscription = client.nc.subscribe(kiosk.subjectOf(base));
      (async () => {
        for await (const message of subscription) {
          if (!kiosk.scoped || base !== "kiosk.ui.update") {
            if ((message.headers?.get("Kiosk-Id") || "kiosk-001") !== kiosk.id) continue;
          }
          list.push({ subject: message.subject, ...json(message.data) });
        }
      })();
    }
    await client.nc.flush();
    return kiosk;
  }
  subjectOf(base) {
    return this.scoped && /^kiosk\.(vision|voice|input|ui|agent\.hardware)\./.test(base) ? `${base}.${this.id}` : base;
  }
  get header() {
    return this.id === "kiosk-001" ? undefined : this.id;
  }
  event(base, payload, options = {}) {
    const kiosk = this.scoped ? undefined : this.header;
    return this.client.event(this.subjectOf(base), payload, { kiosk, retrySeconds: this.retrySeconds, ...options });
  }
  touch(action, fields = {}) {
    return this.event("kiosk.input.touch", { event: "touch", action, ...fields });
  }
  cart(action, item_id, fields = {}) {
    return this.event("kiosk.input.cart_action", { event: "cart_action", action, item_id, ...fields });
  }
  tap(token, fields = {}) {
    return this.event("kiosk.input.card", { event: "card", action: "tap", token, ...fields });
  }
  personDetected(fields = {}) {
    return this.event("kiosk.vision.person_detected", { event: "person_detected", confidence: 0.95, ...fields });
  }
  async snapshot() {
    const headers = { "Kiosk-Id": this.header };
    return this.client.ask("kiosk.agent.orchestrator.snapshot", { command: "snapshot" }, { headers });
  }
  // The newest screen, once it satisfies `wanted`.
  screen(what, wanted, milliseconds = 30_000) {
    return eventually(`a screen with ${what} at ${this.id}; it shows ${JSON.stringify(this.screens.at(-1)?.payload)?.slice(0, 600)}`, () => {
      const update = this.screens.at(-1)?.payload;
      return update && wanted(update) && update;
    }, milliseconds);
  }
  layout(name, milliseconds) {
    return this.screen(`the layout ${name}`, ({ layout_mode }) => layout_mode === name, milliseconds);
  }
  sessionEvent(name, from = 0, milliseconds = 30_000) {
    return eventually(`kiosk.session.${name} at ${this.id}`, () => this.events.slice(from).find(({ subject }) => subject === `kiosk.session.${name}`), milliseconds);
  }
}

export const component = (update, type) => update.components.find((candidate) => candidate.type === type)?.data;
export const notices = (update) => update.components.filter(({ type }) => type === "Notice").map(({ data }) => data.code);

// Asserts that `value` has exactly these fields, each of the type or value that `shape` says: a type's name, "T?" for a
// value that may be null, an array of one shape, an object of shapes, or a function.
export function assertShape(value, shape, at = "payload") {
  if (typeof shape === "function") return assert.ok(shape(value), `${at}: ${JSON.stringify(value)}`);
  if (Array.isArray(shape)) {
    assert.ok(Array.isArray(value), `${at} is not an array: ${JSON.stringify(value)}`);
    return value.forEach((element, index) => assertShape(element, shape[0], `${at}[${index}]`));
  }
  if (typeof shape === "object" && shape !== null) {
    assert.equal(Object.prototype.toString.call(value), "[object Object]", `${at}: ${JSON.stringify(value)}`);
    for (const name of Object.keys(shape)) {
      assert.ok(name in value, `${at} has no ${name}: ${JSON.stringify(value)}`);
      assertShape(value[name], shape[name], `${at}.${name}`);
    }
    return;
  }
  const names = shape.endsWith("?") ? [shape.slice(0, -1), "null"] : [shape];
  assert.ok(names.includes(value === null ? "null" : typeof value), `${at} is not ${shape}: ${JSON.stringify(value)}`);
}
