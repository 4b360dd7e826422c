#!/usr/bin/env python3
"""Writes a believable order history for a menu, as JSON lines that `arcctl recsys import` reads.

    deploy/demo/make_history.py --orders 4000 --out /tmp/history.jsonl [--menu deploy/demo/menu.json] [--seed 1]

The same arguments always give the same bytes. Each line is one completed order:

    {"order_id": "...", "at": "2025-12-14T13:30:00.000Z", "items": [{"item_id": 101, "quantity": 1}],
     "context": {"time_of_day": "lunch", "weather": "hot", "party_size": 2}}

time_of_day is breakfast, lunch, afternoon, dinner or night; weather is hot, mild, cold or rain; party_size is 1 to 6.

What a recommender can learn from it, because guests here behave so:
  * Time: coffee and something baked in the morning, burgers and combos at noon and in the evening.
  * Weather: heat sells iced and fizzy drinks, shakes, sorbet and salads; cold and rain sell hot drinks and chilli.
  * Party: children's meals come with three or more guests, things to share with two or more.
  * Taste: spicy food goes with something cold and fizzy or with a shake, salads with water and tea, burgers with fries and
    cola, coffee with cake. A guest who wants a main, a side and a drink of a combo often takes the combo instead.
  * Diet: about one guest in seven eats vegetarian or vegan, and never orders against it.
Everything is decided by an item's category, tags, dietary list and words, so that a menu of the same shape works as well.
"""
import argparse
import datetime
import json
import os
import random
import sys
import uuid

MAINS, SIDES, SALADS, DRINKS = "burgers", "sides", "salads", "drinks"
COFFEE, DESSERTS, KIDS, COMBOS = "coffee", "desserts", "kids", "combos"

# Share of the day's orders, first and last hour.
TIMES = {
    "breakfast": (0.12, 7, 10),
    "lunch": (0.36, 11, 13),
    "afternoon": (0.14, 14, 16),
    "dinner": (0.30, 17, 20),
    "night": (0.08, 21, 22),
}
# What a guest comes for: a meal, a coffee (with something sweet), or a snack.
OCCASIONS = {
    "breakfast": {"meal": 0.12, "coffee": 0.80, "snack": 0.08},
    "lunch": {"meal": 0.90, "coffee": 0.06, "snack": 0.04},
    "afternoon": {"meal": 0.25, "coffee": 0.50, "snack": 0.25},
    "dinner": {"meal": 0.90, "coffee": 0.03, "snack": 0.07},
    "night": {"meal": 0.55, "coffee": 0.05, "snack": 0.40},
}
# Weather by month, northern half of the world.
WEATHER = {
    "winter": {"hot": 0.0, "mild": 0.20, "cold": 0.55, "rain": 0.25},
    "spring": {"hot": 0.10, "mild": 0.55, "cold": 0.10, "rain": 0.25},
    "summer": {"hot": 0.60, "mild": 0.28, "cold": 0.0, "rain": 0.12},
    "autumn": {"hot": 0.08, "mild": 0.45, "cold": 0.17, "rain": 0.30},
}
PARTY = {
    "breakfast": [60, 28, 6, 4, 1, 1],
    "lunch": [42, 33, 12, 9, 3, 1],
    "afternoon": [38, 36, 14, 9, 2, 1],
    "dinner": [24, 34, 18, 16, 5, 3],
    "night": [40, 38, 14, 6, 1, 1],
}


def season(month):
    return ("winter", "winter", "spring", "spring", "spring", "summer",
            "summer", "summer", "autumn", "autumn", "autumn", "winter")[month - 1]


def draw(rng, weights):
    """One key of a mapping from key to weight, or None when nothing has weight."""
    keys = [k for k, w in weights.items() if w > 0]
    return rng.choices(keys, [weights[k] for k in keys])[0] if keys else None


class Menu:
    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            data = json.load(f)
        self.items = {i["id"]: i for i in data["items"] if i.get("available", True)}
        self.by_category = {}
        for item in self.items.values():
            self.by_category.setdefault(item["category"], []).append(item)
        self.combos = {frozenset(i["combo_of"]): i["id"] for i in self.items.values() if i.get("combo_of")}

    def of(self, *categories):
        return [i for c in categories for i in self.by_category.get(c, [])]


def tags(item):
    return set(item.get("tags", []))


def words(item):
    return (item["name"] + " " + item.get("description", "") + " " + " ".join(item.get("synonyms", []))).lower()


def allowed(item, diet):
    dietary = set(item.get("dietary", []))
    if diet == "vegetarian":
        return bool(dietary & {"vegetarian", "vegan"})
    return diet is None or diet in dietary


