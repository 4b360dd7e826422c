// A fleet by its users: an order at the screen's own login, what the staff do, and what neither can.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { BUILD, Client, component, envelope, eventually, Fleet, nats, run } from "./kit.mjs";

const decode = (message) => JSON.parse(new TextDecoder().decode(message.data));
const encode = (value) => new TextEncoder().encode(JSON.stringify(value));

// A page: a connection as one of the logins that a fleet leaves for pages, and nothing else of the fleet.
class Page {
  static async open(fleet, who) {
    const page = new Page();
    Object.assign(page, { heard: [], refused: [] });
    page.nc = await nats.connect(fleet.login(who));
    (async () => {
      for await (const status of page.nc.status()) {
        if (status.type === nats.Events.Error && status.data === nats.ErrorCode.PermissionsViolation) page.refused.push({ operation: status.permissionContext.operation, subject: status.permissionContext.subject });
      }
    })();
    return page;
  }
  listen(...subjects) {
    for (const subject of subjects) this.nc.subscribe(subject, { callback: (error, message) => !error && this.heard.push({ subject: message.subject, ...decode(message) }) });
    return this.nc.flush();
  }
  // An input, once its stream has stored it.
  async input(subject, payload, headers = {}) {
    const sent = nats.headers();
    for (const [name, value] of Object.entries(headers)) sent.set(name, value);
    const stored = decode(await this.nc.request(subject, encode(envelope(payload)), { timeout: 5000, headers: sent }));
    assert.equal(stored.stream, "KIOSK_EVENTS", JSON.stringify(stored));
  }
  touch(action, headers) {
    return this.input("kiosk.input.touch", { event: "touch", action }, headers);
  }
  async ask(subject, payload, headers = {}) {
    const sent = nats.headers();
    for (const [name, value] of Object.entries(headers)) sent.set(name, value);
    return decode(await this.nc.request(subject, encode(envelope(payload)), { timeout: 5000, headers: sent })).payload;
  }
  layout(name) {
    return eventually(`the screen ${name}`, () => this.heard.filter(({ subject }) => subject === "kiosk.ui.update").at(-1)?.payload.layout_mode === name && this.heard.at(-1));
  }
  // What the server refuses of what `attempt` does.
  async refusedOf(attempt) {
    const from = this.refused.length;
    await attempt();
    await this.nc.flush();
    await eventually("the refusal", () => this.refused.length > from);
    return this.refused.slice(from);
  }
}

const SCREEN = ["kiosk.ui.update", "kiosk.voice.transcript", "agent.voice.state"];
const STAFF_ONLY = [
  ["kiosk.agent.menu.set_availability", { item_id: 101, available: false }],
  ["kiosk.agent.payment.refund", { order_id: "x" }],
  ["kiosk.agent.hardware.print", {}],
  ["kiosk.agent.payment.status", { order_id: "x" }],
];

