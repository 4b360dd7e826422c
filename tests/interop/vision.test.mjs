// A camera's film begins and ends a session of the fleet: walking up wakes the kiosk, walking away ends it.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { BUILD, Client, eventually, Fleet, nats, run } from "./kit.mjs";

describe("a fleet that watches", () => {
  let fleet, client;
  const seen = [];
  let failed = true;
  before(async () => {
    fleet = await Fleet.up(
      "--agents", "menu,recsys,payment,hardware,orchestrator,vision_bridge", "--vision_source", "auto",
      "--flag", "orchestrator=--person_left_grace=1s", "--ready_seconds", "60",
    );
    client = await Client.connect(fleet);
    // From the beginning of the stream: the film began when the fleet did.
    for (const family of ["vision", "session", "ui"]) {
      const options = nats.consumerOpts().orderedConsumer().deliverAll().bindStream("KIOSK_EVENTS");
      const messages = await client.js.subscribe(`kiosk.${family}.>`, options);
      (async () => {
        for await (const message of messages) {
          seen.push({ seq: message.seq, subject: message.subject, ...message.json() });
          seen.sort((one, other) => one.seq - other.seq);
        }
      })();
    }
  });
  after(async () => {
    await client?.close();
    await fleet?.down({ failed });
  });
  const of = (subject) => seen.filter((message) => message.subject === subject);

  test("a session is that of the visit", async () => {
    const ended = await eventually("the session to end", () => of("kiosk.session.ended")[0], 90_000);
    const started = of("kiosk.session.started");
    assert.equal(started.length, 1);
    assert.equal(ended.session_id, started[0].session_id);

    const parties = of("kiosk.vision.person_detected").map(({ payload }) => payload.estimated_party_size);
    assert.deepEqual(parties, [1, 2]);
    const looks = of("kiosk.vision.gaze_detected").map(({ payload }) => [payload.looking_at_screen, payload.gaze_point]);
    assert.deepEqual(looks, [[true, null], [false, null]]);
    const left = of("kiosk.vision.person_left");
    assert.equal(left.length, 1);
    assert.ok(Math.abs(left[0].payload.duration_seconds - 16.7) < 0.5, `stayed for ${left[0].payload.duration_seconds} s`);

    // Somebody, then a session; nobody, then its end.
    const order = seen.map(({ subject }) => subject);
    assert.ok(order.indexOf("kiosk.vision.person_detected") < order.indexOf("kiosk.session.started"));
    assert.ok(order.indexOf("kiosk.vision.person_left") < order.indexOf("kiosk.session.ended"));
    const screens = () => of("kiosk.ui.update").map(({ payload }) => payload.layout_mode);
    await eventually("the attract screen", () => screens().at(-1) === "attract");
    assert.equal(screens()[0], "hero_grid");
    failed = false;
  });

  test("the same film prints the same events without a bus", async () => {
    failed = true;
    const film = path.join(BUILD, "demo/visit.avi");
    const done = await run(path.join(BUILD, "bin/arc-vision-bridge"), "--source", film, "--dry_run");
    assert.equal(done.status, 0, done.stderr);
    const printed = done.stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));
    const published = seen.filter(({ subject }) => subject.startsWith("kiosk.vision."));
    assert.deepEqual(printed.map(({ payload }) => payload), published.map(({ payload }) => payload));
    const begin = Date.parse(published[0].timestamp) - printed[0].at * 1000;
    for (const [index, { at }] of printed.entries()) {
      assert.ok(Math.abs(Date.parse(published[index].timestamp) - begin - at * 1000) <= 2, "times are those of the film");
    }
    failed = false;
  });

  test("the operator sees its state and figures", async () => {
    failed = true;
    const { http_url } = fleet.facts.agents.vision_bridge;
    const state = await (await fetch(`${http_url}/vision`)).json();
    assert.deepEqual([state.state, state.engine, state.problem, state.party_size], ["ended", "blazeface", "", 0]);
    const metrics = await (await fetch(`${http_url}/metrics`)).text();
    assert.match(metrics, /kiosk_vision_events_total\{agent="vision_bridge",event="person_left"\} 1/);
    assert.match(metrics, /kiosk_vision_frame_ms_count\{agent="vision_bridge",engine="blazeface"\} 200/);
    const status = await fleet.arcctlJson("status");
    assert.ok(JSON.stringify(status).includes("vision_bridge"));
    failed = false;
  });
});
