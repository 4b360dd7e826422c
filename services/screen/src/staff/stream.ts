// Reading JetStream's streams message by message, with the rights to look and none to consume.
import { type Bus } from "../lib/bus";
import { decode, encode, isObject, type Fields } from "../lib/message";

export interface Stored {
  seq: number;
  subject: string;
  time: number;
  headers: Map<string, string>;
  data: Uint8Array;
}

const AT_ONCE = 32;

export const bytesOf = (base64: string): Uint8Array => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

// NATS/1.0, then a line a header. Names are found in any case.
function headersOf(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split("\r\n").slice(1)) {
    const colon = line.indexOf(":");
    if (colon > 0) found.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return found;
}

async function api(bus: Bus, subject: string, body: Fields): Promise<Fields> {
  const answer = decode((await bus.ask(`$JS.API.${subject}`, encode(body))).data);
  if (!answer) throw new Error(`${subject} was answered with something that is no message`);
  const error = answer["error"];
  if (isObject(error)) throw Object.assign(new Error(String(error["description"])), { code: error["code"] });
  return answer;
}

// The bus refuses it to this user.
export const isForbidden = (error: unknown): boolean => {
  const { name, message, cause } = error as Error;
  return /permission/i.test(`${name} ${message} ${String(cause)}`);
};

const isMissing = (error: unknown): boolean => (error as { code?: unknown }).code === 404;

export async function span(bus: Bus, stream: string): Promise<{ first: number; last: number; messages: number }> {
  const { state } = await api(bus, `STREAM.INFO.${stream}`, {});
  if (!isObject(state)) throw new Error(`${stream} has no state`);
  return { first: Number(state["first_seq"]), last: Number(state["last_seq"]), messages: Number(state["messages"]) };
}

// The message that is meant; undefined when there is none any more.
async function get(bus: Bus, stream: string, which: Fields): Promise<Stored | undefined> {
  try {
    const { message } = await api(bus, `STREAM.MSG.GET.${stream}`, which);
    if (!isObject(message)) return undefined;
    return {
      seq: Number(message["seq"]),
      subject: String(message["subject"]),
      time: Date.parse(String(message["time"])),
      headers: headersOf(typeof message["hdrs"] === "string" ? new TextDecoder().decode(bytesOf(message["hdrs"])) : ""),
      data: typeof message["data"] === "string" ? bytesOf(message["data"]) : new Uint8Array(),
    };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export const at = (bus: Bus, stream: string, seq: number): Promise<Stored | undefined> => get(bus, stream, { seq });

// The first at or behind `seq` on `subject`.
export const next = (bus: Bus, stream: string, seq: number, subject: string): Promise<Stored | undefined> => get(bus, stream, { seq, next_by_subj: subject });

// Whether anything on `subject` lies from `from` on and before `below`.
const some = async (bus: Bus, stream: string, subject: string, from: number, below: number): Promise<boolean> => ((await next(bus, stream, from, subject))?.seq ?? below) < below;

// The newest `most` that are there from `first` on and before `below`, in their order; what was deleted between them is stepped over.
export async function newest(bus: Bus, stream: string, subject: string, first: number, below: number, most: number): Promise<Stored[]> {
  let found: Stored[] = [];
  let end = below;
  while (end > first && found.length < most) {
    const from = Math.max(first, end - AT_ONCE);
    const read = await range(bus, stream, from, end - 1);
    found = [...read, ...found];
    end = from;
    if (read.length > 0) continue;
    // A gap: strides that double, then the last one halved until its upper edge is the newest before the gap.
    let step = AT_ONCE;
    let low = end;
    let high = end;
    do {
      high = low;
      low = Math.max(first, low - step);
      step *= 2;
    } while (low > first && !(await some(bus, stream, subject, low, end)));
    if (low === first && !(await some(bus, stream, subject, low, end))) break;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (await some(bus, stream, subject, middle, end)) low = middle;
      else high = middle;
    }
    end = low + 1;
  }
  return found.slice(-most);
}

// Those of `seqs` that are there, in their order.
export async function those(bus: Bus, stream: string, seqs: readonly number[]): Promise<Stored[]> {
  const found: Stored[] = [];
  for (let from = 0; from < seqs.length; from += AT_ONCE) {
    const some = await Promise.all(seqs.slice(from, from + AT_ONCE).map((seq) => at(bus, stream, seq)));
    for (const one of some) if (one) found.push(one);
  }
  return found;
}

// All that are there from `first` to `last`, in their order.
export const range = (bus: Bus, stream: string, first: number, last: number): Promise<Stored[]> => those(bus, stream, Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index));

export async function remove(bus: Bus, stream: string, seq: number): Promise<void> {
  await api(bus, `STREAM.MSG.DELETE.${stream}`, { seq });
}

// The server gives them in pages.
export async function consumers(bus: Bus, stream: string): Promise<Fields[]> {
  const found: Fields[] = [];
  for (;;) {
    const { consumers: page, total } = await api(bus, `CONSUMER.LIST.${stream}`, { offset: found.length });
    const some = Array.isArray(page) ? (page as unknown[]).filter(isObject) : [];
    found.push(...some);
    if (some.length === 0 || found.length >= Number(total)) return found;
  }
}
