// Each kiosk as it stands: asked from the orchestrator whenever its screen changes.
import { effect, signal } from "@preact/signals";
import { type Bus } from "../lib/bus";
import { isObject } from "../lib/message";
import { extrasOf, type Journal } from "./journal";

export interface Kiosk {
  id: string;
  session: string;
  state: string;
  layout: string;
  lines: { name: string; quantity: number; price: number; extras: string[] }[];
  total: number;
  at: number;
}

const MOST = 2_000;
const SNAPSHOT_MS = 5_000;

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const number = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : 0);

export class Kiosks {
  readonly all = signal<ReadonlyMap<string, Kiosk>>(new Map());
  readonly #bus: Bus;
  readonly #stop: () => void;
  // The last event of each kiosk that was looked at.
  readonly #known = new Map<string, number>();
  readonly #asking = new Set<string>();
  #seen = 0;

  constructor(bus: Bus, journal: Journal) {
    this.#bus = bus;
    this.#stop = effect(() => {
      const happenings = journal.happenings.value;
      if (bus.link.value !== "online") return;
      for (let index = happenings.length - 1; index >= 0 && happenings[index]!.seq > this.#seen; index--) {
        const { subject, kiosk, seq } = happenings[index]!;
        if (!/^kiosk\.(ui|session)\./.test(subject) || (this.#known.get(kiosk) ?? 0) >= seq) continue;
        if (this.#known.size >= MOST && !this.#known.has(kiosk)) continue;
        this.#known.set(kiosk, seq);
        void this.#ask(kiosk);
      }
      this.#seen = happenings.at(-1)?.seq ?? 0;
    });
  }
  stop(): void {
    this.#stop();
  }

  // One question at a time for a kiosk; what changed meanwhile is asked for once more.
  async #ask(id: string): Promise<void> {
    if (this.#asking.has(id)) return;
    this.#asking.add(id);
    try {
      let seq: number | undefined;
      do {
        seq = this.#known.get(id);
        const answer = await this.#bus.request("kiosk.agent.orchestrator.snapshot", { command: "snapshot", kiosk_id: id }, { "Kiosk-Id": id }, SNAPSHOT_MS);
        const cart = isObject(answer["cart"]) ? answer["cart"] : {};
        const lines = Array.isArray(cart["lines"]) ? (cart["lines"] as unknown[]).filter(isObject) : [];
        const ui = isObject(answer["ui"]) ? answer["ui"] : {};
        const made: Kiosk = {
          id,
          session: text(answer["session_id"]),
          state: text(answer["state"]),
          layout: text(ui["layout_mode"]),
          lines: lines.map((line) => ({
            name: text(line["name"]) || `#${number(line["item_id"])}`,
            quantity: number(line["quantity"]),
            price: number(line["price"]),
            extras: extrasOf(line),
          })),
          total: number(cart["total"]),
          at: Date.now(),
        };
        this.all.value = new Map([...this.all.peek(), [id, made]]);
      } while (seq !== this.#known.get(id));
    } catch (error) {
      // The next change of its screen asks again.
      console.warn(error);
    } finally {
      this.#asking.delete(id);
    }
  }
}
