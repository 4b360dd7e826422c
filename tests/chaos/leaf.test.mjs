// A restaurant's box as a leaf node of its chain's cluster: it takes orders whether the up-link is there or not, and the chain has a
// copy of each of its events, those of the time without an up-link too once it is back. Nothing else passes the up-link.
//
//   node tests/chaos/leaf.test.mjs        ORDERS=20 KIOSKS=3 SEED=7 change its size and its dice
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import tls from "node:tls";
import { after, before, test } from "node:test";
import { Client, eventually, Fleet, nats } from "../interop/kit.mjs";
import { PATIENCE, Rush } from "./orders.mjs";
import { Wire } from "./wire.mjs";

const ORDERS = Number(process.env.ORDERS ?? 40);
const KIOSKS = Number(process.env.KIOSKS ?? 5);
const SEED = Number(process.env.SEED ?? 1);
const RESTAURANT = "burger-12";
const COPY = `KIOSK_EVENTS_${RESTAURANT}`;

let chain, restaurant, chainClient, client;
const wires = [];
let passed = 0;  // of three tests

before(async () => {
  for (let node = 0; node < 3; ++node) wires.push(await Wire.open());
  const addresses = wires.map(({ port }) => `127.0.0.1:${port}`).join(",");
  chain = await Fleet.up("--agents", "none", "--nats_nodes", "3", "--restaurant", RESTAURANT, "--leaf_addresses", addresses, "--ready_seconds", "90");
  const { leaf_listen } = JSON.parse(fs.readFileSync(path.join(chain.dir, "options.json"), "utf8"));
  Object.values(leaf_listen).forEach((address, node) => wires[node].leadsTo(...address.split(":")));
  restaurant = await Fleet.up("--uplink", path.join(chain.dir, `credentials/restaurant-${RESTAURANT}.json`));
  chainClient = await Client.connect(chain, chain.login("chain"));
  client = await Client.connect(restaurant);
});
after(async () => {
  await client?.close();
  await chainClient?.close();
  for (const wire of wires) wire.close();
  await restaurant?.down({ failed: passed < 3 });
  await chain?.down({ failed: passed < 3 });
});

const newest = async (of, stream) => (await of.jsm.streams.info(stream)).state.last_seq;
const copied = () => eventually("the chain's copy to have every event", async () => (await newest(chainClient, COPY)) === (await newest(client, "KIOSK_EVENTS")), PATIENCE);

// The bodies of the events of `subject` in a stream.
async function bodies(of, stream, subject) {
  const found = [];
  const { state } = await of.jsm.streams.info(stream);
  for (let seq = state.first_seq; seq <= state.last_seq; ++seq) {
    const message = await of.jsm.streams.getMessage(stream, { seq });
    if (message.subject === subject) found.push(message.string());
  }
  return found;
}

test(`${ORDERS} orders at a restaurant whose up-link is cut for half of them`, async () => {
  let before, during, healed;
  // Most orders begin when the up-link is cut.
  const rush = new Rush({ fleet: restaurant, client, count: ORDERS, kiosks: KIOSKS, seed: SEED, allowed: () => (before ? ORDERS : ORDERS / 4) });
  await rush.run(async (over) => {
    await eventually("the first orders", () => rush.orders.length >= ORDERS / 4 || over(), PATIENCE);
    // The chain's server may take some seconds until it asks for the first copy.
    before = await eventually("the chain's first copies", () => newest(chainClient, COPY), PATIENCE);
    for (const wire of wires) wire.cut();
    const cut = rush.orders.length;
    // What the restaurant decides by itself goes on: its menu, and its paper, which check() looks at.
    const off = await restaurant.arcctl("menu", "86", "301");
    assert.equal(off.status, 0, off.stderr);
    await eventually("an item to be off the menu", async () => !(await client.ask("kiosk.agent.menu.list", { command: "list" })).categories.some(({ items }) => items.some(({ id, available }) => id === 301 && available !== false)));
    await eventually("half of the orders without an up-link", () => rush.orders.length >= cut + ORDERS / 2 || over(), PATIENCE);
    during = await newest(chainClient, COPY);
    await eventually("the chain to give the up-link up", async () => {
      const counts = await Promise.all(Object.values(chain.facts.nats_nodes).map(async ({ nats_http_url }) => (await (await fetch(`${nats_http_url}/leafz`)).json()).leafnodes));
      return counts.every((count) => count === 0);
    }, PATIENCE);
    healed = Date.now();
    for (const wire of wires) wire.heal();
  });
  await rush.check("the up-link was cut and came back");
  await copied();
  const took = Date.now() - healed;
  const here = await newest(client, "KIOSK_EVENTS");
  assert.ok(during < here - ORDERS, `${during} of ${here} events had come before the up-link was back`);
  assert.deepEqual(await bodies(chainClient, COPY, "kiosk.session.order_completed"), await bodies(client, "KIOSK_EVENTS", "kiosk.session.order_completed"));
  console.log(`the chain had ${before} events before the cut, ${during} at its end, and all ${here} within ${(took / 1000).toFixed(1)} s of the up-link's return; ` +
    `longest wait of a customer ${(Math.max(...rush.steps.map(({ began, ended }) => ended - began)) / 1000).toFixed(1)} s`);
  ++passed;
});

