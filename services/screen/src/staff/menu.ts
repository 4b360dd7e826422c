// The menu as the kiosks see it, and what is off.
import { signal } from "@preact/signals";
import { type Bus } from "../lib/bus";
import { isObject } from "../lib/message";
import { Poll } from "./poll";

export interface Dish {
  id: number;
  name: string;
  price: number;
  available: boolean;
}
export interface Section {
  id: string;
  name: string;
  dishes: Dish[];
}

// Each is an event in the operator's list. Own changes are looked at at once.
const POLL_MS = 10_000;

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const list = (value: unknown) => (Array.isArray(value) ? (value as unknown[]).filter(isObject) : []);

export class Menu {
  readonly sections = signal<Section[] | undefined>(undefined);
  readonly currency = signal("USD");
  readonly problem = signal("");
  readonly changing = signal<ReadonlySet<number>>(new Set());
  readonly #bus: Bus;
  readonly #poll = new Poll(POLL_MS, () => this.#look());

  constructor(bus: Bus) {
    this.#bus = bus;
  }
  start(): void {
    this.#poll.start();
  }
  stop(): void {
    this.#poll.stop();
  }

  async setAvailable(dish: Dish, available: boolean): Promise<void> {
    if (this.changing.peek().has(dish.id)) return;
    this.changing.value = new Set([...this.changing.peek(), dish.id]);
    this.problem.value = "";
    try {
      await this.#bus.request("kiosk.agent.menu.set_availability", { command: "set_availability", item_id: dish.id, available });
      await this.#look();
    } catch (error) {
      this.problem.value = `${dish.name}: ${(error as Error).message}`;
    } finally {
      this.changing.value = new Set([...this.changing.peek()].filter((id) => id !== dish.id));
    }
  }

  async #look(): Promise<void> {
    if (this.#bus.link.peek() !== "online") return;
    const whole = await this.#bus.request("kiosk.agent.menu.list", { command: "list" });
    let sections = list(whole["categories"]);
    // Too large for one message: a category at a time.
    if (whole["truncated"] === true) {
      const parts = await Promise.all(sections.map(({ id }) => this.#bus.request("kiosk.agent.menu.list", { command: "list", category: text(id) })));
      sections = parts.flatMap((part) => list(part["categories"]));
    }
    this.currency.value = text(whole["currency"]) || "USD";
    this.sections.value = sections.map((section) => ({
      id: text(section["id"]),
      name: text(section["name"]),
      dishes: list(section["items"]).map((item) => ({ id: Number(item["id"]), name: text(item["name"]), price: Number(item["price"]), available: item["available"] !== false })),
    }));
  }
}
