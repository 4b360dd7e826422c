// Ways to break a value: every key misspelt, every word, number and switch changed, every item of a list left out.

function* places(value, at = []) {
  if (value === null || typeof value !== "object") return;
  for (const key of Object.keys(value)) {
    const place = [...at, Array.isArray(value) ? Number(key) : key];
    yield place;
    yield* places(value[key], place);
  }
}

const changed = { string: (value) => `${value}x`, number: (value) => value + 1, boolean: (value) => !value };

// A copy of `value` in which `edit(parent, key)` was done at `place`.
function edited(value, place, edit) {
  const copy = structuredClone(value);
  let parent = copy;
  for (const key of place.slice(0, -1)) parent = parent[key];
  edit(parent, place.at(-1));
  return copy;
}

// Each copy of `value` without one of its fields, and where that was.
export function* without(value) {
  for (const place of places(value)) {
    if (typeof place.at(-1) === "string") yield { path: `/${place.join("/")}`, value: edited(value, place, (of, name) => delete of[name]) };
  }
}

// Each mutant: how it was made, where (a path with `/`), and itself.
export function* mutants(value) {
  for (const place of places(value)) {
    const parent = place.slice(0, -1).reduce((inner, key) => inner[key], value);
    const key = place.at(-1);
    const path = `/${place.join("/")}`;
    if (typeof key === "string") {
      yield { how: "misspelt", path, before: key, value: edited(value, place, (of, name) => {
        // In its place, so that the order stays.
        for (const one of Object.keys(of)) {
          const inner = of[one];
          delete of[one];
          of[one === name ? `${name}x` : one] = inner;
        }
      }) };
    } else {
      yield { how: "left out", path, before: parent[key], value: edited(value, place, (of, index) => of.splice(index, 1)) };
    }
    const change = changed[typeof parent[key]];
    if (change) yield { how: "changed", path, before: parent[key], value: edited(value, place, (of, name) => (of[name] = change(of[name]))) };
  }
}
