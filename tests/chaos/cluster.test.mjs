// 500 orders on a cluster of three nodes of nats-server: one is killed, then the one that leads, then one is cut off as by a
// pulled cable. orders.mjs has what must hold afterwards; the longest wait of a customer for the answer to a touch is printed.
//
//   node tests/chaos/cluster.test.mjs        ORDERS=100 KIOSKS=5 SEED=7 change its size and its dice
//
// A node can be cut off where network namespaces can be made (root, CAP_NET_ADMIN, CAP_SYS_ADMIN). Elsewhere that part is left out, and
// the test says so.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client, eventually, Fleet, nats, run } from "../interop/kit.mjs";
import { PATIENCE, Rush } from "./orders.mjs";

const ORDERS = Number(process.env.ORDERS ?? 500);
const KIOSKS = Number(process.env.KIOSKS ?? 20);
const SEED = Number(process.env.SEED ?? 1);
const LONGEST_WAIT = 30_000;  // of a customer, in milliseconds

const CUSTOMERS = "customers";  // the name of their connection

let fleet, client, networks;
let reconnects = 0;
let failed = true;

// Why there can be no network namespaces here; empty: there can.
async function withoutNetworks() {
  const name = `arc-try-${process.pid}`;
  const made = await run("ip", "netns", "add", name).catch((error) => ({ status: 1, stderr: error.message }));
  if (made.status !== 0) return made.stderr.trim();
  const tried = [
    await run("ip", "-n", name, "link", "add", "bridge", "type", "bridge"),
    await run("ip", "netns", "exec", name, "sh", "-c", "cat /proc/sys/net/ipv4/tcp_retries2 > /proc/sys/net/ipv4/tcp_retries2"),
  ];
  await run("ip", "netns", "delete", name);
  return tried.filter(({ status }) => status !== 0).map(({ stderr }) => stderr.trim()).join(", ");
}

before(async () => {
  const reason = await withoutNetworks();
  networks = reason === "";
  if (!networks) console.log(`LEFT OUT: no node is cut off, because there are no network namespaces here (${reason})`);
  fleet = await Fleet.up("--nats_nodes", "3", "--ready_seconds", "90", ...(networks ? ["--nats_networks"] : []));
  client = await Client.connect(fleet, { name: CUSTOMERS, patience: 2000, pingInterval: 2000, maxPingOut: 2, timeout: 2000 });
  (async () => {
    for await (const { type } of client.nc.status()) if (type === nats.Events.Reconnect) ++reconnects;
  })();
});
after(async () => {
  await client?.close();
  await fleet?.down({ failed });
});

const streams = () => client.jsm.streams.list().next();

// The node that leads this stream.
const leaderOf = async (stream) => (await client.jsm.streams.info(stream)).cluster.leader;

// Takes the customers' connection once round all nodes, one that is cut off among them: such a dial is given up after 2 s, and must
// not come to life when the node is back.
async function dialAll() {
  for (let node = 0; node < Object.keys(fleet.facts.nats_nodes).length; ++node) {
    const before = reconnects;
    await client.nc.reconnect();
    await eventually("the customers to be connected again", () => reconnects > before, PATIENCE);
  }
}

// How many connections of the customers the nodes have, together.
async function connections() {
  const found = await Promise.all(Object.values(fleet.facts.nats_nodes).map(async ({ nats_http_url }) => (await (await fetch(`${nats_http_url}/connz`)).json()).connections));
  return found.flat().filter(({ name }) => name === CUSTOMERS).length;
}

// Waits until every stream has a leader and all its copies.
const whole = () => eventually("every stream to have three copies that are up to date", async () => {
  const found = await streams();
  return found.length >= 8 && found.every(({ cluster }) => cluster.leader && cluster.replicas?.length === 2 && cluster.replicas.every(({ current, offline }) => current && !offline));
}, PATIENCE);

test("every stream and bucket is on three nodes, and doctor is content", async () => {
  await whole();
  for (const { config } of await streams()) assert.equal(config.num_replicas, 3, config.name);
  const doctor = await fleet.arcctl("--json", "doctor", "--replicas", "3");
  // This fleet has no voice agent, whose consumers nobody pulls from.
  assert.deepEqual(JSON.parse(doctor.stdout).findings.filter(({ check }) => check !== "nobody_pulls"), [], doctor.stderr);
});

test(`${ORDERS} orders while nodes die and are cut off`, async () => {
  const rush = new Rush({ fleet, client, count: ORDERS, kiosks: KIOSKS, seed: SEED, clustered: true, allowed: () => Math.ceil((ORDERS * (done.length + 1)) / breaks.length) });
  const done = [];
  const breaks = [
    ["a node that does not lead the events is killed", async () => Object.keys(fleet.facts.nats_nodes).find((name) => name !== leader), "kill", "restart"],
    ["the leader of the events is killed", async () => leader, "kill", "restart"],
  ];
  if (networks) breaks.push(["the leader of the events is cut off", async () => leader, "cut", "heal"]);
  let leader, settled;
  await rush.run(async (over) => {
    for (const [what, choose, harm, mend] of breaks) {
      const from = Math.floor((ORDERS * (done.length + 0.2)) / breaks.length);
      await eventually(`order ${from}`, () => rush.orders.length >= from || over(), 10 * PATIENCE);
      if (over()) return;
      leader = await leaderOf("KIOSK_EVENTS");
      const node = await choose();
      const led = (await streams()).filter(({ cluster }) => cluster.leader === node).map(({ config }) => config.name);
      const at = Date.now();
      await fleet.script(harm, node);
      const inputs = rush.tally.inputs;
      // The others go on without it before it comes back.
      await eventually(`orders to go on after ${what}`, () => rush.tally.inputs - inputs >= 5 * KIOSKS || over(), PATIENCE);
      const without = Date.now();
      if (harm === "cut") {
        await dialAll();
        settled = reconnects;
      }
      await fleet.script(mend, node);
      await whole();
      done.push({ what, node, led, at, without, back: Date.now() });
    }
  });
  await rush.check(done.map(({ what, node }) => `${what} (${node})`).join(", "));
  assert.equal(done.length, breaks.length);
  await eventually("the customers to have one connection", async () => (await connections()) === 1, PATIENCE);
  if (networks) assert.equal(reconnects, settled, "the customers lost their connection, though no node was away");
  await eventually("every process to be SERVING", () => fleet.script("status"), PATIENCE);
  const quiet = Math.max(...rush.steps.filter(({ began, ended }) => !done.some(({ at, back }) => ended > at && began < back)).map(({ began, ended }) => ended - began));
  console.log(`longest wait of a customer while nothing was broken: ${(quiet / 1000).toFixed(1)} s`);
  for (const { what, node, led, at, without, back } of done) {
    const longest = Math.max(...rush.steps.filter(({ began, ended }) => ended > at && began < back).map(({ began, ended }) => ended - began));
    console.log(`${what}: ${node}, which led ${led.length} of the streams (${led.join(", ")}); without it for ${((without - at) / 1000).toFixed(1)} s, whole again ` +
      `${((back - without) / 1000).toFixed(1)} s after its return; longest wait of a customer ${(longest / 1000).toFixed(1)} s`);
    assert.ok(longest < LONGEST_WAIT, `${what}: a customer waited for ${longest} ms`);
  }
  failed = false;
});
