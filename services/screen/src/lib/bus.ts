// The pages' way to the bus: NATS over nats-server's own WebSocket listener.
//
// What a page sends as an event is stored once or visibly not sent:
//  - while there is no connection nothing is taken: `event` fails at once, and nothing waits for a connection unseen;
//  - an event that was under way when the connection broke goes out again under the same msg_id, which the stream and
//    the orchestrator count once, if the page still means it (`resume`), and fails otherwise;
//  - so does an event that was under way when the page was loaded again (`keep`), and `lost` says when it fails;
//  - events go out one after the other, so that they keep their order.
import { headers as natsHeaders, nkeyAuthenticator, wsconnect, type ConnectionOptions, type Msg, type NatsConnection, type Subscription } from "@nats-io/nats-core";
import { signal, type ReadonlySignal } from "@preact/signals";
import { decode, encode, envelope, isObject, list, type Fields } from "./message";

export interface BusOptions {
  // Several, separated by commas, are one cluster.
  url: string;
  name: string;
  user?: string | undefined;
  // A password, or the seed of the user's nkey.
  password?: string | undefined;
  // Where this user's replies come to, where each has a place of its own.
  inboxPrefix?: string | undefined;
  // Whoever types a password is told when it is wrong: `open` then fails instead of trying for ever.
  impatient?: boolean;
  // Called when there will be no further connection, such as after a changed password.
  ended?: () => void;
  // Called with each connection before `link` says online. What it returns says of each event that was under way
  // whether it is still meant. `current` turns false when that connection is lost: then nobody waits for the answer.
  resume?: (current: () => boolean) => Promise<(sessionId: string) => boolean>;
  // A key of sessionStorage under which events that are under way outlive the page.
  keep?: string;
  // Called for an event of the page before this one that will not be sent; there is nobody else who waits for it.
  lost?: () => void;
}

export type Link = "connecting" | "online" | "offline";

// Somebody's input did not reach the bus, and will not.
export class NotSent extends Error {}

interface Sending {
  subject: string;
  headers: Record<string, string>;
  sessionId: string;
  body: string;
  // Date.now() of the customer's hand.
  at: number;
  resolve: () => void;
  reject: (error: Error) => void;
}

const ACK_MS = 1500;
const RETRY_MS = 150;
const GIVE_UP_MS = 10_000;
const RECONNECT_MS = 150;
// The stream knows a msg_id again for at least as long as this.
const KEPT_MS = 90_000;
// A cable that was pulled is noticed after two pings without an answer.
const PING_MS = 2_500;

const bytes = new TextEncoder();

const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

export function toHeaders(fields: Record<string, string>) {
  const made = natsHeaders();
  for (const [name, value] of Object.entries(fields)) made.set(name, value);
  return made;
}

const SEED = /^SU[A-Z2-7]{56}$/;

// What the server is shown of who this is.
function proof(user: string | undefined, password = ""): ConnectionOptions {
  if (!user) return {};
  return SEED.test(password) ? { authenticator: nkeyAuthenticator(new TextEncoder().encode(password)) } : { user, pass: password };
}

export class Bus {
  readonly #options: BusOptions;
  readonly #link = signal<Link>("connecting");
  // Events that are on their way.
  readonly #pending = signal(0);
  readonly #subscriptions: { subject: string; hear: (message: Msg) => void }[] = [];
  #nc: NatsConnection | undefined;
  #queue: Sending[] = [];
  #pumping = false;
  // Rises with each connection and each loss: an older number's work is over.
  #era = 0;

  constructor(options: BusOptions) {
    this.#options = options;
    this.#recall();
  }

  get link(): ReadonlySignal<Link> {
    return this.#link;
  }
  get pending(): ReadonlySignal<number> {
    return this.#pending;
  }

