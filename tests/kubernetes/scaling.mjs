// A day of the menu agent in half a minute, on a fleet of this machine: commands come faster than two copies can handle
// them, copies are started and stopped by hand as the ScaledObject of deploy/k8s asks for it, and nothing is lost.
//
//     node tests/kubernetes/scaling.mjs
//
// Prints a line a second; scaling.test.mjs runs the same and looks at the outcome.
import { fileURLToPath } from "node:url";
import { Client, eventually, Fleet, nats } from "../interop/kit.mjs";
import { Scaler } from "./keda.mjs";
import { VARIANTS } from "./variants.mjs";

// So many commands are unanswered at any time while it is busy, and while it is quiet.
const BUSY = 950;
const QUIET = 150;
// Many misspelt words: hard enough for the agent that it, and not this client, is the bottleneck.
const SEARCH = {
  command: "search",
  query: "somthing spicey with chiken and chese but wihout onons or tomatos for a vegatarian who dislikes mushrom and garlik, "
    + "perhps a burgr with frys and a larg cofee or lemonaid, or a sanwich with avocdo and baccon, sald on the syde, chocolat desert with strawbery and vanila",
};

export const scaledObject = (name) => VARIANTS.find(({ name: variant }) => variant === "production").make().find(({ kind, metadata }) => kind === "ScaledObject" && metadata.name === name);

// Keeps `window` commands unanswered: each answer is followed by the next command.
export class Load {
  constructor(client, subject, payload) {
    Object.assign(this, { client, subject, payload, window: 0, sent: 0, answered: 0, waiting: new Map(), twice: 0, wrong: [], inbox: nats.createInbox() });
    this.body = new TextEncoder().encode(JSON.stringify({ payload }));
    this.subscription = client.nc.subscribe(`${this.inbox}.*`, {
      callback: (_, message) => {
        const number = Number(message.subject.slice(this.inbox.length + 1));
        if (!this.waiting.delete(number)) {
          this.twice += 1;
          return;
        }
        this.answered += 1;
        const { payload: { status } } = JSON.parse(new TextDecoder().decode(message.data));
        if (status !== "success" && this.wrong.length < 5) this.wrong.push(new TextDecoder().decode(message.data));
        this.fill();
      },
    });
  }
  fill() {
    while (this.waiting.size < this.window) {
      const reply = `${this.inbox}.${this.sent}`;
      const headers = nats.headers();
      headers.set("Kiosk-Reply-To", reply);
      this.waiting.set(this.sent++, true);
      this.client.nc.publish(this.subject, this.body, { reply, headers });
    }
  }
  hold(window) {
    this.window = window;
    this.fill();
  }
}

// Requests handled by each copy of menu, by its id.
async function handled(client) {
  const services = client.nc.services.client({ maxWait: 2000, strategy: nats.RequestStrategy.JitterTimer });
  const copies = new Map();
  for await (const { id, endpoints } of await services.stats("menu")) copies.set(id, endpoints.reduce((sum, { num_requests }) => sum + num_requests, 0));
  return copies;
}

