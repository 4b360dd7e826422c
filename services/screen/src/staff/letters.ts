// Dead letters: what could not be handled, and sending it again as `arcctl deadletter replay` does.
import { signal } from "@preact/signals";
import { type Bus } from "../lib/bus";
import { decode, encode, isObject, uuid, type Fields } from "../lib/message";
import { Poll } from "./poll";
import { bytesOf, isForbidden, newest, remove, span, those, type Stored } from "./stream";

export interface Letter {
  seq: number;
  time: number;
  subject: string;
  // What it is stored under: who wrote it.
  source: string;
  agent: string;
  code: string;
  error: string;
  deliveries: number;
  headers: { name: string; value: string }[];
  body: string;
  // Why it cannot be sent again; empty: it can.
  unsendable: "" | "unreadable" | "cut";
  bytes: Uint8Array;
}

export type Outcome = { seq: number; subject: string; done: boolean; why: "" | "forbidden" | "nobody" | "refused" | "kept" | "cut" | "unreadable"; text: string };

const STREAM = "KIOSK_DEADLETTER";
const EVENTS = /^kiosk\.(vision|voice|input|session|ui)\./;
const COMMANDS = /^kiosk\.(agent|hardware)\./;
const POLL_MS = 5_000;
const ALL = "system.deadletter.>";
// The newest of them; older ones come into sight as these go, or by so many more at a time.
const SHOWN = 200;
// What the role of the staff may send (deploy/nats/rights.toml).
const STAFF = /^kiosk\.agent\.(menu\.(search|details|list|set_availability)|payment\.(status|refund)|(hardware\.(print|led|status)|orchestrator\.snapshot)(\.[^.]+)?)$/;
// A printer may take its time.
const COMMAND_MS = 30_000;

const text = (value: unknown): string => (typeof value === "string" ? value : "");

function read(stored: Stored): Letter {
  const letter = decode(stored.data);
  const common = { seq: stored.seq, time: stored.time, source: stored.subject };
  if (!letter || !text(letter["subject"])) {
    return { ...common, subject: stored.subject, agent: "", code: "", error: "", deliveries: 0, headers: [], body: new TextDecoder().decode(stored.data), unsendable: "unreadable", bytes: new Uint8Array() };
  }
  let bytes = new TextEncoder().encode(text(letter["body"]));
  let unsendable: Letter["unsendable"] = letter["headers_truncated"] === true || letter["body_truncated"] === true ? "cut" : "";
  if (typeof letter["body_base64"] === "string") {
    try {
      bytes = new Uint8Array(bytesOf(letter["body_base64"]));
    } catch {
      unsendable = "unreadable";
    }
  }
  return {
    ...common,
    subject: text(letter["subject"]),
    agent: text(letter["agent"]),
    code: text(letter["error_code"]),
    error: text(letter["error"]),
    deliveries: Number(letter["deliveries"]) || 0,
    headers: (Array.isArray(letter["headers"]) ? (letter["headers"] as unknown[]).filter(isObject) : []).map((header) => ({ name: text(header["name"]), value: text(header["value"]) })),
    // A card's token is nobody's business here.
    body: text(letter["subject"]).startsWith("kiosk.input.card") ? "…" : new TextDecoder().decode(bytes),
    unsendable,
    bytes,
  };
}

// The service that a command is of.
const serviceOf = (subject: string): string => (subject.startsWith("kiosk.hardware.") ? "hardware" : subject.split(".")[2]!);

// Whether its writer takes such messages. Others may write letters, too, but not have this user say what is in them.
function ofItsWriter({ source, subject }: Letter): boolean {
  if (EVENTS.test(subject)) return source.startsWith("system.deadletter.KIOSK_EVENTS.");
  const service = serviceOf(subject);
  return source === `system.deadletter.core.arc-${service}` || source.startsWith(`system.deadletter.KIOSK_COMMANDS.${service}-`);
}

export class Letters {
  // Newest first.
  readonly list = signal<Letter[] | undefined>(undefined);
  readonly busy = signal<number | undefined>(undefined);
  // How many there are, shown or not; undefined: not known yet.
  readonly total = signal<number | undefined>(undefined);
  readonly outcome = signal<Outcome | undefined>(undefined);
  // Subjects that the bus refused to take from this user.
  readonly refused = signal<ReadonlySet<string>>(new Set());
  readonly #bus: Bus;
  readonly #staff: boolean;
  readonly #poll = new Poll(POLL_MS, () => this.look());
  readonly #letters = new Map<number, Letter>();
  #wanted = SHOWN;
  #last = 0;
  // The stream as it was when it was last looked at, and as much of it as no new letter changes.
  #known = "";
  #kept = "";

