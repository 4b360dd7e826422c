// Several copies of one agent: they share the work, they are seen, and when one goes the others go on.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Client, component, envelope, eventually, Fleet, Kiosk, nats } from "./kit.mjs";

let fleet, client;
let failed = true;
before(async () => {
  fleet = await Fleet.up("--copies", "menu=3,orchestrator=2");
  client = await Client.connect(fleet);
});
after(async () => {
  await client?.close();
  await fleet?.down({ failed });
});

// The copies of menu by id, with their searches, as ADR-32 STATS has them. The rest is asked by the orchestrators, too.
async function searches() {
  const services = client.nc.services.client({ maxWait: 1000, strategy: nats.RequestStrategy.Timer });
  const copies = new Map();
  for await (const { id, endpoints } of await services.stats("menu")) {
    const own = endpoints.filter(({ subject }) => subject.startsWith("kiosk.agent.menu.search"));
    copies.set(id, own.reduce((sum, { num_requests }) => sum + num_requests, 0));
  }
  return copies;
}
const found = async (what, asks) => assert.ok((await Promise.all(asks)).every((payload) => payload?.status === "success"), what);
const search = { command: "search", query: "burger" };
const plain = () => client.ask("kiosk.agent.menu.search", search, { timeout: 10_000 });
const durable = async () => (await client.durable("kiosk.agent.menu.search", envelope(search), { timeout: 10_000 }))[0]?.payload;
const many = (ask, times = 300) => Array.from({ length: times }, ask);

// Asks on one path and gives how much each copy did of it.
async function shares(path, ask) {
  const before = await searches();
  await found(path, many(ask));
  const now = await searches();
  return [...now].map(([id, requests]) => requests - (before.get(id) ?? 0));
}

describe("three copies of menu", () => {
  test("share the work on both paths", async () => {
    for (const [path, ask] of [["plain", plain], ["durable", durable]]) {
      const did = await shares(path, ask);
      assert.equal(did.length, 3);
      assert.equal(did.reduce((sum, requests) => sum + requests, 0), 300, `${path}: ${did}`);
      assert.ok(did.every((requests) => requests >= 20), `${path}: ${did}`);
    }
  });
  test("agree within a second that an item is taken off", async () => {
    const at = (available) => client.ask("kiosk.agent.menu.set_availability", { command: "set_availability", item_id: 201, available });
    assert.equal((await at(false)).status, "success");
    await eventually("every copy to know", async () => {
      const answers = await Promise.all(many(() => client.ask("kiosk.agent.menu.details", { command: "get_details", item_id: 201 }), 60));
      return answers.every(({ error_code }) => error_code === "ITEM_OUT_OF_STOCK");
    }, 1000);
    assert.equal((await at(true)).status, "success");
  });
  test("are shown by arcctl status and by PING, INFO and STATS", async () => {
    const [status] = await fleet.arcctlJson("status");
    const menu = status.agents.filter(({ name }) => name === "menu");
    assert.equal(menu.length === 1 ? menu[0].copies : menu.length, 3, JSON.stringify(status.agents));
    const services = client.nc.services.client({ maxWait: 1000, strategy: nats.RequestStrategy.Timer });
    const ids = async (iterator) => {
      const all = [];
      for await (const { id } of await iterator) all.push(id);
      return all.sort();
    };
    const pinged = await ids(services.ping("menu"));
    assert.equal(new Set(pinged).size, 3);
    assert.deepEqual(await ids(services.info("menu")), pinged);
    assert.deepEqual([...(await searches()).keys()].sort(), pinged);
  });
  test("one stopped in the middle of work: every request is answered, the other two share it", async () => {
    const asked = [...many(plain), ...many(durable)];
    await fleet.script("stop", "menu-2");
    await found("while one stops", [...asked, ...many(plain), ...many(durable)]);
    const did = await shares("durable", durable);
    assert.equal(did.length, 2);
    assert.ok(did.every((requests) => requests >= 20), `${did}`);
  });
  test("one killed in the middle of work: every durable request is answered", async () => {
    const asked = Array.from({ length: 300 }, async () => (await client.durable("kiosk.agent.menu.search", envelope(search), { timeout: 20_000 }))[0]?.payload);
    await fleet.script("kill", "menu-3");
    await found("while one dies", asked);
    assert.equal((await searches()).size, 1);
    await fleet.script("restart", "menu-2", "menu-3");
    assert.equal((await searches()).size, 3);
    await client.queueEmpty();
  });
});

test("of two orchestrators one leads; when it is killed the other takes the order over within seconds", async () => {
  const kiosk = await Kiosk.open(client, "kiosk-001", { retrySeconds: 30 });
  await kiosk.cart("add", 101, { quantity: 2 });
  await kiosk.screen("two burgers", (screen) => component(screen, "CartSummary")?.count === 2);
  // Whichever leads at the start, one of the two deaths is the leader's.
  for (const name of ["orchestrator", "orchestrator-2"]) {
    await fleet.script("kill", name);
    const killed = Date.now();
    const seen = kiosk.screens.length;
    await kiosk.cart("add", 101);
    await eventually("a screen by the other", () => kiosk.screens.length > seen, 15_000);
    assert.ok(Date.now() - killed < 10_000, `${Date.now() - killed} ms`);
    await fleet.script("restart", name);
  }
  const { cart } = await kiosk.snapshot();
  assert.deepEqual(cart.lines.map(({ item_id, quantity }) => [item_id, quantity]), [[101, 4]]);
  // Who takes over publishes again what the dead one may not have: the same event, which the stream keeps once.
  const distinct = new Map(kiosk.events.map(({ msg_id, subject }) => [msg_id, subject]));
  assert.deepEqual([...distinct.values()], ["kiosk.session.started"]);
  assert.deepEqual(fleet.dead(), []);
  failed = false;
});
