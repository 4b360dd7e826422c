// All traffic of a whole order keeps to docs/asyncapi.yaml; and what does not is found.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Client, component, eventually, Fleet, Kiosk, nats, notices } from "../interop/kit.mjs";
import { watch } from "./traffic.mjs";

describe("a fleet's traffic", () => {
  let fleet, client, observer, traffic;
  let failed = true;
  before(async () => {
    fleet = await Fleet.up();
    client = await Client.connect(fleet);
    // A connection of its own: what it sees, it sees in the order of the server.
    observer = await Client.connect(fleet);
    traffic = await watch(observer.nc);
  });
  after(async () => {
    await observer?.close();
    await client?.close();
    await fleet?.down({ failed });
  });

  for (const [name, id, options, suffix] of [["by touch", "kiosk-001", {}, ""], ["by touch at a scoped kiosk", "kiosk-003", { scoped: true }, "OfKiosk"]]) {
    test(`an order ${name}`, async () => {
      const kiosk = await Kiosk.open(client, id, options);
      await kiosk.personDetected({ estimated_party_size: 2 });
      await kiosk.sessionEvent("started");
      await kiosk.touch("start");
      await kiosk.touch("search", { query: "vulcano burgr" });
      await kiosk.screen("what was searched", (screen) => component(screen, "ItemGrid")?.items[0]?.id === 101 && !component(screen, "ItemGrid").loading);
      await kiosk.touch("select_item", { item_id: 101, component: "HeroItem" });
      await kiosk.screen("the details", (screen) => component(screen, "ItemDetails")?.loading === false);
      await kiosk.cart("add", 101, { quantity: 2, customizations: ["Extra Cheese"], note: "well done" });
      await kiosk.screen("suggestions", (screen) => component(screen, "Upsell")?.suggestions.length > 0);
      await kiosk.event("kiosk.input.text", { event: "text", text: "cola" });
      await kiosk.event("kiosk.voice.intent", {
        event: "intent", intent_type: "add_to_cart", raw_text: "a cola", confidence: 0.9,
        entities: { item: "cola", items: [{ item_id: 201, name: "Iced Cola", quantity: 1, modifiers: [] }] },
      });
      await eventually("the cola in the cart", async () => (await kiosk.snapshot()).cart.lines.some(({ item_id }) => item_id === 201));
      await kiosk.touch("checkout", { loyalty_card: "LOYALTY123" });
      await kiosk.screen("a checked order", (screen) => component(screen, "OrderSummary")?.verified);
      for (const token of ["tok_declined", "tok_visa"]) {
        await kiosk.touch("confirm_payment");
        const paying = await kiosk.screen("a payment", (screen) => component(screen, "PaymentPrompt")?.status === "waiting");
        const { order_id } = component(paying, "PaymentPrompt");
        await eventually("the terminal to await a card", async () => (await fleet.intents()).some(({ key, state }) => key === order_id && state === "waiting_for_card"));
        await kiosk.tap(token);
        if (token === "tok_visa") await kiosk.layout("paid");
        else await kiosk.screen("a declined card", (screen) => screen.layout_mode === "checkout" && notices(screen).includes("PAYMENT_DECLINED"));
      }
      await kiosk.sessionEvent("order_completed");
      // A scoped kiosk's printer is its own hardware agent; it has none in this fleet.
      if (!options.scoped) await kiosk.screen("a printed receipt", (screen) => component(screen, "Receipt")?.print === "printed", 15_000);
      await kiosk.touch("done");
      await kiosk.sessionEvent("ended");
      await kiosk.layout("attract");
      await traffic.assertClean(
        ...["personDetected", "touch", "cartAction", "textInput", "intent", "cardInput", "uiUpdate", "hardwareLed"].map((key) => `${key}${suffix}`),
        "sessionStarted", "sessionEnded", "orderCompleted", "menuSearch", "menuSearchReply", "menuDetails", "menuDetailsReply",
        "recsysSuggest", "recsysSuggestReply", "paymentProcess", "paymentProcessReply", "orchestratorSnapshot", "orchestratorSnapshotReply",
        ...(options.scoped ? [] : ["hardwareLedReply", "hardwarePrint", "hardwarePrintReply"]),
      );
    });
  }
  test("answers that are errors, dead letters and heartbeats", async () => {
    assert.equal((await client.ask("kiosk.agent.menu.search", { command: "search", query: "zzqxv plutonium" })).error_code, "MENU_NOT_FOUND");
    assert.equal((await client.durable("kiosk.agent.menu.details", { payload: { command: "get_details", item_id: 999999 } }))[0].payload.error_code, "MENU_NOT_FOUND");
    assert.equal((await client.ask("kiosk.agent.hardware.status", { command: "hardware_status" })).status, "success");
    assert.equal((await client.ask("kiosk.agent.menu.set_availability", { command: "set_availability", item_id: 201, available: true })).status, "success");
    assert.equal((await client.ask("kiosk.agent.menu.list", { command: "list" })).status, "success");
    await client.store("kiosk.vision.person_left", { payload: { event: "person_left" } });
    await fleet.script("restart", "menu");
    await eventually("a heartbeat", () => traffic.seen.has("heartbeat"));
    await traffic.assertClean("heartbeat", "menuList", "menuListReply", "menuSetAvailability", "menuSetAvailabilityReply", "hardwareStatus", "hardwareStatusReply");
  });
  test("what breaks the contract is named", async () => {
    const from = traffic.violations.length;
    client.nc.publish("agent.brain.thought", "{}");
    client.nc.publish("agent.voice.state", '{"event":"state_changed"}');
    client.nc.publish("agent.voice.audio.room-1", new Uint8Array(640));
    client.nc.publish("kiosk.input.touch", '{"payload":{"event":"touch","action":"fly"}}');
    client.nc.publish("kiosk.input.touch", '{"payload":{"event":"touch","action":"start"}}', { headers: (() => { const headers = nats.headers(); headers.set("Kiosk-Id", "no id"); return headers; })() });
    await client.nc.flush();
    await eventually("five violations", () => traffic.violations.length >= from + 5);
    // The orchestrator makes dead letters of the last two, and those keep to the contract.
    await eventually("a dead letter", () => traffic.seen.has("deadLetter"));
    await traffic.settle();
    const problems = traffic.violations.slice(from).map(({ subject, problem }) => `${subject}: ${problem}`);
    assert.equal(problems.length, 5, problems.join("\n"));
    for (const [index, words] of [/^agent\.brain\.thought: the subject is not in the contract$/, /^agent\.voice\.state: .*new_state/, /^agent\.voice\.audio\.room-1: .*Audio-Format/,
      /^kiosk\.input\.touch: .*payload\.action/, /^kiosk\.input\.touch: .*Kiosk-Id/].entries()) assert.match(problems[index], words);
    assert.deepEqual(fleet.dead(), []);
    failed = false;
  });
});
