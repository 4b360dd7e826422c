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

// All that are there from `first` to `last`, in their order.
export async function range(bus: Bus, stream: string, first: number, last: number): Promise<Stored[]> {
  const found: Stored[] = [];
  for (let from = first; from <= last; from += AT_ONCE) {
    const some = await Promise.all(Array.from({ length: Math.min(AT_ONCE, last - from + 1) }, (_, index) => at(bus, stream, from + index)));
    for (const one of some) if (one) found.push(one);
  }
  return found;
}

export async function remove(bus: Bus, stream: string, seq: number): Promise<void> {
  await api(bus, `STREAM.MSG.DELETE.${stream}`, { seq });
}

export const consumers = async (bus: Bus, stream: string): Promise<Fields[]> => {
  const answer = await api(bus, `CONSUMER.LIST.${stream}`, { offset: 0 });
  return Array.isArray(answer["consumers"]) ? (answer["consumers"] as unknown[]).filter(isObject) : [];
};
