// What the screen knows, and what a customer can do. The screen itself is the orchestrator's: every kiosk.ui.update is the
// whole of it, and a touch is answered with the next one.
import { type Msg } from "@nats-io/nats-core";
import { batch, computed, signal } from "@preact/signals";
import { Bus, NotSent } from "../lib/bus";
import { type Config } from "../lib/config";
import { decode, isObject, type Fields } from "../lib/message";
import type { CardInput, CartAction, TextInput, Touch, UiComponent, UiUpdate } from "../generated/messages";

export interface Screen {
  layout: UiUpdate["layout_mode"];
  theme: string | null;
  components: UiComponent[];
  actions: string[];
  sessionId: string;
  // Counts up with every update.
  number: number;
  // performance.now() of its arrival.
  at: number;
}

const SNAPSHOT_MS = 600;
const RETRY_MS = 120;
// sessionStorage: the session that was last shown, and what is on its way to the bus.
const SESSION = "session";
const UNDER_WAY = "under-way";
// A touch is always answered with a screen. One that stays away was lost on the way.
const ANSWER_MS = 1_500;
// After a reconnect the last screen may be touched when the fleet, which reconnects too, takes longer than this: what is
// touched is stored, and the orchestrator drops what belongs to a session that is over.
const RETURN_MS = 500;
// When it says nothing for as long as this, customers are told.
const SILENT_MS = 2_500;

const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

const isComponent = (value: unknown): value is UiComponent => isObject(value) && typeof value["type"] === "string" && isObject(value["data"]);
const isText = (value: unknown): value is string => typeof value === "string";

const readUpdate = (payload: unknown): Omit<Screen, "sessionId" | "number" | "at"> | undefined => {
  if (!isObject(payload) || !isText(payload["layout_mode"]) || !Array.isArray(payload["components"])) return undefined;
  const actions: unknown[] = Array.isArray(payload["suggested_actions"]) ? payload["suggested_actions"] : [];
  return {
    layout: payload["layout_mode"] as Screen["layout"],
    theme: isText(payload["theme_override"]) ? payload["theme_override"] : null,
    components: (payload["components"] as unknown[]).filter(isComponent),
    actions: actions.filter(isText),
  };
};

