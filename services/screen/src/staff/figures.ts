// What the figures say, out of orders and events.
import { type Said, type Screen } from "./day";
import { type Order } from "./journal";

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

// Sessions whose screen offered something, and those whose cart then held more of it than when it was offered.
export function suggestions(screens: readonly Screen[]): { offered: number; taken: number } {
  // What was offered in a session, with how many of it were in the cart at that time.
  const offers = new Map<string, Map<number, number>>();
  const taken = new Set<string>();
  // The last cart that was shown, for screens that offer something and show none.
  const carts = new Map<string, Screen["cart"]>();
  for (const { session, offers: shown, cart } of screens) {
    if (cart) carts.set(session, cart);
    const known = offers.get(session);
    if (known && cart && [...known].some(([item, before]) => (cart.get(item) ?? 0) > before)) taken.add(session);
    if (shown.length === 0) continue;
    const now = known ?? new Map<number, number>();
    for (const item of shown) if (!now.has(item)) now.set(item, carts.get(session)?.get(item) ?? 0);
    offers.set(session, now);
  }
  return { offered: offers.size, taken: taken.size };
}

// What was said or typed to the brain, and how much of it had a meaning.
export const voice = (said: readonly Said[]): { all: number; good: number } => ({ all: said.length, good: said.filter(({ understood }) => understood).length });
