// How long agents take for what they handle, of the last minutes: $SRV.STATS has histograms that count since an agent's start,
// and what happened between two answers is the difference of two.
import { isObject } from "../lib/message";

export interface Histogram {
  // Upper bounds, ms, ascending.
  le: readonly number[];
  // How many took at most that long.
  buckets: readonly number[];
  count: number;
}

export interface Point {
  p50: number;
  p99: number;
}

export const WINDOW_MS = 300_000;
export const STEP_MS = 10_000;
const STEPS = WINDOW_MS / STEP_MS;
const MOST_BOUNDS = 100;

const ascending = (values: readonly number[]) => values.every((value, index) => index === 0 || value >= values[index - 1]!);
const numbers = (value: unknown): readonly number[] | undefined =>
  Array.isArray(value) && value.length <= MOST_BOUNDS && value.every((one) => typeof one === "number" && Number.isFinite(one) && one >= 0) && ascending(value) ? value : undefined;

// The `data` of an endpoint; undefined where a service has none, or something else.
export function readHistogram(data: unknown): Histogram | undefined {
  const latency = isObject(data) ? data["latency_ms"] : undefined;
  if (!isObject(latency)) return undefined;
  const le = numbers(latency["le"]), buckets = numbers(latency["buckets"]);
  const count = latency["count"];
  if (!le || le.length === 0 || !buckets || buckets.length !== le.length || typeof count !== "number" || !(count >= buckets.at(-1)!)) return undefined;
  return { le, buckets, count };
}

const sameBounds = (a: Histogram, b: Histogram) => a.le.length === b.le.length && a.le.every((bound, index) => bound === b.le[index]);

// Undefined: they have other bounds.
export function plus(a: Histogram, b: Histogram): Histogram | undefined {
  return sameBounds(a, b) ? { le: a.le, buckets: a.buckets.map((count, index) => count + b.buckets[index]!), count: a.count + b.count } : undefined;
}

// Undefined: `before` is none of the same process.
export function minus(now: Histogram, before: Histogram): Histogram | undefined {
  if (!sameBounds(now, before)) return undefined;
  const buckets = now.buckets.map((count, index) => count - before.buckets[index]!);
  const count = now.count - before.count;
  return buckets.every((value) => value >= 0) && ascending(buckets) && count >= (buckets.at(-1) ?? 0) ? { le: now.le, buckets, count } : undefined;
}

// As Prometheus' histogram_quantile(): even within a bucket, the last bound beyond it. Undefined: there was nothing.
export function quantile({ le, buckets, count }: Histogram, share: number): number | undefined {
  if (count <= 0) return undefined;
  const rank = share * count;
  const index = buckets.findIndex((value) => value >= rank);
  if (index < 0) return le.at(-1);
  const low = index === 0 ? 0 : le[index - 1]!;
  const before = index === 0 ? 0 : buckets[index - 1]!;
  const within = buckets[index]! - before;
  return within <= 0 ? low : low + ((le[index]! - low) * (rank - before)) / within;
}

const point = (histogram: Histogram | undefined): Point | undefined => {
  const p50 = histogram && quantile(histogram, 0.5), p99 = histogram && quantile(histogram, 0.99);
  return p50 === undefined || p99 === undefined ? undefined : { p50, p99 };
};

// Of one agent, over all its copies.
export class Latency {
  readonly #last = new Map<string, Histogram>();
  readonly #steps = new Map<number, Histogram>();

  // What a copy has counted by now. The first time of a copy tells nothing of when that was.
  add(copy: string, counted: Histogram, now: number): void {
    const before = this.#last.get(copy);
    this.#last.set(copy, counted);
    const happened = before && minus(counted, before);
    if (!happened || happened.count === 0) return;
    const step = Math.floor(now / STEP_MS);
    const known = this.#steps.get(step);
    this.#steps.set(step, (known && plus(known, happened)) ?? happened);
    for (const old of this.#steps.keys()) if (old <= step - STEPS) this.#steps.delete(old);
  }
  forget(copy: string): void {
    this.#last.delete(copy);
  }

  // Of the window as a whole, and of its steps, oldest first. Undefined: nothing was handled.
  look(now: number): { whole: Point | undefined; steps: (Point | undefined)[] } {
    const newest = Math.floor(now / STEP_MS);
    const steps = Array.from({ length: STEPS }, (_, index) => this.#steps.get(newest - STEPS + 1 + index));
    const whole = steps.reduce((all, step) => (all && step ? (plus(all, step) ?? step) : (step ?? all)), undefined);
    return { whole: point(whole), steps: steps.map(point) };
  }
}