def base_weight(item, weather):
    weight = 3.0 if "popular" in tags(item) else 1.0
    cold, hot = "cold" in tags(item), "hot" in tags(item)
    if weather == "hot":
        weight *= 1.8 if cold else 0.35 if hot else 1.6 if "light" in tags(item) else 1.0
    elif weather in ("cold", "rain"):
        weight *= 0.6 if cold else 1.9 if hot else 1.5 if "hearty" in tags(item) else 0.7 if "light" in tags(item) else 1.0
    return weight


def choose(rng, items, diet, weather, taste=lambda item: 1.0):
    chosen = draw(rng, {i["id"]: base_weight(i, weather) * taste(i) for i in items if allowed(i, diet)})
    return chosen


def drink_taste(main, time):
    def taste(item):
        weight = 1.0
        fizzy, sweet, text = "fizzy" in tags(item), "sweet" in tags(item), words(item)
        if main is not None and "spicy" in tags(main):
            weight *= 2.2 if fizzy else 1.8 if "shake" in text else 0.8
        if main is not None and (main["category"] == SALADS or "light" in tags(main)):
            weight *= 3.0 if "water" in text or " tea" in text else 0.5 if sweet else 1.0
        if main is not None and main["category"] == MAINS:
            weight *= 2.5 if "cola" in text else 1.0
        if main is not None and "crispy" in tags(main):
            weight *= 2.0 if "lemon" in text else 1.0
        if time == "night":
            weight *= 1.6 if "shake" in text else 1.0
        return weight
    return taste


def side_taste(main, party):
    def taste(item):
        weight = 2.5 if "fries" in words(item) and item["price"] < 5 else 1.0
        if party == 1:
            weight *= 0.4 if "sharing" in tags(item) else 1.0
        else:
            weight *= 1.7 if "sharing" in tags(item) else 1.0
        if main is not None:
            if "vegan" in main.get("dietary", []):
                weight *= 3.0 if "sweet potato" in words(item) else 1.0
            if "smoky" in tags(main):
                weight *= 3.5 if "onion rings" in words(item) else 1.0
            if "grilled" in tags(main):
                weight *= 2.5 if "grilled" in tags(item) or "slaw" in words(item) else 1.0
        return weight
    return taste


def dessert_taste(with_coffee):
    def taste(item):
        baked = any(w in words(item) for w in ("brownie", "pie", "cookie", "cheesecake", "churros"))
        if with_coffee:
            return 3.0 if baked else 0.5
        return 1.0
    return taste


def meal(rng, menu, diet, weather, time, party):
    """What one guest eats and drinks, as item ids."""
    light = 0.32 if weather == "hot" else 0.16
    mains = menu.of(SALADS) if rng.random() < light else menu.of(MAINS)
    main_id = choose(rng, mains, diet, weather, lambda i: 1.4 if "spicy" in tags(i) and weather in ("cold", "rain") else 1.0)
    if main_id is None:
        return []
    main = menu.items[main_id]
    picked = [main_id]
    burger = main["category"] == MAINS
    if burger and rng.random() < 0.30:
        # The usual combo of this burger, where there is one.
        offers = [c for parts, c in menu.combos.items() if main_id in parts and allowed(menu.items[c], diet)]
        if offers:
            picked = [rng.choice(sorted(offers))]
            if rng.random() < 0.12:
                dessert = choose(rng, menu.of(DESSERTS), diet, weather, dessert_taste(False))
                picked += [dessert] if dessert else []
            return picked
    if rng.random() < (0.62 if burger else 0.18):
        side = choose(rng, menu.of(SIDES), diet, weather, side_taste(main, party))
        picked += [side] if side else []
    if rng.random() < (0.85 if weather == "hot" else 0.70):
        hot_drink = weather in ("cold", "rain") and rng.random() < 0.22
        shelf = menu.of(COFFEE) if hot_drink else menu.of(DRINKS)
        drink = choose(rng, shelf, diet, weather, drink_taste(main, time))
        picked += [drink] if drink else []
    if rng.random() < (0.24 if time == "dinner" else 0.14):
        dessert = choose(rng, menu.of(DESSERTS), diet, weather, dessert_taste(False))
        picked += [dessert] if dessert else []
    return picked


def coffee(rng, menu, diet, weather, time):
    # On a hot afternoon an iced coffee or a shake does instead.
    shelf = menu.of(COFFEE, DRINKS) if weather == "hot" and time != "breakfast" else menu.of(COFFEE)
    drink = choose(rng, shelf, diet, weather)
    picked = [drink] if drink else []
    if rng.random() < (0.60 if time == "afternoon" else 0.38):
        cake = choose(rng, menu.of(DESSERTS), diet, weather, dessert_taste(True))
        picked += [cake] if cake else []
    return picked


