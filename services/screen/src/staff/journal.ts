// What happened: KIOSK_EVENTS, its last part and what comes, plus every order of the 24 h that the stream keeps.
import { signal } from "@preact/signals";
import { type Bus } from "../lib/bus";
import { decode, isObject, type Fields } from "../lib/message";
import { Poll } from "./poll";
import { at, next, range, span, type Stored } from "./stream";

export interface Happening {
  seq: number;
  time: number;
  // Without the kiosk's id, such as kiosk.input.touch.
  subject: string;
  kiosk: string;
  session: string;
  // Of a screen only what is shown here; undefined: malformed.
  payload: Fields | undefined;
}

export interface Order {
  seq: number;
  time: number;
  kiosk: string;
  session: string;
  number: string;
  total: number;
  lines: { id: number; name: string; quantity: number; extras: string[] }[];
}

const STREAM = "KIOSK_EVENTS";
const ORDERS = "kiosk.session.order_completed";
const POLL_MS = 1_000;
// How much is read at once, and kept at most.
const PAGE = 2_000;
const KEPT = 20_000;
const DAY_MS = 24 * 60 * 60 * 1000;

const list = (value: unknown): Fields[] => (Array.isArray(value) ? (value as unknown[]).filter(isObject) : []);
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const number = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : 0);

// Customisations and the note of a line.
export const extrasOf = (line: Fields): string[] => [...(Array.isArray(line["customizations"]) ? (line["customizations"] as unknown[]).map(text) : []), text(line["note"])].filter(Boolean);

// What a screen says of the cart. lines undefined: it shows none of them, only how many and how much.
export interface ShownCart {
  lines: { name: string; quantity: number; amount: number; extras: string[] }[] | undefined;
  count: number | undefined;
  total: number | undefined;
}

function cartOf(data: (type: string) => Fields[]): ShownCart | undefined {
  const [lines] = [...data("CartLines"), ...data("OrderSummary")];
  const [totals] = [...data("Totals"), ...data("CartSummary")];
  const [paid] = [...data("PaymentPrompt").map(({ amount }) => amount), ...data("Receipt").map(({ amount_charged }) => amount_charged)];
  if (!lines && !totals && paid === undefined) return undefined;
  return {
    lines: lines && list(lines["lines"]).map((line) => ({ name: text(line["name"]), quantity: number(line["quantity"]), amount: number(line["line_total"]), extras: extrasOf(line) })),
    count: totals && number(totals["count"]),
    total: totals ? number(totals["total"]) : paid === undefined ? undefined : number(paid),
  };
}

// A whole screen is large; what is looked at here is its layout, what it says and offers, and its cart.
function shorten(payload: Fields): Fields {
  const components = list(payload["components"]);
  const data = (type: string) => components.filter((one) => one["type"] === type && isObject(one["data"])).map((one) => one["data"] as Fields);
  return {
    event: payload["event"],
    layout_mode: payload["layout_mode"],
    components: components.map((one) => one["type"]),
    notices: data("Notice").map((one) => text(one["text"] ?? one["message"])),
    cart: cartOf(data),
    offers: data("Upsell").flatMap((one) => list(one["suggestions"]).map((offer) => text(offer["name"]))),
  };
}

export class Journal {
  readonly happenings = signal<Happening[]>([]);
  readonly orders = signal<Order[]>([]);
  // Whether there is more before the first of them.
  readonly more = signal(false);
  readonly loading = signal(true);
  readonly #bus: Bus;
  readonly #kiosk: string;
  readonly #poll = new Poll(POLL_MS, () => this.#look());
  #first = 0;
  #next = 0;
  #nextOrder = 1;
  #start = 1;

