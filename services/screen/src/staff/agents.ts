// Who runs and how well: $SRV.STATS, heartbeats, what waits in the streams, service errors.
import { signal } from "@preact/signals";
import { type Bus } from "../lib/bus";
import { decode, isObject } from "../lib/message";
import { Latency, plus, readHistogram, type Histogram, type Point } from "./latency";
import { Poll } from "./poll";
import { consumers } from "./stream";

// answers: it is there, and its heartbeat, which says whether it serves, is still to come.
// silent: no copy answers, and the last one went without a word. stopped: all went on purpose. absent: the streams have work for
// it, and it has taken none of it yet, since they were made.
export type Health = "serving" | "answers" | "not_serving" | "draining" | "silent" | "stopped" | "absent";

export interface Copy {
  id: string;
  name: string;
  version: string;
  seen: number;
  status: string;
  requests: number;
  errors: number;
  // Of all that it handles, since its start; undefined: it tells none.
  latency: Histogram | undefined;
  lastError: string;
  memory: number;
  cpu: number;
}

export interface Agent {
  name: string;
  // What its living copies are.
  health: Health;
  copies: Copy[];
  // Of a service with living copies, those that went without a word, and when the last of them did.
  lost: { copies: number; at: number } | undefined;
  requests: number;
  errors: number;
  lastError: string;
  // How long it took for what it handled in the last minutes, ms, and in each step of them; undefined: nothing to do.
  latency: Point | undefined;
  history: (Point | undefined)[];
  // Median of how long it took to answer this page, of the last minutes, ms; undefined: no answer yet.
  answersIn: number | undefined;
  // Of its durable consumers; undefined: it has none.
  lag: number | undefined;
  inWork: number;
}

export interface ServiceError {
  at: number;
  service: string;
  type: string;
  message: string;
  severity: string;
  action: string;
}

const POLL_MS = 2_000;
const ANSWER_MS = 1_000;
const SILENT_MS = 7_000;
const PAUSE_MS = 20_000;
// One that has said that it goes is not missed; one that went without a word is for this long.
const GONE_MS = 15_000;
const MISSED_MS = 600_000;
const SAMPLES = 150;
const ERRORS = 30;
const COPIES = 1000;
// <agent>-agent-consumer and the like, of a kiosk with its id behind it.
const CONSUMER = /^([a-z_]+)-(?:[a-z]+-)*consumer(?:-.+)?$/;
const STREAMS = ["KIOSK_COMMANDS", "KIOSK_EVENTS"];

const text = (value: unknown): string => (typeof value === "string" ? value.slice(0, 500) : "");
const count = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : 0);

const median = (values: readonly number[]): number | undefined => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

export class Agents {
  readonly list = signal<Agent[]>([]);
  readonly errors = signal<ServiceError[]>([]);
  readonly #bus: Bus;
  readonly #poll = new Poll(POLL_MS, () => this.#look());
  readonly #copies = new Map<string, Copy>();
  readonly #statuses = new Map<string, { status: string; memory: number; cpu: number }>();
  readonly #samples = new Map<string, number[]>();
  readonly #latencies = new Map<string, Latency>();
  readonly #lags = new Map<string, { lag: number; inWork: number }>();
  // Every agent that was seen or has a durable consumer, and what it is when it has no copy.
  readonly #known = new Map<string, "silent" | "stopped" | "absent">();
  // When the first and the last round of questions ended.
  #began = 0;
  #looked = 0;

