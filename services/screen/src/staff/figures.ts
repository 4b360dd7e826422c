// What the figures say, out of orders and events.
import { type Happening, type Order } from "./journal";

const HOUR_MS = 60 * 60 * 1000;

// The last 24 hours, oldest first.
export function byHour(orders: readonly Order[], now: number): { hour: number; orders: number }[] {
  const first = Math.floor(now / HOUR_MS) - 23;
  const hours = Array.from({ length: 24 }, (_, index) => ({ hour: new Date((first + index) * HOUR_MS).getHours(), orders: 0 }));
  for (const { time } of orders) {
    const hour = hours[Math.floor(time / HOUR_MS) - first];
    if (hour) hour.orders++;
  }
  return hours;
}

export function topDishes(orders: readonly Order[], most: number): { name: string; quantity: number }[] {
  const found = new Map<number, { name: string; quantity: number }>();
  for (const { lines } of orders) {
    for (const { id, name, quantity } of lines) {
      const dish = found.get(id) ?? { name: name || `#${id}`, quantity: 0 };
      dish.quantity += quantity;
      found.set(id, dish);
    }
  }
  return [...found.values()].sort((a, b) => b.quantity - a.quantity || a.name.localeCompare(b.name)).slice(0, most);
}

// Sessions whose screen offered something, and those that put one of it into their cart by the offer's own button.
export function suggestions(happenings: readonly Happening[]): { offered: number; taken: number } {
  const offers = new Map<string, Set<string>>();
  const taken = new Set<string>();
  for (const { subject, session, payload } of happenings) {
    if (session === "" || !payload) continue;
    if (subject === "kiosk.ui.update" && Array.isArray(payload["offers"]) && payload["offers"].length > 0) {
      const known = offers.get(session) ?? new Set();
      for (const name of payload["offers"] as string[]) known.add(`Add ${name}`);
      offers.set(session, known);
    }
    if (subject === "kiosk.input.touch" && payload["action"] === "suggested_action" && offers.get(session)?.has(String(payload["label"]))) taken.add(session);
  }
  return { offered: offers.size, taken: taken.size };
}

// What was said or typed to the brain, and how much of it had a meaning.
export function voice(happenings: readonly Happening[]): { all: number; good: number } {
  const intents = happenings.filter(({ subject, payload }) => subject === "kiosk.voice.intent" && payload);
  return { all: intents.length, good: intents.filter(({ payload }) => payload!["intent_type"] !== "unknown").length };
}