// `say` gets a sample a second, and a text for what was done.
export async function simulate(say = () => {}) {
  const scaler = new Scaler(scaledObject("menu"));
  const fleet = await Fleet.up("--agents", "menu", "--copies", `menu=${scaler.least}`);
  let failed = true;
  let client, clock;
  try {
    client = await Client.connect(fleet);
    const load = new Load(client, "kiosk.agent.menu.search", SEARCH);
    const monitoring = fleet.facts.nats_http_url;
    const names = () => Object.keys(fleet.facts.agents);
    const running = new Set(names());
    const lag = () => scaler.lag(monitoring);
    const more = (count, from = load.answered) => eventually(`${count} more answers`, () => load.answered >= from + count, 60_000);
    // What the scaler sees now and would do.
    const look = async () => {
      const now = await lag();
      return { lag: now, copies: running.size, desired: scaler.desired(now, running.size), next: scaler.next(now, running.size) };
    };

    const began = Date.now();
    let before = await handled(client);
    let [at, answered] = [began, 0];
    const sample = async () => {
      const [seen, after, now] = [await look(), await handled(client), Date.now()];
      const did = [...after].map(([id, requests]) => requests - (before.get(id) ?? 0)).sort((one, other) => other - one);
      const rate = Math.round(((load.answered - answered) / (now - at)) * 1000);
      [before, at, answered] = [after, now, load.answered];
      say({ seconds: (now - began) / 1000, ...seen, rate, did });
    };
    let sampling = Promise.resolve();
    clock = setInterval(() => (sampling = sampling.then(sample).catch((error) => say({ text: error.message }))), 1000);

    const result = { scaler, started: [], stopped: [], idle: await look() };

    // Up: as many copies as the lag asks for, in the steps of the policies.
    say({ text: `${BUSY} commands at a time` });
    load.hold(BUSY);
    const waiting = await eventually("commands to wait", async () => {
      const seen = await look();
      return seen.lag > scaler.threshold * scaler.least * 2 && seen;
    });
    for (let seen = waiting; seen.next > seen.copies; seen = await look()) {
      const wanted = Array.from({ length: seen.next - seen.copies }, () => "menu");
      const known = new Set((await handled(client)).keys());
      const start = Date.now();
      await fleet.script("start", ...wanted);
      const serving = Date.now();
      for (const name of names()) running.add(name);
      // Each of the new ones has taken some of it.
      const shared = await eventually("every new copy to take its share", async () => {
        const fresh = [...(await handled(client))].filter(([id]) => !known.has(id)).map(([, requests]) => requests);
        return fresh.length === wanted.length && fresh.every((requests) => requests > 0) && fresh;
      });
      result.started.push({ copies: wanted.length, shared });
      say({ text: `lag ${seen.lag}: ${wanted.length} copies more, started in ${serving - start} ms; ${Date.now() - serving} ms later they had answered ${shared.join(", ")}` });
      await more(1000);
    }
    // How the work is shared once all of them are there.
    const from = await handled(client);
    await more(500 * running.size);
    const to = await handled(client);
    result.shares = [...to].map(([id, requests]) => requests - (from.get(id) ?? 0));

    // Down, while commands come: one copy at a time.
    say({ text: `${QUIET} commands at a time` });
    load.hold(QUIET);
    await eventually("less to wait", async () => (await lag()) < QUIET * 1.2);
    result.quiet = await look();
    for (let seen = result.quiet; seen.copies > seen.desired; seen = await look()) {
      const name = [...running].at(-1);
      const unanswered = load.waiting.size;
      const begin = Date.now();
      const output = await fleet.script("stop", name);
      running.delete(name);
      result.stopped.push({ name, unanswered, output });
      say({ text: `lag ${seen.lag}: ${name} told to end with ${unanswered} commands unanswered, gone after ${Date.now() - begin} ms` });
      await more(1000);
    }

    load.hold(0);
    await eventually("every command to be answered", () => load.waiting.size === 0);
    await client.queueEmpty();
    await eventually("nothing to be in work", async () => (await lag()) === 0);
    clearInterval(clock);
    await sampling;
    await sample();
    result.end = await look();
    const { num_redelivered } = await client.jsm.consumers.info(scaler.stream, scaler.consumer);
    Object.assign(result, { sent: load.sent, answered: load.answered, twice: load.twice, wrong: load.wrong, redelivered: num_redelivered, deadLetters: await client.lastDeadLetter() });
    failed = false;
    return result;
  } finally {
    clearInterval(clock);
    await client?.close();
    await fleet.down({ failed });
  }
}

// A sample or a text for people.
export function line(entry) {
  if (entry.text) return `          ${entry.text}`;
  const { seconds, lag, copies, desired, rate, did } = entry;
  return `${seconds.toFixed(1).padStart(6)} s  lag ${`${lag}`.padStart(4)}  copies ${`${copies}`.padStart(2)}, wanted ${`${desired}`.padStart(2)}  ${`${rate}`.padStart(5)} answers/s  by copy: ${did.join(" ")}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const result = await simulate((entry) => console.log(line(entry)));
  const { sent, answered, twice, redelivered, deadLetters } = result;
  console.log(`${sent} commands, ${answered} answered, ${twice} of them twice, ${redelivered} delivered again, ${deadLetters} dead letters`);
  process.exitCode = sent === answered && twice === 0 ? 0 : 1;
}