def snack(rng, menu, diet, weather, party, time):
    side = choose(rng, menu.of(SIDES), diet, weather, side_taste(None, party))
    picked = [side] if side else []
    if rng.random() < 0.65:
        drink = choose(rng, menu.of(DRINKS), diet, weather, drink_taste(menu.items[side] if side else None, time))
        picked += [drink] if drink else []
    return picked


def as_combos(rng, menu, basket):
    """Guests who have every part of a combo in their basket mostly notice it."""
    for parts, combo in sorted(menu.combos.items(), key=lambda p: p[1]):
        while all(basket.get(p, 0) > 0 for p in parts) and rng.random() < 0.6:
            for part in parts:
                basket[part] -= 1
            basket[combo] = basket.get(combo, 0) + 1
    return {i: q for i, q in basket.items() if q > 0}


def order(rng, menu, time, weather, party):
    basket = {}
    occasion = draw(rng, OCCASIONS[time])
    children = 0
    if party >= 3 and occasion == "meal" and menu.of(KIDS):
        children = rng.choice([0, 0, 1, 1, 2]) if party == 3 else rng.choice([0, 1, 2, 2])
    for guest in range(party):
        diet = rng.choices([None, "vegetarian", "vegan", "gluten_free"], [83, 8, 6, 3])[0]
        if guest < children:
            picked = [choose(rng, menu.of(KIDS), diet, weather)]
            if rng.random() < 0.35:
                picked.append(choose(rng, menu.of(DESSERTS), diet, weather,
                                     lambda i: 3.0 if "ice cream" in words(i) or "cookie" in words(i) else 1.0))
        elif occasion == "meal":
            picked = meal(rng, menu, diet, weather, time, party)
        elif occasion == "coffee":
            picked = coffee(rng, menu, diet, weather, time)
        else:
            picked = snack(rng, menu, diet, weather, party, time)
        for item in picked:
            if item is not None:
                basket[item] = basket.get(item, 0) + 1
    return as_combos(rng, menu, basket)


def main():
    parser = argparse.ArgumentParser(description="Write a believable order history for a menu, as JSON lines.")
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--orders", type=int, default=4000, help="how many orders (default 4000)")
    parser.add_argument("--out", default="-", help="file to write; - is standard output (the default)")
    parser.add_argument("--menu", default=os.path.join(here, "menu.json"), help="menu file (default: the demo restaurant's)")
    parser.add_argument("--seed", type=int, default=1, help="another seed gives another history (default 1)")
    args = parser.parse_args()
    if args.orders < 1:
        parser.error("--orders must be at least 1")
    try:
        menu = Menu(args.menu)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"{args.menu}: {error}")

    rng = random.Random(args.seed)
    # A year that ends before the specifications' example orders, so that a history is never in the future.
    first_day = datetime.date(2024, 12, 1)
    lines = []
    day_weather = {}
    for _ in range(args.orders):
        day = first_day + datetime.timedelta(days=rng.randrange(365))
        if day not in day_weather:
            day_weather[day] = draw(random.Random(args.seed * 100003 + day.toordinal()), WEATHER[season(day.month)])
        weather = day_weather[day]
        time = draw(rng, {t: share for t, (share, _, _) in TIMES.items()})
        _, first_hour, last_hour = TIMES[time]
        at = datetime.datetime(day.year, day.month, day.day, rng.randint(first_hour, last_hour), rng.randrange(60),
                               rng.randrange(60), rng.randrange(1000) * 1000)
        party = rng.choices(range(1, 7), PARTY[time])[0]
        basket = order(rng, menu, time, weather, party)
        if not basket:
            sys.exit(f"{args.menu}: a guest found nothing to order; the menu needs the categories of the demo restaurant "
                     "(burgers, sides, salads, drinks, coffee, desserts)")
        lines.append((at, {
            "order_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            "at": at.isoformat(timespec="milliseconds") + "Z",
            "items": [{"item_id": i, "quantity": q} for i, q in sorted(basket.items())],
            "context": {"time_of_day": time, "weather": weather, "party_size": party},
        }))
    lines.sort(key=lambda line: (line[0], line[1]["order_id"]))
    out = sys.stdout if args.out == "-" else open(args.out, "w", encoding="utf-8")
    for _, line in lines:
        out.write(json.dumps(line) + "\n")
    if out is not sys.stdout:
        out.close()


if __name__ == "__main__":
    main()