  constructor(bus: Bus, defaultKiosk: string) {
    this.#bus = bus;
    this.#kiosk = defaultKiosk;
    // The poll finds what came; these say when it is worth it at once.
    for (const subject of ["kiosk.session.>", "kiosk.ui.>"]) bus.subscribe(subject, () => void this.#poll.now());
  }
  start(): void {
    this.#poll.start();
  }
  stop(): void {
    this.#poll.stop();
  }

  async earlier(): Promise<void> {
    if (this.loading.peek() || !this.more.peek()) return;
    this.loading.value = true;
    try {
      const from = Math.max(this.#start, this.#first - PAGE);
      const read = (await range(this.#bus, STREAM, from, this.#first - 1)).map((stored) => this.#read(stored));
      this.#first = from;
      this.happenings.value = [...read, ...this.happenings.peek()];
      this.more.value = from > this.#start && this.happenings.peek().length < KEPT;
    } finally {
      this.loading.value = false;
    }
  }

  // A message as it is stored, for who wants to see all of it.
  async whole(seq: number): Promise<string> {
    const stored = await at(this.#bus, STREAM, seq);
    if (!stored) return "";
    const body = new TextDecoder().decode(stored.data);
    const message = decode(stored.data);
    if (!message) return body;
    return JSON.stringify(stored.subject.startsWith("kiosk.input.card") ? hideToken(message) : message, null, 2);
  }

  async #look(): Promise<void> {
    if (this.#bus.link.peek() !== "online") return;
    const { first, last } = await span(this.#bus, STREAM);
    // A stream that was made anew begins with 1 again.
    if (last + 1 < this.#next) {
      this.#next = 0;
      this.#nextOrder = 1;
      this.happenings.value = [];
      this.orders.value = [];
    }
    this.#start = Math.max(1, first);
    if (this.#next === 0) {
      this.#first = this.#next = Math.max(this.#start, last - PAGE + 1);
      this.more.value = this.#first > this.#start;
    }
    // Long away: what lies between is left out, and "earlier" begins anew.
    if (last - this.#next > KEPT) {
      this.#first = this.#next = last - PAGE + 1;
      this.happenings.value = [];
      this.more.value = true;
    }
    if (last >= this.#next) {
      const read = (await range(this.#bus, STREAM, this.#next, last)).map((stored) => this.#read(stored));
      this.#next = last + 1;
      const all = [...this.happenings.peek(), ...read];
      this.happenings.value = all.slice(-KEPT);
      if (all.length > KEPT) this.#first = this.happenings.peek()[0]!.seq;
    }
    this.loading.value = false;
    await this.#readOrders();
  }

  async #readOrders(): Promise<void> {
    const read: Order[] = [];
    for (;;) {
      const stored = await next(this.#bus, STREAM, this.#nextOrder, ORDERS);
      if (!stored) break;
      this.#nextOrder = stored.seq + 1;
      const { payload, kiosk, session, time, seq } = this.#read(stored);
      if (!payload) continue;
      read.push({
        seq,
        time,
        kiosk: text(payload["kiosk_id"]) || kiosk,
        session,
        number: text(payload["order_number"]),
        total: number(payload["total"]),
        lines: list(payload["lines"]).map((line) => ({ id: number(line["item_id"]), name: text(line["name"]), quantity: number(line["quantity"]), extras: extrasOf(line) })),
      });
    }
    const since = Date.now() - DAY_MS;
    if (read.length > 0) this.orders.value = [...this.orders.peek(), ...read].filter(({ time }) => time > since);
  }

  #read(stored: Stored): Happening {
    const tokens = stored.subject.split(".");
    const subject = tokens.slice(0, 3).join(".");
    const message = decode(stored.data);
    const payload = isObject(message?.["payload"]) ? message["payload"] : undefined;
    return {
      seq: stored.seq,
      time: stored.time,
      subject,
      kiosk: tokens[3] ?? (stored.headers.get("kiosk-id") || this.#kiosk),
      session: text(message?.["session_id"]),
      payload: payload && (subject === "kiosk.ui.update" ? shorten(payload) : subject === "kiosk.input.card" ? { ...payload, token: "…" } : payload),
    };
  }
}

// A card's token is nobody's business here.
function hideToken(message: Fields): Fields {
  const payload = message["payload"];
  return isObject(payload) ? { ...message, payload: { ...payload, token: "…" } } : message;
}