describe("one kiosk, on the bare subjects", () => {
  let fleet, operator, screen, staff, failed = true;
  before(async () => {
    fleet = await Fleet.up();
    operator = await Client.connect(fleet);
    screen = await Page.open(fleet, "kiosk");
    staff = await Page.open(fleet, "staff");
    await screen.listen(...SCREEN);
    await staff.listen("kiosk.session.>", "kiosk.ui.>", "system.health.heartbeat", "system.service.error");
  });
  after(async () => {
    for (const connection of [operator, screen?.nc, staff?.nc]) await connection?.close();
    await fleet?.down({ failed });
  });

  let order;
  test("an order at the screen's login", async () => {
    const seen = [];
    operator.nc.subscribe("kiosk.input.>", { callback: (_, message) => seen.push(message.subject) });
    await operator.nc.flush();
    await screen.touch("start");
    await screen.layout("hero_grid");
    await screen.input("kiosk.input.cart_action", { event: "cart_action", action: "add", item_id: 101, quantity: 2 });
    await eventually("the cart", async () => (await screen.ask("kiosk.agent.orchestrator.snapshot", {})).cart.lines.length === 1);
    await screen.touch("checkout");
    await screen.layout("checkout");
    await eventually("a checked order", async () => {
      const { ui } = await screen.ask("kiosk.agent.orchestrator.snapshot", {});
      return component(ui, "OrderSummary")?.verified;
    });
    await screen.touch("confirm_payment");
    await screen.layout("paying");
    await eventually("the terminal to await a card", async () => (await fleet.intents()).some(({ state }) => state === "waiting_for_card"));
    await screen.input("kiosk.input.card", { event: "card", action: "tap", token: "tok_visa" });
    await screen.layout("paid");
    order = await eventually("the staff to see the order", () => staff.heard.find(({ subject }) => subject === "kiosk.session.order_completed"));
    assert.ok(["kiosk.input.touch", "kiosk.input.cart_action"].every((subject) => seen.includes(subject)), `${seen}`);
  });
  test("the snapshot is its own kiosk's, whatever its header says", async () => {
    const own = await screen.ask("kiosk.agent.orchestrator.snapshot", {});
    const lie = await screen.ask("kiosk.agent.orchestrator.snapshot", {}, { "Kiosk-Id": "kiosk-002" });
    assert.equal(lie.session_id, own.session_id);
    const asked = await screen.ask("kiosk.agent.orchestrator.snapshot", { kiosk_id: "kiosk-002" });
    assert.equal(asked.session_id, own.session_id);
    assert.equal((await staff.ask("kiosk.agent.orchestrator.snapshot", { kiosk_id: "kiosk-002" })).session_id, "", "the staff may ask for any kiosk");
    assert.notEqual(own.session_id, "");
  });
  test("the screen can do nothing of the staff's", async () => {
    for (const [subject, payload] of STAFF_ONLY) {
      const refused = await screen.refusedOf(async () => screen.nc.publish(subject, encode(envelope(payload))));
      assert.deepEqual(refused, [{ operation: "publish", subject }]);
    }
    for (const subject of [">", "kiosk.>", "kiosk.session.>", "system.>", "_INBOX.>", "$SYS.>", "$JS.>", "kiosk.ui.>", "kiosk.agent.payment.>", "agent.voice.audio.kiosk-001"]) {
      const refused = await screen.refusedOf(async () => screen.nc.subscribe(subject));
      assert.equal(refused[0].operation, "subscription", subject);
    }
    for (const subject of ["kiosk.ui.update", "kiosk.session.started", "kiosk.vision.person_detected", "$JS.API.STREAM.LIST", "$KV.KIOSK_MENU.current", "$SRV.PING", "agent.voice.audio.kiosk-002", "_INBOX.staff.x"]) {
      const refused = await screen.refusedOf(async () => screen.nc.publish(subject));
      assert.deepEqual(refused, [{ operation: "publish", subject }]);
    }
  });
  test("the staff can", async () => {
    const off = await staff.ask("kiosk.agent.menu.set_availability", { item_id: 101, available: false });
    assert.equal(off.status, "success", JSON.stringify(off));
    const on = await staff.ask("kiosk.agent.menu.set_availability", { item_id: 101, available: true });
    assert.equal(on.status, "success", JSON.stringify(on));
    const refund = await staff.ask("kiosk.agent.payment.refund", { order_id: order.payload.order_id });
    assert.equal(refund.status, "success", JSON.stringify(refund));
    assert.equal((await staff.ask("kiosk.agent.hardware.status", {})).status, "success");
    assert.equal((await staff.ask("kiosk.agent.orchestrator.snapshot", {}, { "Kiosk-Id": "kiosk-001" })).status, "success");
    for (const subject of ["kiosk.agent.payment.process", "kiosk.input.touch", "kiosk.ui.update", "kiosk.session.order_completed", "$JS.API.STREAM.DELETE.KIOSK_EVENTS", "$JS.API.STREAM.MSG.DELETE.KIOSK_EVENTS"]) {
      assert.deepEqual(await staff.refusedOf(async () => staff.nc.publish(subject)), [{ operation: "publish", subject }]);
    }
    await fleet.script("restart", "recsys");
    await eventually("a heartbeat", () => staff.heard.some(({ subject }) => subject === "system.health.heartbeat"));
  });
  test("an agent that is refused is NOT_SERVING, says why, and does not end", async () => {
    const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "arc-rights-"));
    const password = path.join(scratch, "password");
    fs.writeFileSync(password, "wrong\n", { mode: 0o600 });
    const ready = path.join(scratch, "ready");
    const words = [`--nats_url=${fleet.facts.nats_url}`, "--nats_user=menu", `--nats_password_file=${password}`, `--ready_file=${ready}`];
    const child = spawn(path.join(BUILD, "bin/arc-menu"), words, { stdio: "ignore" });
    const ended = new Promise((resolve) => child.on("exit", resolve));
    try {
      const { http_url } = await eventually("the agent to listen", () => JSON.parse(fs.readFileSync(ready, "utf8")));
      const reason = "not connected to nats-server: it refuses the user menu (Authorization Violation); see --nats_user and --nats_password_file or --nats_nkey_file";
      await eventually("the reason", async () => {
        const answer = await fetch(`${http_url}/healthz`);
        return answer.status === 503 && (await answer.json()).reasons.includes(reason);
      });
      assert.equal(child.exitCode, null);
      child.kill("SIGTERM");
      assert.equal(await ended, 0);
    } finally {
      child.kill("SIGKILL");
      fs.rmSync(scratch, { recursive: true });
    }
    const status = await run(path.join(BUILD, "bin/arcctl"), "--nats_url", fleet.facts.nats_url, "--nats_user", "operator", "status");
    assert.equal(status.status, 1);
    assert.match(status.stderr, /refuses the user operator \(Authorization Violation\): give --nats_user and --nats_password_file/);
  });
  test("nobody was refused anything that the fleet needs", () => {
    for (const name of fs.readdirSync(path.join(fleet.dir, "logs"))) {
      const log = fs.readFileSync(path.join(fleet.dir, "logs", name), "utf8");
      if (name !== "nats.log") assert.doesNotMatch(log, /refuses what|Permissions Violation/i, name);
    }
    failed = false;
  });
});