  constructor(bus: Bus) {
    this.#bus = bus;
    bus.subscribe("system.health.heartbeat", (message) => {
      const beat = decode(message.data);
      if (!beat) return;
      const metrics = isObject(beat["metrics"]) ? beat["metrics"] : {};
      this.#statuses.set(text(beat["instance_id"]), { status: text(beat["status"]), memory: count(metrics["memory_mb"]), cpu: count(metrics["cpu_percent"]) });
      if (this.#statuses.size > COPIES) this.#statuses.delete(this.#statuses.keys().next().value!);
      this.#show();
    });
    bus.subscribe("system.service.error", (message) => {
      const error = decode(message.data);
      if (!error) return;
      const made = { at: Date.now(), service: text(error["service"]), type: text(error["error_type"]), message: text(error["error_message"]), severity: text(error["severity"]), action: text(error["action_required"]) };
      this.errors.value = [made, ...this.errors.peek()].slice(0, ERRORS);
    });
  }
  start(): void {
    this.#poll.start();
  }
  stop(): void {
    this.#poll.stop();
  }

  async #look(): Promise<void> {
    if (this.#bus.link.peek() !== "online") return this.#show();
    const since = performance.now();
    // After a pause a difference would be of no known time.
    if (Date.now() - this.#looked > PAUSE_MS) this.#latencies.clear();
    const gathered = this.#bus.gather("$SRV.STATS", ANSWER_MS, (message) => {
      const stats = decode(message.data);
      if (!stats || !text(stats["name"]) || !text(stats["id"])) return;
      const id = text(stats["id"]);
      if (this.#copies.size >= COPIES && !this.#copies.has(id)) return;
      const name = text(stats["name"]);
      this.#known.set(name, "silent");
      const copy: Copy = { id, name, version: text(stats["version"]), seen: Date.now(), status: "", requests: 0, errors: 0, latency: undefined, lastError: "", memory: 0, cpu: 0 };
      for (const endpoint of Array.isArray(stats["endpoints"]) ? (stats["endpoints"] as unknown[]).filter(isObject) : []) {
        copy.requests += count(endpoint["num_requests"]);
        copy.errors += count(endpoint["num_errors"]);
        copy.lastError ||= text(endpoint["last_error"]);
        const latency = readHistogram(endpoint["data"]);
        if (latency) copy.latency = (copy.latency && plus(copy.latency, latency)) ?? latency;
      }
      this.#copies.set(id, copy);
      const samples = this.#samples.get(name) ?? [];
      samples.push(performance.now() - since);
      this.#samples.set(name, samples.slice(-SAMPLES));
      if (!copy.latency) return;
      const latencies = this.#latencies.get(name) ?? new Latency();
      this.#latencies.set(name, latencies);
      latencies.add(id, copy.latency, copy.seen);
    });
    const [, ...waiting] = await Promise.all([gathered, ...STREAMS.map((stream) => consumers(this.#bus, stream))]);
    const idle = new Map<string, boolean>();
    for (const consumer of waiting.flat()) {
      const name = text(consumer["name"]);
      this.#lags.set(name, { lag: count(consumer["num_pending"]), inWork: count(consumer["num_ack_pending"]) });
      const service = CONSUMER.exec(name)?.[1];
      if (!service) continue;
      const delivered = isObject(consumer["delivered"]) ? count(consumer["delivered"]["consumer_seq"]) : 0;
      idle.set(service, (idle.get(service) ?? true) && delivered === 0 && count(consumer["num_waiting"]) === 0);
    }
    for (const [service, never] of idle) {
      const known = this.#known.get(service);
      if (known === undefined || (known === "absent" && !never)) this.#known.set(service, never ? "absent" : "silent");
    }
    this.#looked = Date.now();
    this.#began ||= this.#looked;
    this.#show();
  }

  #show(): void {
    // Who did not answer is judged by the last time that all were asked.
    const now = this.#looked;
    const agents = new Map<string, Copy[]>();
    // One that is slow to answer for the first time is not missed at once.
    if (this.#began > 0 && now - this.#began > SILENT_MS) for (const name of this.#known.keys()) agents.set(name, []);
    for (const copy of this.#copies.values()) {
      const beat = this.#statuses.get(copy.id);
      const away = now - copy.seen;
      if (away > MISSED_MS || (away > GONE_MS && beat?.status === "draining")) {
        this.#copies.delete(copy.id);
        this.#known.set(copy.name, beat?.status === "draining" ? "stopped" : "silent");
        this.#latencies.get(copy.name)?.forget(copy.id);
        continue;
      }
      const silent = away > SILENT_MS;
      const shown = { ...copy, status: silent ? "silent" : (beat?.status ?? ""), memory: beat?.memory ?? 0, cpu: beat?.cpu ?? 0 };
      agents.set(copy.name, [...(agents.get(copy.name) ?? []), shown]);
    }
    this.list.value = [...agents].sort(([a], [b]) => a.localeCompare(b)).map(([name, copies]) => this.#sum(name, copies));
  }

  #sum(name: string, copies: Copy[]): Agent {
    const living = copies.filter(({ status }) => status !== "silent");
    const lost = copies.filter(({ id, status }) => status === "silent" && this.#statuses.get(id)?.status !== "draining");
    const sum = (of: (copy: Copy) => number) => (living.length > 0 ? living : copies).reduce((total, copy) => total + of(copy), 0);
    const latency = this.#latencies.get(name)?.look(Date.now());
    const lags = [...this.#lags].filter(([consumer]) => consumer.startsWith(`${name}-`)).map(([, value]) => value);
    const some = (status: string) => living.some((copy) => copy.status === status);
    const gone = lost.length > 0 ? "silent" : copies.length > 0 ? "stopped" : (this.#known.get(name) ?? "silent");
    return {
      name,
      copies,
      health: living.length === 0 ? gone : some("degraded") ? "not_serving" : some("draining") ? "draining" : some("") ? "answers" : "serving",
      lost: living.length > 0 && lost.length > 0 ? { copies: lost.length, at: Math.max(...lost.map(({ seen }) => seen)) } : undefined,
      requests: sum((copy) => copy.requests),
      errors: sum((copy) => copy.errors),
      lastError: copies.find((copy) => copy.lastError)?.lastError ?? "",
      latency: latency?.whole,
      history: latency?.steps ?? [],
      answersIn: median(this.#samples.get(name) ?? []),
      lag: lags.length === 0 ? undefined : lags.reduce((total, value) => total + value.lag, 0),
      inWork: lags.reduce((total, value) => total + value.inWork, 0),
    };
  }
}
