// One line about an event, in the bus's own words.
import { isObject, type Fields } from "../lib/message";
import { type Happening } from "./journal";

const text = (value: unknown): string => (typeof value === "string" ? value : typeof value === "number" ? String(value) : "");
const texts = (value: unknown): string => (Array.isArray(value) ? (value as unknown[]).map(text).filter(Boolean).join(", ") : "");
const said = (value: unknown): string => (text(value) ? `“${text(value)}”` : "");
const join = (...parts: string[]): string => parts.filter(Boolean).join(" ");
const item = (payload: Fields): string => (payload["item_id"] === undefined ? "" : `#${text(payload["item_id"])}`);

const FORMS: Record<string, (payload: Fields) => string> = {
  "kiosk.input.touch": (it) => join(text(it["action"]), item(it), said(it["label"]), said(it["query"]), text(it["category"]), texts(it["customizations"])),
  "kiosk.input.cart_action": (it) => join(text(it["action"]), it["quantity"] === undefined ? "" : `${text(it["quantity"])} ×`, item(it), texts(it["customizations"])),
  "kiosk.input.text": (it) => said(it["text"]),
  "kiosk.input.card": (it) => text(it["action"]),
  "kiosk.voice.transcript": (it) => join(said(it["text"]), it["is_final"] === true ? "" : "…"),
  "kiosk.voice.intent": (it) => join(text(it["intent_type"]), said(it["raw_text"])),
  "kiosk.ui.update": (it) => join(text(it["layout_mode"]), texts(it["notices"]) && `· ${texts(it["notices"])}`, texts(it["offers"]) && `· + ${texts(it["offers"])}`),
  "kiosk.session.ended": (it) => join(text(it["reason"]), typeof it["duration_seconds"] === "number" ? `${Math.round(it["duration_seconds"])} s` : ""),
  "kiosk.session.order_completed": (it) => {
    const lines = Array.isArray(it["lines"]) ? (it["lines"] as unknown[]).filter(isObject) : [];
    return join(text(it["order_number"]), ...lines.map((line) => `${text(line["quantity"])} × ${text(line["name"]) || item(line)}`), `= ${text(it["total"])}`);
  },
};

export function describe({ subject, payload }: Happening): string {
  if (!payload) return "?";
  const form = Object.hasOwn(FORMS, subject) ? FORMS[subject] : undefined;
  if (form) return form(payload);
  return Object.entries(payload)
    .filter(([name, value]) => name !== "event" && ["string", "number", "boolean"].includes(typeof value))
    .map(([name, value]) => `${name} ${String(value)}`)
    .join(", ");
}
