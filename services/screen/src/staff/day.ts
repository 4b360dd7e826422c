// What the figures need of the last 24 hours: every screen and every intent, whatever else fills the stream between them.
import { signal } from "@preact/signals";
import { type Bus } from "../lib/bus";
import { decode, isObject, type Fields } from "../lib/message";
import { Poll } from "./poll";
import { next, span, type Stored } from "./stream";

// What one screen offered, and what its cart held, by item; undefined: it shows no cart.
export interface Screen {
  seq: number;
  time: number;
  session: string;
  offers: number[];
  cart: ReadonlyMap<number, number> | undefined;
}
export interface Said {
  seq: number;
  time: number;
  understood: boolean;
}

const STREAM = "KIOSK_EVENTS";
const SCREENS = "kiosk.ui.>";
const INTENTS = ["kiosk.voice.intent", "kiosk.voice.intent.>"];
const POLL_MS = 3_000;
const DAY_MS = 24 * 60 * 60 * 1000;
// Messages that are read of what was before the page was opened, at most.
export const BOUND = 50_000;
// Pieces of the stream are read side by side, the newest first.
const PIECE = 500;
const AT_ONCE = 16;

interface Piece {
  first: number;
  last: number;
  past: boolean;
}

const list = (value: unknown): Fields[] => (Array.isArray(value) ? (value as unknown[]).filter(isObject) : []);
const number = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : 0);

export class Day {
  readonly screens = signal<Screen[]>([]);
  readonly said = signal<Said[]>([]);
  // How much of the past is read, 0 to 1.
  readonly progress = signal(0);
  // The first moment that was read, when the bound left out what was before; undefined: all of the day is there.
  readonly since = signal<number | undefined>(undefined);
  readonly #bus: Bus;
  readonly #bound: number;
  readonly #poll = new Poll(POLL_MS, () => this.look());
  #pieces: Piece[] = [];
  #past = 0;
  #done = 0;
  #read = 0;
  #next = 0;
  #oldest = Infinity;
  #cut = false;

  constructor(bus: Bus, bound = BOUND) {
    this.#bus = bus;
    this.#bound = bound;
  }
  start(): void {
    this.#poll.start();
  }
  stop(): void {
    this.#poll.stop();
  }

  // Reads what is new, and what is left of the past. What fails is read the next time.
  async look(): Promise<void> {
    if (this.#bus.link.peek() !== "online") return;
    const { first, last } = await span(this.#bus, STREAM);
    // A stream that was made anew begins with 1 again.
    if (last + 1 < this.#next) this.#forget();
    const past = this.#next === 0;
    const pieces: Piece[] = [];
    for (let end = last; end >= Math.max(1, first, this.#next); end -= PIECE) pieces.push({ first: Math.max(1, first, this.#next, end - PIECE + 1), last: end, past });
    this.#next = last + 1;
    if (past) [this.#past, this.#done] = [pieces.length, 0];
    this.#pieces.unshift(...pieces);
    const screens: Screen[] = [];
    const said: Said[] = [];
    // What others have read is kept when one fails.
    const outcomes = await Promise.allSettled(Array.from({ length: AT_ONCE }, () => this.#work(screens, said)));
    if (this.#cut) this.since.value = this.#oldest;
    const since = Date.now() - DAY_MS;
    const kept = <One extends { seq: number; time: number }>(known: readonly One[], read: readonly One[]) => [...known, ...read].filter(({ time }) => time > since).sort((a, b) => a.seq - b.seq);
    if (screens.length > 0) this.screens.value = kept(this.screens.peek(), screens);
    if (said.length > 0) this.said.value = kept(this.said.peek(), said);
    // Only now: what is read is shown, too.
    if (this.#pieces.length === 0) this.progress.value = 1;
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }

  #forget(): void {
    this.#pieces = [];
    this.#next = this.#read = 0;
    this.#oldest = Infinity;
    this.#cut = false;
    this.screens.value = [];
    this.said.value = [];
    this.since.value = undefined;
  }

  async #work(screens: Screen[], said: Said[]): Promise<void> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (!piece) break;
      if (piece.past && this.#read >= this.#bound) {
        this.#pieces = this.#pieces.filter(({ past }) => !past);
        this.#cut = true;
        continue;
      }
      try {
        const here: Screen[] = [];
        const words: Said[] = [];
        await this.#each(SCREENS, piece, (stored) => here.push(screenOf(stored)));
        for (const subject of INTENTS) await this.#each(subject, piece, (stored) => words.push(saidOf(stored)));
        screens.push(...here.filter(({ session, offers, cart }) => session !== "" && (offers.length > 0 || cart)));
        said.push(...words);
        if (piece.past) {
          this.#read += here.length + words.length;
          this.progress.value = Math.min(0.99, ++this.#done / this.#past);
        }
        for (const { time } of [...here, ...words]) this.#oldest = Math.min(this.#oldest, time);
      } catch (error) {
        this.#pieces.unshift(piece);
        throw error;
      }
    }
  }

  async #each(subject: string, { first, last }: Piece, take: (stored: Stored) => void): Promise<void> {
    for (let from = first; from <= last; ) {
      const stored = await next(this.#bus, STREAM, from, subject);
      if (!stored || stored.seq > last) break;
      take(stored);
      from = stored.seq + 1;
    }
  }
}

const payloadOf = (stored: Stored): { session: string; payload: Fields } => {
  const message = decode(stored.data);
  return { session: typeof message?.["session_id"] === "string" ? message["session_id"] : "", payload: isObject(message?.["payload"]) ? message["payload"] : {} };
};

function screenOf(stored: Stored): Screen {
  const { session, payload } = payloadOf(stored);
  const data = list(payload["components"]).map(({ type, data }) => ({ type, data: isObject(data) ? data : {} }));
  const lines = data.find(({ type }) => type === "CartLines" || type === "OrderSummary");
  const cart = lines && new Map<number, number>();
  for (const line of list(lines?.data["lines"])) cart?.set(number(line["item_id"]), (cart.get(number(line["item_id"])) ?? 0) + number(line["quantity"]));
  const offers = data.filter(({ type }) => type === "Upsell").flatMap((one) => list(one.data["suggestions"]).map((offer) => number(offer["item_id"])));
  return { seq: stored.seq, time: stored.time, session, offers, cart };
}

function saidOf(stored: Stored): Said {
  const { payload } = payloadOf(stored);
  return { seq: stored.seq, time: stored.time, understood: typeof payload["intent_type"] === "string" && payload["intent_type"] !== "unknown" };
}