  constructor(bus: Bus, user: string) {
    this.#bus = bus;
    this.#staff = user === "staff";
    bus.subscribe(ALL, () => void this.#poll.now());
  }
  start(): void {
    this.#poll.start();
  }
  stop(): void {
    this.#poll.stop();
  }

  // Whether this user has the right to send it again, as far as is known before it is tried.
  mayReplay(letter: Letter): boolean {
    return !this.refused.value.has(letter.subject) && (!this.#staff || STAFF.test(letter.subject)) && ofItsWriter(letter);
  }

  older(): void {
    this.#wanted += SHOWN;
    this.#known = "";
    void this.#poll.now();
  }

  async look(): Promise<void> {
    if (this.#bus.link.peek() !== "online") return;
    const { first, last, messages } = await span(this.#bus, STREAM);
    if (last < this.#last) {
      this.#letters.clear();
      this.#last = 0;
    }
    const state = `${first} ${last} ${messages}`;
    if (state === this.#known) return;
    // What others have replayed or purged, or is too old, is gone.
    const kept = `${first} ${messages - last}`;
    if (kept !== this.#kept) {
      const before = [...this.#letters.keys()];
      const there = new Set((await those(this.#bus, STREAM, before)).map(({ seq }) => seq));
      for (const seq of before) if (!there.has(seq)) this.#letters.delete(seq);
    }
    const add = (found: Stored[]) => found.forEach((stored) => this.#letters.set(stored.seq, read(stored)));
    add(await newest(this.#bus, STREAM, ALL, Math.max(first, this.#last + 1), last + 1, this.#wanted));
    for (const seq of [...this.#letters.keys()].sort((a, b) => b - a).slice(this.#wanted)) this.#letters.delete(seq);
    const missing = Math.min(this.#wanted, messages) - this.#letters.size;
    if (missing > 0) add(await newest(this.#bus, STREAM, ALL, first, Math.min(last + 1, ...this.#letters.keys()), missing));
    this.#last = last;
    this.#known = state;
    this.#kept = kept;
    this.list.value = [...this.#letters.values()].sort((a, b) => b.seq - a.seq);
    this.total.value = messages;
  }

  async replay(letter: Letter): Promise<void> {
    if (this.busy.peek() !== undefined) return;
    this.busy.value = letter.seq;
    this.outcome.value = undefined;
    const { seq, subject } = letter;
    let sent = false;
    try {
      if (letter.unsendable) {
        this.outcome.value = { seq, subject, done: false, why: letter.unsendable, text: "" };
        return;
      }
      const answer = await this.#send(letter);
      sent = true;
      await remove(this.#bus, STREAM, seq);
      this.outcome.value = { seq, subject, done: true, why: "", text: answer };
    } catch (error) {
      const { message } = error as Error;
      const why = sent ? "kept" : isForbidden(error) ? "forbidden" : error instanceof Nobody ? "nobody" : "refused";
      this.outcome.value = { seq, subject, done: false, why, text: message };
      if (why === "forbidden") this.refused.value = new Set([...this.refused.peek(), subject]);
    } finally {
      this.busy.value = undefined;
      void this.#poll.now();
    }
  }

  // What it was answered with; fails when it was not taken.
  async #send(letter: Letter): Promise<string> {
    const headers: Record<string, string> = {};
    for (const { name, value } of letter.headers) {
      if (!/^(kiosk-reply-to|kiosk-deadline|nats-.*)$/i.test(name)) headers[name] = value;
    }
    if (EVENTS.test(letter.subject)) {
      // An id of its own: under the old one the stream would take it for a repetition.
      const ack = decode((await this.#bus.ask(letter.subject, letter.bytes, { ...headers, "Nats-Msg-Id": uuid() })).data);
      if (typeof ack?.["stream"] === "string") return `${ack["stream"]} ${String(ack["seq"])}`;
      throw new Error(isObject(ack?.["error"]) ? text(ack["error"]["description"]) : "the bus did not take it");
    }
    if (!COMMANDS.test(letter.subject)) throw new Error("permission: only the operator may send this again");
    const service = serviceOf(letter.subject);
    // The stream listens on every command's subject, so the server does not say that nobody else does.
    try {
      await this.#bus.ask(`$SRV.PING.${service}`, new Uint8Array());
    } catch (error) {
      if (isForbidden(error)) throw error;
      throw new Nobody(service);
    }
    const answer: Fields | undefined = decode((await this.#bus.ask(letter.subject, letter.bytes, headers, COMMAND_MS)).data);
    const payload = answer?.["payload"];
    if (!isObject(payload)) throw new Error("it was answered with something that is no message");
    if (payload["status"] === "error") throw new Error(`${text(payload["error_code"])}: ${text(payload["error_message"])}`);
    return new TextDecoder().decode(encode(payload)).slice(0, 300);
  }
}

class Nobody extends Error {}
