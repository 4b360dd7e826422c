// Copies by what waits: the numbers of deploy/k8s's ScaledObjects, applied to a real fleet as KEDA applies them.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Client, eventually, Fleet } from "../interop/kit.mjs";
import { Scaler } from "./keda.mjs";
import { line, Load, scaledObject, simulate } from "./scaling.mjs";

describe("what a lag asks for", () => {
  const scaler = new Scaler(scaledObject("menu"));
  const { threshold, least, most } = scaler;
  test("a copy a threshold, within the limits", () => {
    assert.equal(scaler.desired(0, least), least);
    assert.equal(scaler.desired(threshold * 3 - 1, least), 3);
    assert.equal(scaler.desired(threshold * 3 + 1, least), 4);
    assert.equal(scaler.desired(threshold * 1000, least), most);
    assert.ok(least >= 1, "never to zero");
  });
  test("not for a tenth more or less", () => {
    assert.equal(scaler.desired(threshold * 3 * 1.09, 3), 3);
    assert.equal(scaler.desired(threshold * 3 * 0.91, 3), 3);
    assert.equal(scaler.desired(threshold * 3 * 1.11, 3), 4);
  });
  test("in the steps of the policies", () => {
    assert.equal(scaler.next(threshold * 1000, 2), 6);
    assert.equal(scaler.next(threshold * 1000, 6), Math.min(12, most));
  });
});

describe("the lag that nats-server's monitoring tells", () => {
  let fleet, client;
  let failed = true;
  before(async () => {
    fleet = await Fleet.up("--agents", "menu,recsys");
    client = await Client.connect(fleet);
  });
  after(async () => {
    await client?.close();
    await fleet?.down({ failed });
  });
  const cases = [
    ["menu", "kiosk.agent.menu.search", { command: "search", query: "burger" }, 420],
    ["recsys", "kiosk.agent.recsys.suggest", { command: "suggest", cart: [{ item_id: 101, quantity: 1 }], context: { time_of_day: "lunch" } }, 120],
  ];
  for (const [agent, subject, payload, count] of cases) {
    test(`${agent}: each command that waits counts, until it is answered`, async () => {
      const scaler = new Scaler(scaledObject(agent));
      const lag = () => scaler.lag(fleet.facts.nats_http_url);
      assert.equal(await lag(), 0);
      await fleet.script("stop", agent);
      const load = new Load(client, subject, payload);
      load.hold(count);
      load.window = 0; // an answer is not followed by a command
      await client.nc.flush();
      await eventually("all of them to wait", async () => (await lag()) === count);
      assert.equal(scaler.desired(await lag(), scaler.least), Math.ceil(count / scaler.threshold));
      await fleet.script("start", agent);
      await eventually("all of them to be answered", () => load.waiting.size === 0);
      await eventually("nothing to wait", async () => (await lag()) === 0);
      assert.deepEqual([load.answered, load.twice, load.wrong], [count, 0, []]);
      assert.equal(scaler.desired(await lag(), 5), scaler.least);
    });
  }
  test("of an account, stream or consumer of another name there is none", async () => {
    const scaler = new Scaler(scaledObject("menu"));
    const asked = (changes) => Object.assign(new Scaler(scaledObject("menu")), changes).lag(fleet.facts.nats_http_url);
    await assert.rejects(asked({ account: "$G" }), /no stream/);
    await assert.rejects(asked({ stream: "KIOSK_COMMAND" }), /no stream/);
    // KEDA takes all that ever was in the stream to wait then: a misspelt consumer starts every copy that it may.
    assert.equal(scaler.desired(await asked({ consumer: "menu-agent" }), scaler.least), Math.ceil(540 / scaler.threshold));
    failed = false;
  });
});

test("copies started by hand share what waits at once, and drain with nothing lost", async (context) => {
  const result = await simulate((entry) => context.diagnostic(line(entry)));
  const { scaler, idle, quiet, end, started, stopped, shares } = result;
  assert.deepEqual([idle.lag, idle.desired], [0, scaler.least]);
  assert.ok(started.length >= 1 && started[0].copies >= 2, "what waited asked for no more copies");
  // Each new copy answered while the others went on, and none does a fifth of its share or less.
  for (const { copies, shared } of started) assert.equal(shared.length, copies);
  const fair = shares.reduce((sum, requests) => sum + requests, 0) / shares.length;
  assert.ok(shares.every((requests) => requests > fair / 5), `${shares}`);
  assert.ok(quiet.desired < quiet.copies, "less that waits asked for as many copies");
  assert.ok(stopped.length >= 1 && stopped.some(({ unanswered }) => unanswered > 0), "nothing was stopped under load");
  for (const { name, output } of stopped) assert.doesNotMatch(output, /killed/, name);
  assert.deepEqual([end.lag, end.copies], [0, quiet.desired]);
  assert.equal(result.answered, result.sent);
  assert.deepEqual([result.twice, result.redelivered, result.deadLetters, result.wrong], [0, 0, 0, []]);
});
