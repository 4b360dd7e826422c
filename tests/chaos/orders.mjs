// What tests/chaos does to a fleet while it breaks it: customers at many kiosks, and what must hold of their orders afterwards
// whatever was broken. Every order completed or cleanly refused, nobody charged twice, nothing printed twice, no confirmed
// input lost or applied twice.
import assert from "node:assert/strict";
import fs from "node:fs";
import { component, eventually, Kiosk, notices } from "../interop/kit.mjs";

export const PATIENCE = 60_000;  // for one step of a customer, in milliseconds: longer than anything is away

// Numbers from 0 to `below` - 1 (a linear congruential generator): the same dice in each run.
export function dice(seed) {
  let state = BigInt(seed) * 2654435761n + 12345n;
  return (below) => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n);
    return Number((state >> 33n) % BigInt(below));
  };
}

const MENU = [[101, 1299], [102, 899], [103, 979], [201, 599], [401, 449], [405, 499], [407, 599]];
const REFUSALS = new Set(["UNAVAILABLE", "TIMEOUT", "INTERNAL", "BUSY"]);

class Customer {
  constructor(rush, kiosk, random) {
    Object.assign(this, { rush, kiosk, random, cart: new Map() });
  }
  // Sends an input until it is stored, waits until it is applied, and gives the kiosk's state when nothing is under way.
  async input(send, settled = ({ ui }) => !ui.components.some(({ data }) => data.updating || data.loading || data.verified === false)) {
    const began = Date.now();
    const { ack } = await send();
    ++this.rush.tally.inputs;
    await eventually(`input ${ack.seq} of ${this.kiosk.id} to be applied`, () => this.rush.applied >= ack.seq, PATIENCE);
    const state = await this.state("quiet", settled);
    this.rush.steps.push({ began, ended: Date.now() });
    return state;
  }
  state(what, wanted = () => true) {
    let last;
    return eventually(`${this.kiosk.id} to be ${what}`, async () => {
      last = await this.kiosk.snapshot();
      assert.equal(last.status, "success", JSON.stringify(last));
      if (!wanted(last)) throw new Error(JSON.stringify({ state: last.state, cart: last.cart, components: last.ui.components.filter(({ type }) => !/Grid|Bar|Hero/.test(type)) }));
      return last;
    }, PATIENCE);
  }
  lines(map = this.cart) {
    return JSON.stringify([...map].filter(([, quantity]) => quantity > 0).sort());
  }
  seen({ cart }) {
    const map = new Map();
    for (const { item_id, quantity } of cart.lines) map.set(item_id, (map.get(item_id) ?? 0) + quantity);
    return this.lines(map);
  }
  // Changes the cart by one input. It is in the cart then, once; or the screen says why not, and the customer tries again.
  async change(action, item_id, quantity) {
    const before = this.lines();
    const wanted = new Map(this.cart);
    if (action === "add") wanted.set(item_id, (wanted.get(item_id) ?? 0) + quantity);
    else if (action === "remove") wanted.set(item_id, Math.max(0, wanted.get(item_id) - quantity));
    else wanted.set(item_id, quantity);
    for (let attempt = 0; attempt < 20; ++attempt) {
      const state = await this.input(() => this.kiosk.cart(action, item_id, { quantity }));
      const seen = this.seen(state);
      if (seen === this.lines(wanted)) {
        this.cart = wanted;
        return;
      }
      const codes = notices(state.ui);
      assert.ok(seen === before && codes.some((code) => REFUSALS.has(code)),
        `${this.kiosk.id}: ${action} ${item_id} x ${quantity} made ${before} into ${seen}; notices: ${codes}`);
      ++this.rush.tally.refused_inputs;
    }
    assert.fail(`${this.kiosk.id}: the menu is away for ever`);
  }
  charged(order_id) {
    return eventually("the card terminal", async () => ({ intents: await this.rush.fleet.intents() }), PATIENCE)
      .then(({ intents }) => intents.some(({ key, state }) => key === order_id && state === "succeeded"));
  }
  async order(number) {
    this.cart = new Map();
    const picks = 1 + this.random(3);
    for (let pick = 0; pick < picks; ++pick) await this.change("add", MENU[this.random(MENU.length)][0], 1 + this.random(3));
    const [first] = this.cart.keys();
    if (this.random(3) === 0) await this.change("update_qty", first, this.cart.get(first) + 1 + this.random(2));
    if (this.random(3) === 0 && this.cart.get(first) > 1) await this.change("remove", first, 1);

    let declined = number % 9 === 0;  // this customer's first card is no good
    let order_id, outcome;
    let left = false;
    const deadline = Date.now() + 2 * PATIENCE;
    // It takes a while to find the card, so that there are always some payments that wait for one.
    let next_tap = 0;
    const fumble = this.random(800);
    while (outcome === undefined) {
      const state = await this.state("there");
      assert.ok(Date.now() < deadline, `${this.kiosk.id}: no end of an order: ${JSON.stringify(state)}`);
      const prompt = component(state.ui, "PaymentPrompt");
      if (prompt) order_id = prompt.order_id;
      switch (state.state) {
        case "browsing":
        case "details":
        case "cart":
          await this.input(() => this.kiosk.touch("checkout"));
          break;
        case "checkout":
          assert.equal(this.seen(state), this.lines());
          ++this.rush.tally.payment_attempts;
          await this.input(() => this.kiosk.touch("confirm_payment"));
          break;
        case "paying":
          next_tap ||= Date.now() + fumble;
          // A card that a dead terminal did not see is held to it again.
          if (prompt.status === "waiting" && Date.now() > next_tap) {
            next_tap = Date.now() + 300;
            const open = (await this.rush.fleet.intents().catch(() => [])).some(({ key, state }) => key === order_id && state === "waiting_for_card");
            if (open) {
              ++this.rush.tally.taps;
              await this.kiosk.tap(declined ? "tok_declined" : "tok_visa", { order_id });
              declined = false;
            }
          }
          await new Promise((resolve) => setTimeout(resolve, 20));
          break;
        case "error":
          // It is not known whether the card was charged: the screen says so until it is.
          await new Promise((resolve) => setTimeout(resolve, 50));
          break;
        case "paid": {
          const receipt = component(state.ui, "Receipt");
          assert.equal(receipt.order_id, order_id ?? receipt.order_id);
          order_id = receipt.order_id;
          outcome = "completed";
          break;
        }
        default:
          // The screen has left the order: it shows an order number for 15 s, whoever cannot see it meanwhile. Then paper and card say
          // how it ended, as they do for a customer who walks away.
          outcome = (await this.charged(order_id)) ? "completed" : "refused";
          left = true;
      }
    }
    const total = [...this.cart].reduce((sum, [id, quantity]) => sum + quantity * MENU.find(([item]) => item === id)[1], 0);
    this.rush.orders.push({ kiosk: this.kiosk.id, order_id, lines: this.lines(), total, outcome });
    if (outcome === "completed" && !left) {
      const state = await this.input(() => this.kiosk.touch("done"), ({ state }) => state === "attract");
      assert.deepEqual(state.cart.lines, []);
    }
  }
}

