// Holds everything that travels on a bus against docs/asyncapi.yaml.
//
//   const traffic = await watch(observer.nc);  // a connection of its own
//   ...                                        // an order
//   await traffic.assertClean("touch", "uiUpdate");
//   ...                                        // what was said at a microphone
//   await traffic.assertClean(...SPOKEN_TURN);
//
// It listens to kiosk.>, agent.> and system.>, and to the inboxes in which commands are answered: while it listens, the server sees interest
// in every inbox, so it is not for tests in which a requester or a puller has to be seen as gone.
import assert from "node:assert/strict";
import { Contract } from "./contract.mjs";

const SUBSCRIPTIONS = ["kiosk.>", "agent.>", "system.>", "_INBOX.>"];
const KEPT = 100; // violations; beyond that they are counted only
const INBOXES = 100_000;

// The channels that a turn uses which is spoken into agent.voice.audio.<room> of the default kiosk, and which puts something into the cart.
export const SPOKEN_TURN = [
  "voiceAudio", "trackPublished", "voiceSessionStarted", "voiceState", "speechStart", "sttRequest", "sttRequestReply", "sttAudio", "sttTranscript", "transcript",
  "brainRequest", "brainResponse", "intent", "uiUpdate", "ttsRequest", "ttsAudio", "ttsCompleted",
];

class Traffic {
  constructor(nc, contract) {
    this.nc = nc;
    this.contract = contract;
    this.violations = []; // {subject, problem, body}
    this.total = 0; // of violations
    this.seen = new Map(); // by the channel's key, how many messages
    this.inboxes = new Map(); // where answers are awaited: the reply channel's key
    this.subscriptions = SUBSCRIPTIONS.map((subject) => nc.subscribe(subject, { callback: (error, message) => !error && this.take(message) }));
  }
  take(message) {
    const { subject, data } = message;
    // A pull consumer's delivery comes to an inbox under its own subject, which was seen when it was published.
    const headers = {};
    for (const name of message.headers?.keys() ?? []) headers[name] = message.headers.get(name);
    if (subject.startsWith("_INBOX.")) {
      const key = this.inboxes.get(subject);
      if (key && !message.headers?.code) this.check(key, subject, headers, data);
      return;
    }
    if (message.reply?.startsWith("$JS.ACK.")) return;
    const key = this.contract.channelOf(subject);
    if (!key) return this.report(subject, data, ["the subject is not in the contract"]);
    this.check(key, subject, headers, data);
    const answers = this.contract.replyOf(key);
    if (!answers) return;
    if (this.inboxes.size > INBOXES) this.inboxes.clear();
    for (const inbox of [headers["Kiosk-Reply-To"], message.reply]) if (inbox) this.inboxes.set(inbox, answers);
  }
  check(key, subject, headers, data) {
    this.seen.set(key, (this.seen.get(key) ?? 0) + 1);
    const problems = this.contract.problems(key, headers, data);
    if (problems.length > 0) this.report(subject, data, problems);
  }
  report(subject, data, problems) {
    ++this.total;
    if (this.violations.length >= KEPT) return;
    this.violations.push({ subject, problem: problems.join("; "), body: Buffer.from(data.subarray(0, 2000)).toString("utf8") });
  }
  // Waits until what the server has sent so far has been taken.
  settle() {
    return this.nc.flush();
  }
  // Throws unless all traffic so far keeps to the contract and each of these channels was used.
  async assertClean(...channels) {
    for (const key of channels) assert.ok(key in this.contract.document.channels, `there is no channel ${key}`);
    await this.settle();
    assert.deepEqual(this.violations, []);
    assert.deepEqual(channels.filter((key) => !this.seen.has(key)), [], "channels never seen");
  }
  stop() {
    for (const subscription of this.subscriptions) subscription.unsubscribe();
    return this.settle();
  }
}

// Begins to watch the traffic on a connection of npm's client `nats`.
export async function watch(nc, contract = Contract.load()) {
  const traffic = new Traffic(nc, contract);
  await nc.flush();
  return traffic;
}