describe("a kiosk with subjects of its own", () => {
  let fleet, operator, screen, failed = true;
  before(async () => {
    fleet = await Fleet.up("--kiosk_id", "kiosk-007", "--scoped");
    operator = await Client.connect(fleet);
    screen = await Page.open(fleet, "kiosk");
    await screen.listen(...SCREEN);
  });
  after(async () => {
    for (const connection of [operator, screen?.nc]) await connection?.close();
    await fleet?.down({ failed });
  });

  test("the page speaks the bare subjects, and the server says whose they are", async () => {
    const seen = [];
    operator.nc.subscribe("kiosk.>", { callback: (_, message) => seen.push({ subject: message.subject, kiosk: message.headers?.get("Kiosk-Id") }) });
    await operator.nc.flush();
    await screen.touch("start", { "Kiosk-Id": "kiosk-001" });
    await screen.layout("hero_grid");
    // What one connection has heard, another one may hear later.
    for (const subject of ["kiosk.input.touch.kiosk-007", "kiosk.ui.update.kiosk-007"]) await eventually(`the operator to hear ${subject}`, () => seen.some((message) => message.subject === subject));
    const subjects = seen.map(({ subject }) => subject);
    assert.ok(!subjects.includes("kiosk.ui.update"), "the lie made a screen for another kiosk");
    await screen.input("kiosk.input.cart_action", { event: "cart_action", action: "add", item_id: 101, quantity: 1 });
    await eventually("the cart", async () => {
      const snapshot = await screen.ask("kiosk.agent.orchestrator.snapshot", {}, { "Kiosk-Id": "kiosk-001" });
      return snapshot.cart.lines.length === 1 && snapshot.cart.lines[0].item_id === 101;
    });
  });
  test("it hears its own screen alone", async () => {
    const from = screen.heard.length;
    for (const kiosk of ["", ".kiosk-001", ".kiosk-008"]) operator.nc.publish(`kiosk.ui.update${kiosk}`, encode(envelope({ event: "not for it" })));
    await operator.nc.flush();
    await screen.touch("show_cart");
    await screen.layout("cart");
    assert.deepEqual(screen.heard.slice(from).filter(({ payload }) => payload?.event === "not for it"), []);
    for (const subject of ["kiosk.input.touch.kiosk-007", "kiosk.input.touch.kiosk-001"]) {
      assert.deepEqual(await screen.refusedOf(async () => screen.nc.publish(subject)), [{ operation: "publish", subject }]);
    }
    failed = false;
  });
});