// `count` orders at `kiosks` kiosks. `allowed()`: how many of them may have begun by now. `clustered`: on several nodes.
export class Rush {
  constructor({ fleet, client, count, kiosks, seed, allowed = () => count, clustered = false }) {
    Object.assign(this, { fleet, client, count, kiosks, seed, allowed, clustered });
    this.applied = 0;  // the last event of kiosk.input.> that the orchestrator has applied and acknowledged, with all before
    this.orders = [];  // {kiosk, order_id, lines, total, outcome}
    this.steps = [];  // {began, ended}: inputs from their sending to the screen that answers them
    this.tally = { inputs: 0, refused_inputs: 0, taps: 0, payment_attempts: 0 };
    this.began = Date.now();
  }
  async #watchInputs(over) {
    while (!over()) {
      try {
        this.applied = Math.max(this.applied, (await this.client.jsm.consumers.info("KIOSK_EVENTS", "orchestrator-input-consumer")).ack_floor.stream_seq);
      } catch {
        // The server is away, or its JetStream not there yet.
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  // Lets the customers order while `breaker(over)` breaks things; `over()` says whether they have gone.
  async run(breaker) {
    let open = this.kiosks;
    let next = 0;
    let trouble;
    const over = () => open === 0 || trouble;
    const watcher = this.#watchInputs(over);
    const customers = Array.from({ length: this.kiosks }, async (_, index) => {
      try {
        const id = `kiosk-${String(index + 1).padStart(3, "0")}`;
        const kiosk = await Kiosk.open(this.client, id, { retrySeconds: PATIENCE / 1000 });
        const customer = new Customer(this, kiosk, dice(this.seed * 1000 + index));
        while (next < this.count && !trouble) {
          await eventually("the next order to be allowed", () => trouble || next < this.allowed(), 10 * PATIENCE);
          if (next < this.count && !trouble) await customer.order(next++);
        }
      } catch (error) {
        trouble ??= error;
      } finally {
        --open;
      }
    });
    await Promise.all([...customers, breaker(over).catch((error) => (trouble ??= error))]);
    await watcher;
    if (trouble) throw trouble;
  }
  async #storedEvents(subject) {
    const found = [];
    const consumer = await this.client.js.consumers.get("KIOSK_EVENTS", { filterSubjects: subject });
    for (;;) {
      let batch = 0;
      for await (const message of await consumer.fetch({ max_messages: 500, expires: 1000 })) {
        found.push(message.json());
        ++batch;
        if (message.info.pending === 0) return found;
      }
      if (batch === 0) return found;
    }
  }
  // Asserts all that must hold afterwards, and prints what happened. `broken`: what was done to the fleet, for people.
  async check(broken) {
    const { fleet, client, orders, tally } = this;
    const completed = orders.filter(({ outcome }) => outcome === "completed");
    const refused = orders.filter(({ outcome }) => outcome === "refused");
    const ids = new Set(completed.map(({ order_id }) => order_id));
    const intents = await fleet.intents();
    const captured = new Map();
    for (const line of fs.readFileSync(fleet.facts.files.terminal_sim.journal, "utf8").split("\n").filter(Boolean)) {
      const { event, intent_id } = JSON.parse(line);
      if (event === "captured") captured.set(intent_id, (captured.get(intent_id) ?? 0) + 1);
    }
    const paper = await eventually("every receipt to be printed", async () => {
      const text = await fleet.receipts();
      return completed.every(({ order_id }) => text.includes(order_id)) && text;
    }, PATIENCE);
    const prints = new Map();
    for (const [, id] of paper.matchAll(/^ *Order ([0-9a-f-]{36})$/gm)) prints.set(id, (prints.get(id) ?? 0) + 1);
    const events = await this.#storedEvents("kiosk.session.order_completed");
    const started = await this.#storedEvents("kiosk.session.started");
    const ended = await this.#storedEvents("kiosk.session.ended");
    const letters = await client.deadLetters();

    const doubleCharges = [...captured.values()].filter((times) => times > 1).length;
    const doublePrints = [...prints.values()].filter((times) => times > 1).length;
    console.log(`${orders.length} orders in ${((Date.now() - this.began) / 1000).toFixed(0)} s: ${completed.length} completed, ${refused.length} refused; ` +
      `${doubleCharges} double charges, ${doublePrints} double prints; ${tally.inputs} inputs stored, ${tally.refused_inputs} answered with "please try again", 0 lost; ` +
      `${tally.payment_attempts} payments asked for, ${tally.taps} taps; ${letters.length} dead letters; ${broken}`);
    for (const { to, subject, error_code, error, deliveries } of letters) console.log(`dead letter ${to}: ${subject} ${error_code} ${error} (${deliveries} deliveries)`);

    assert.equal(orders.length, this.count);
    assert.equal(ids.size, completed.length, "an order id was used twice");

    // Charges: each completed order once, with its total; nothing else.
    assert.equal(doubleCharges, 0);
    const paid = intents.filter(({ state }) => state === "succeeded");
    assert.deepEqual(paid.map(({ key, amount }) => `${key} ${amount}`).sort(), completed.map(({ order_id, total }) => `${order_id} ${total}`).sort());
    assert.equal(captured.size, paid.length);
    assert.deepEqual(intents.filter(({ state }) => ["waiting_for_card", "authorised"].includes(state)), []);

    // Paper: each completed order once; nothing else.
    assert.deepEqual([...prints].sort(), completed.map(({ order_id }) => [order_id, 1]).sort());

    // What others learn: each order and each session once, with exactly the lines that were touched.
    assert.deepEqual(
      events.map(({ payload }) => `${payload.order_id} ${JSON.stringify(payload.lines.map(({ item_id, quantity }) => [item_id, quantity]).sort())}`).sort(),
      completed.map(({ order_id, lines }) => `${order_id} ${lines}`).sort());
    assert.equal(new Set(started.map(({ session_id }) => session_id)).size, started.length);
    assert.deepEqual(ended.map(({ session_id }) => session_id).sort(), started.map(({ session_id }) => session_id).sort());
    assert.equal(started.length, this.count);

    // What a payment agent was doing when it died is a dead letter (one delivery only); an event never is.
    assert.deepEqual(letters.filter(({ stream }) => stream !== "KIOSK_COMMANDS"), []);
    assert.deepEqual(fleet.dead(), []);
    await (this.clustered ? client.commandsEnded(PATIENCE) : client.queueEmpty(PATIENCE));
    await client.eventsApplied();
  }
}
