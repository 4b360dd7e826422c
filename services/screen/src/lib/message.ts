// The envelope of kiosk.* messages, and reading what comes from the bus: all of it is untrusted.

export interface Envelope<P> {
  msg_id: string;
  timestamp: string;
  session_id: string;
  trace_id: string;
  version: "1.0";
  payload: P;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

// A version 4 UUID. crypto.randomUUID is only there on pages from this machine or over TLS.
export function uuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

export function envelope<P>(payload: P, sessionId = ""): Envelope<P> {
  return { msg_id: uuid(), timestamp: new Date().toISOString(), session_id: sessionId, trace_id: uuid(), version: "1.0", payload };
}

export const encode = (value: unknown): Uint8Array => encoder.encode(JSON.stringify(value));

export type Fields = Record<string, unknown>;

export const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);

// The objects of what should be a list of them; none where it is no list.
export const list = <T extends object>(value: readonly T[] | undefined): T[] => (Array.isArray(value) ? (value as unknown[]).filter((entry): entry is T => isObject(entry)) : []);

// The JSON object in `data`; undefined when there is none.
export function decode(data: Uint8Array): Fields | undefined {
  try {
    const value: unknown = JSON.parse(decoder.decode(data));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
