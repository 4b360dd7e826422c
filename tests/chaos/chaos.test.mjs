// 200 orders at ten kiosks while each process of the fleet, nats-server included, is killed in turn and started again
// (`kill -9`, in the middle of whatever it does). orders.mjs has what must hold afterwards.
//
//   node tests/chaos/chaos.test.mjs          ORDERS=50 KIOSKS=5 ROUNDS=1 SEED=7 change its size and its dice
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client, eventually, Fleet } from "../interop/kit.mjs";
import { dice, PATIENCE, Rush } from "./orders.mjs";

const ORDERS = Number(process.env.ORDERS ?? 200);
const KIOSKS = Number(process.env.KIOSKS ?? 10);
const ROUNDS = Number(process.env.ROUNDS ?? 2);
const SEED = Number(process.env.SEED ?? 1);
// payment last: what it was doing leaves the queue after its ack_wait of 30 s, unless a later death of nats-server takes it away.
const VICTIMS = ["menu", "nats", "orchestrator", "hardware", "terminal_sim", "recsys", "payment"];
const KILLS = ROUNDS * VICTIMS.length;

let fleet, client;
let failed = true;

before(async () => {
  fleet = await Fleet.up("--ready_seconds", "60");
  client = await Client.connect(fleet);
});
after(async () => {
  await client?.close();
  await fleet?.down({ failed });
});

test(`${ORDERS} orders while every process is killed in turn`, async () => {
  const kills = [];
  let restarts = 0;
  // Each kill, until what it killed is back, meets its share of the orders.
  const allowed = () => Math.ceil((ORDERS * (restarts + 1)) / KILLS);
  const rush = new Rush({ fleet, client, count: ORDERS, kiosks: KIOSKS, seed: SEED, allowed });
  const random = dice(SEED);
  // Kills each victim when the orders have come so far, and starts it again once the customers have met its absence.
  await rush.run(async (over) => {
    for (let index = 0; index < KILLS; ++index) {
      const victim = VICTIMS[index % VICTIMS.length];
      const from = Math.floor((ORDERS * (index + 0.1)) / KILLS);
      await eventually(`order ${from}`, () => rush.orders.length >= from || over(), 10 * PATIENCE);
      if (over()) return;
      await new Promise((resolve) => setTimeout(resolve, random(200)));
      const inputs = rush.tally.inputs;
      await fleet.script("kill", victim);
      kills.push(`${victim} at order ${rush.orders.length}`);
      // Some deaths stop every customer, others are not noticed: whichever comes first.
      const met = Date.now() + 1000;
      await eventually("the customers to meet its absence", () => rush.tally.inputs - inputs >= KIOSKS || Date.now() > met);
      await fleet.script("restart", victim);
      ++restarts;
    }
  });
  await rush.check(`killed: ${kills.join(", ")}`);
  assert.equal(kills.length, KILLS);
  failed = false;
});