  // To be called once, after the subscriptions.
  async open(): Promise<void> {
    const { url, name, user, password, inboxPrefix, impatient } = this.#options;
    this.#nc = await wsconnect({
      servers: url.split(","),
      name,
      ...proof(user, password),
      ...(inboxPrefix ? { inboxPrefix } : {}),
      waitOnFirstConnect: !impatient,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_MS,
      reconnectJitter: RECONNECT_MS,
      timeout: 2_000,
      pingInterval: PING_MS,
      maxPingOut: 2,
      ignoreClusterUpdates: true,
    });
    void this.#watch(this.#nc);
    for (const { subject, hear } of this.#subscriptions) this.#listen(subject, hear);
    void this.#arrive();
  }

  // Calls `hear` with each message, over all connections.
  subscribe(subject: string, hear: (message: Msg) => void): void {
    this.#subscriptions.push({ subject, hear });
    if (this.#nc) this.#listen(subject, hear);
  }

  #listen(subject: string, hear: (message: Msg) => void): Subscription {
    return this.#nc!.subscribe(subject, {
      callback: (error, message) => {
        if (!error) hear(message);
      },
    });
  }

  // A message on the core path, such as a frame of sound; dropped while there is no connection.
  publish(subject: string, data: Uint8Array, headers: Record<string, string> = {}): void {
    if (this.#link.peek() === "online") this.#nc?.publish(subject, data, { headers: toHeaders(headers) });
  }

  // The payload of the answer to a command, on the plain path.
  async request(subject: string, payload: Fields, headers: Record<string, string> = {}, timeout = 2_000): Promise<Fields> {
    return (await this.exchange(subject, payload, headers, timeout)).payload;
  }

  // The same with the answer's whole envelope.
  async exchange(subject: string, payload: Fields, headers: Record<string, string> = {}, timeout = 2_000): Promise<Fields & { payload: Fields }> {
    const reply = await this.#nc!.request(subject, encode(envelope(payload)), { timeout, headers: toHeaders(headers) });
    const message = decode(reply.data);
    if (!message || !isObject(message["payload"])) throw new Error(`${subject} was answered with something that is no message`);
    if (message["payload"]["status"] === "error") throw new Error(String(message["payload"]["error_message"]));
    return { ...message, payload: message["payload"] };
  }

  // The answer to bytes that need no envelope: the server's own services, and messages that were somebody else's.
  ask(subject: string, data: Uint8Array, headers: Record<string, string> = {}, timeout = 2_000): Promise<Msg> {
    if (!this.#nc || this.#link.peek() === "offline") return Promise.reject(new NotSent("there is no connection"));
    return this.#nc.request(subject, data, { timeout, headers: toHeaders(headers) });
  }

  // Calls `hear` with each answer that comes within `milliseconds`: several may have one.
  async gather(subject: string, milliseconds: number, hear: (message: Msg) => void): Promise<void> {
    if (!this.#nc || this.#link.peek() !== "online") return;
    const answers = await this.#nc.requestMany(subject, new Uint8Array(), { strategy: "timer", maxWait: milliseconds });
    for await (const message of answers) hear(message);
  }

  async close(): Promise<void> {
    await this.#nc?.close();
  }

  // Resolves when the stream has stored the event; fails with NotSent when it was not taken.
  event(subject: string, payload: object, { headers = {}, sessionId = "" }: { headers?: Record<string, string>; sessionId?: string } = {}): Promise<void> {
    if (this.#link.peek() !== "online") return Promise.reject(new NotSent("there is no connection"));
    const message = envelope(payload, sessionId);
    return new Promise<void>((resolve, reject) => {
      this.#queue.push({
        subject,
        headers: { ...headers, "Nats-Msg-Id": message.msg_id },
        sessionId,
        body: JSON.stringify(message),
        at: Date.now(),
        resolve,
        reject,
      });
      this.#note();
      void this.#pump();
    });
  }

  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    let since = performance.now();
    while (this.#queue.length > 0 && this.#link.peek() === "online") {
      const sending = this.#queue[0]!;
      const era = this.#era;
      let refusal = "it was not stored in time";
      try {
        const reply = await this.#nc!.request(sending.subject, bytes.encode(sending.body), { timeout: ACK_MS, headers: toHeaders(sending.headers) });
        const ack = decode(reply.data);
        if (ack && typeof ack["stream"] === "string") {
          this.#settle(sending).resolve();
          since = performance.now();
          continue;
        }
        refusal = isObject(ack?.["error"]) ? String(ack["error"]["description"]) : "the bus did not take it";
      } catch {
        // No answer, or nobody who stores: the stream of a server that has just started may still be on its way.
      }
      if (era !== this.#era) break;
      if (performance.now() - since > GIVE_UP_MS) {
        this.#settle(sending).reject(new NotSent(refusal));
        since = performance.now();
      } else {
        await pause(RETRY_MS);
      }
    }
    this.#pumping = false;
    if (this.#queue.length > 0 && this.#link.peek() === "online") void this.#pump();
  }

  #settle(sending: Sending): Sending {
    this.#queue = this.#queue.filter((other) => other !== sending);
    this.#note();
    return sending;
  }

  // The queue has changed.
  #note(): void {
    this.#pending.value = this.#queue.length;
    const { keep } = this.#options;
    if (!keep) return;
    try {
      if (this.#queue.length === 0) sessionStorage.removeItem(keep);
      else sessionStorage.setItem(keep, JSON.stringify(this.#queue.map(({ subject, headers, sessionId, body, at }) => ({ subject, headers, sessionId, body, at }))));
    } catch (error) {
      // A browser without room keeps nothing over a reload; everything else goes on.
      console.warn(error);
    }
  }

  // What was under way when the page before this one went.
  #recall(): void {
    const { keep, lost } = this.#options;
    if (!keep) return;
    try {
      const kept: unknown = JSON.parse(sessionStorage.getItem(keep) ?? "[]");
      for (const { subject, headers, sessionId, body, at } of list(kept as Sending[])) {
        this.#queue.push({ subject, headers, sessionId, body, at, resolve: () => {}, reject: () => lost?.() });
      }
    } catch (error) {
      console.warn(error);
    }
    this.#pending.value = this.#queue.length;
  }

  async #watch(nc: NatsConnection): Promise<void> {
    for await (const status of nc.status()) {
      if (status.type === "disconnect" || status.type === "staleConnection" || status.type === "close") this.#lose();
      if (status.type === "reconnect") void this.#arrive();
    }
    this.#lose();
    this.#options.ended?.();
  }

  #lose(): void {
    this.#era++;
    this.#link.value = "offline";
  }

  // A connection is there: what the page has to know is asked for before customers may go on.
  async #arrive(): Promise<void> {
    const era = ++this.#era;
    if (this.#link.peek() !== "offline") this.#link.value = "connecting";
    const meant = (await this.#options.resume?.(() => era === this.#era)) ?? (() => true);
    if (era !== this.#era) return;
    for (const sending of [...this.#queue]) {
      if (!meant(sending.sessionId) || Date.now() - sending.at > KEPT_MS) this.#settle(sending).reject(new NotSent("the connection was lost meanwhile"));
    }
    this.#link.value = "online";
    void this.#pump();
  }
}
