// Languages of a page. A page has one table of strings; what the fleet says in English is put into another language by
// the table's patterns, and stays English where none fits.
import { signal } from "@preact/signals";

export type Strings<Key extends string> = Record<Key, string>;
export interface Language<Key extends string> {
  name: string;
  locale: string;
  strings: Strings<Key>;
  // Words of the fleet: allergens, diets, tags, labels.
  words: Record<string, string>;
  // Sentences of the fleet, with what varies in them. $1, $2 … stand for it, put into the language where it is among `words`; %1 for
  // it as it is.
  sentences: [RegExp, string][];
}

export class Languages<Code extends string, Key extends string> {
  readonly code;
  readonly #all: Record<Code, Language<Key>>;

  constructor(all: Record<Code, Language<Key>>, initial: Code) {
    this.#all = all;
    this.code = signal<Code>(initial);
  }

  get all(): [Code, Language<Key>][] {
    return Object.entries(this.#all) as [Code, Language<Key>][];
  }
  get current(): Language<Key> {
    return this.#all[this.code.value];
  }
  is(code: string | null | undefined): code is Code {
    return typeof code === "string" && Object.hasOwn(this.#all, code);
  }

  // A string of the page; {name} in it stands for values[name].
  t = (key: Key, values: Record<string, string | number> = {}): string =>
    this.current.strings[key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));

  // A word of the fleet, such as an allergen.
  word = (text: string): string => this.current.words[text.toLowerCase()] ?? text.replaceAll("_", " ");

  // A sentence of the fleet.
  say = (text: string): string => {
    const { sentences, words } = this.current;
    const word = words[text.toLowerCase()];
    if (word !== undefined) return word;
    for (const [pattern, form] of sentences) {
      const match = pattern.exec(text);
      // A function: a dish's name may have a $ in it.
      if (!match) continue;
      return form.replace(/([$%])(\d)/g, (_, kind: string, index: string) => {
        const part = match[Number(index)] ?? "";
        return kind === "$" ? (words[part.toLowerCase()] ?? part) : part;
      });
    }
    return text;
  };

  money = (amount: number, currency: string): string => {
    try {
      return new Intl.NumberFormat(this.current.locale, { style: "currency", currency, currencyDisplay: "narrowSymbol" }).format(amount);
    } catch {
      return `${amount} ${currency}`;
    }
  };
}