test("nothing else passes the up-link", async () => {
  // The chain gives no commands to a restaurant, asks it for nothing but copies of its events, and hears nothing else of it.
  const noResponders = ({ code }) => code === nats.ErrorCode.NoResponders;
  for (const subject of ["kiosk.agent.menu.list", "$SRV.PING", `restaurant.${RESTAURANT}.api.STREAM.DELETE.KIOSK_EVENTS`, `restaurant.${RESTAURANT}.api.STREAM.MSG.GET.KIOSK_EVENTS`]) {
    await assert.rejects(chainClient.nc.request(subject, "{}", { timeout: 2000 }), noResponders, subject);
  }
  const heard = [];
  const everything = chainClient.nc.subscribe(">", { callback: (_, message) => heard.push(message) });
  await chainClient.nc.flush();
  await client.ask("kiosk.agent.menu.search", { command: "search", query: "burger" });
  client.nc.publish("system.health.heartbeat", "{}");
  const { ack } = await client.event("kiosk.input.touch", { event: "touch", action: "start" });
  await eventually("the event to reach the chain's copy", async () => (await newest(chainClient, COPY)) >= ack.seq, PATIENCE);
  everything.unsubscribe();
  // A copy comes under the subject of its event, with the place of its acknowledgement as the reply subject.
  const copies = heard.filter(({ reply }) => reply?.startsWith("$JS.ACK.KIOSK_EVENTS."));
  assert.ok(copies.length > 0, "no copy was heard");
  const foreign = heard.filter((message) => !copies.includes(message) && !/^(restaurant\.burger-12\.|\$JS\.|\$JSC\.|_INBOX\.|_R_\.)/.test(message.subject));
  assert.deepEqual(foreign.map(({ subject }) => subject), []);

  // The login of its box is good for nothing more, as a client either.
  const { nats_user: user, nats_password: pass } = JSON.parse(fs.readFileSync(path.join(chain.dir, `credentials/restaurant-${RESTAURANT}.json`), "utf8"));
  const leaf = await nats.connect({ ...chain.login(), authenticator: undefined, user, pass });
  const refused = [];
  (async () => {
    for await (const { type, data, permissionContext } of leaf.status()) if (type === "error") refused.push(permissionContext?.subject ?? data);
  })();
  leaf.publish("restaurant.other.events.x");
  leaf.publish("$JS.API.STREAM.LIST");
  leaf.subscribe("restaurant.other.>", { callback: () => {} });
  await leaf.flush();
  await eventually("three refusals", () => refused.length >= 3, PATIENCE);
  await leaf.close();
  ++passed;
});

// What a node's listener for other nodes says to whoever shows this certificate: its INFO, or why it refuses.
function asNode(address, certificate, key) {
  const [host, port] = address.split(":");
  return new Promise((resolve) => {
    const socket = tls.connect({ host, port, cert: certificate, key, ca: fs.readFileSync(path.join(chain.dir, "credentials/ca.pem")) });
    socket.setTimeout(PATIENCE, () => socket.destroy(new Error(`nothing was said for ${PATIENCE} ms`)));
    socket.once("data", (data) => {
      resolve(data.toString());
      socket.destroy();
    });
    socket.once("error", ({ message }) => resolve(message));
    socket.once("close", () => resolve("closed"));
  });
}

test("a restaurant's certificate makes no node of it", async () => {
  const { routes } = JSON.parse(fs.readFileSync(path.join(chain.dir, "options.json"), "utf8"));
  const address = new URL(routes.nats).host;
  const own = ["pem", "key"].map((kind) => fs.readFileSync(path.join(chain.dir, `credentials/nats-2.${kind}`), "utf8"));
  assert.match(await asNode(address, ...own), /^INFO /);
  const { certificate, key } = JSON.parse(fs.readFileSync(path.join(chain.dir, `credentials/restaurant-${RESTAURANT}.json`), "utf8"));
  assert.match(await asNode(address, certificate, key), /unknown ca|bad certificate/i);
  ++passed;
});