export class Kiosk {
  readonly bus: Bus;
  readonly config: Config;
  readonly screen = signal<Screen | undefined>(undefined);
  // Counts the sessions that have ended here: what was typed and chosen on the page belongs to one customer.
  readonly customers = signal(0);
  // Something the customer did was not taken.
  readonly notSent = signal(false);
  // The bus is there, and the fleet behind it does not answer.
  readonly silent = signal(false);
  readonly online = computed(() => this.bus.link.value === "online");
  // How much the fleet's clock is ahead of this one, in ms.
  #clockAhead = 0;
  #updates = 0;
  // Also of the page before this one.
  #sessionId = sessionStorage.getItem(SESSION) ?? "";
  #answerTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(config: Config) {
    this.config = config;
    this.bus = new Bus({
      url: config.nats_ws_url,
      name: `screen of ${config.kiosk_id}`,
      user: config.nats_user,
      password: config.nats_nkey_seed ?? config.nats_password,
      inboxPrefix: config.inbox_prefix,
      resume: (current) => this.#resume(current),
      keep: UNDER_WAY,
      lost: () => (this.notSent.value = true),
    });
    this.bus.subscribe(this.subject("kiosk.ui.update"), (message) => {
      if (!this.isOurs(message)) return;
      const body = decode(message.data);
      const update = readUpdate(body?.["payload"]);
      if (!body || !update) return;
      this.#noteClock(body);
      this.#show(update, isText(body["session_id"]) ? body["session_id"] : "");
    });
  }

  open(): Promise<void> {
    return this.bus.open();
  }

  // A subject that belongs to one kiosk, in this kiosk's form.
  subject(base: string): string {
    return this.config.scoped ? `${base}.${this.config.kiosk_id}` : base;
  }
  get headers(): Record<string, string> {
    return { "Kiosk-Id": this.config.kiosk_id };
  }
  isOurs(message: Msg): boolean {
    return this.config.scoped || (message.headers?.get("Kiosk-Id") || this.config.default_kiosk_id) === this.config.kiosk_id;
  }
  // The fleet's time now, in ms since 1970.
  now(): number {
    return Date.now() + this.#clockAhead;
  }

  touch(action: Touch["action"], fields: Omit<Touch, "event" | "action"> = {}): Promise<boolean> {
    return this.#send("kiosk.input.touch", { event: "touch", action, ...fields } satisfies Touch);
  }
  suggested(label: string): Promise<boolean> {
    return this.touch("suggested_action", { label });
  }
  cart(action: CartAction["action"], item_id: number, fields: Omit<CartAction, "event" | "action" | "item_id"> = {}): Promise<boolean> {
    return this.#send("kiosk.input.cart_action", { event: "cart_action", action, item_id, ...fields } satisfies CartAction);
  }
  text(text: string): Promise<boolean> {
    return this.#send("kiosk.input.text", { event: "text", text } satisfies TextInput, false);
  }
  tap(token: string, order_id: string): Promise<boolean> {
    return this.#send("kiosk.input.card", { event: "card", action: "tap", token, order_id } satisfies CardInput, false);
  }

  // Whether the bus has it.
  async #send(base: string, payload: object, answered = true): Promise<boolean> {
    this.notSent.value = false;
    try {
      const number = this.#updates;
      await this.bus.event(this.subject(base), payload, { headers: this.headers, sessionId: this.screen.peek()?.sessionId ?? "" });
      if (answered) this.#expectAnswer(number);
      return true;
    } catch (error) {
      if (!(error instanceof NotSent)) throw error;
      this.notSent.value = true;
      return false;
    }
  }

  #expectAnswer(number: number): void {
    clearTimeout(this.#answerTimer);
    this.#answerTimer = setTimeout(() => {
      if (this.#updates === number && this.online.peek()) void this.#catchUp(() => this.online.peek() && this.#updates === number);
    }, ANSWER_MS);
  }

  #noteClock(body: Fields): void {
    const sent = isText(body["timestamp"]) ? Date.parse(body["timestamp"]) : NaN;
    if (Number.isFinite(sent)) this.#clockAhead = sent - Date.now();
  }

  #show(update: Omit<Screen, "sessionId" | "number" | "at">, sessionId: string): void {
    const before = this.#sessionId;
    this.#sessionId = sessionId;
    sessionStorage.setItem(SESSION, sessionId);
    batch(() => {
      this.silent.value = false;
      if (before !== "" && before !== sessionId) {
        this.customers.value++;
        this.notSent.value = false;
      }
      this.screen.value = { ...update, sessionId, number: ++this.#updates, at: performance.now() };
    });
  }

  // Shows the fleet's screen as it stands, unless a newer one comes while it is asked for.
  async #askSnapshot(): Promise<string> {
    const number = this.#updates;
    const message = await this.bus.exchange("kiosk.agent.orchestrator.snapshot", { command: "snapshot", kiosk_id: this.config.kiosk_id }, this.headers, SNAPSHOT_MS);
    this.#noteClock(message);
    const answer = message.payload;
    const sessionId = isText(answer["session_id"]) ? answer["session_id"] : "";
    const update = readUpdate(answer["ui"]);
    if (update && this.#updates === number) this.#show(update, sessionId);
    this.silent.value = false;
    return sessionId;
  }

  // Asks until the fleet has said what the screen is, and returns the session; undefined when it no longer matters.
  async #catchUp(current: () => boolean): Promise<string | undefined> {
    const since = performance.now();
    while (current()) {
      try {
        return await this.#askSnapshot();
      } catch {
        if (performance.now() - since > SILENT_MS) this.silent.value = current();
        await pause(RETRY_MS);
      }
    }
    return undefined;
  }

  async #resume(current: () => boolean): Promise<(sessionId: string) => boolean> {
    const answer = this.#catchUp(current);
    const session = await (this.screen.peek() ? Promise.race([answer, pause(RETURN_MS).then(() => undefined)]) : answer);
    // What began without a session began this one, or is welcome in it; what belongs to another one is not meant any more.
    return (sessionId) => session === undefined || sessionId === "" || sessionId === session;
  }
}
