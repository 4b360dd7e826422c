// Colours and language of the screen. A customer's choice lasts as long as the session, also over a reload.
import { computed, effect, signal } from "@preact/signals";
import { type Kiosk } from "./kiosk";
import { languages } from "./strings";

type Theme = "light" | "dark";
const KEY = "looks";
const isTheme = (value: unknown): value is Theme => value === "light" || value === "dark";

export class Looks {
  readonly #kiosk: Kiosk;
  readonly #chosen = signal<Theme | undefined>(undefined);
  readonly #system = signal<Theme>("light");

  // The customer's choice, else the fleet's, else the machine's.
  readonly theme = computed<Theme>(() => {
    const override = this.#kiosk.screen.value?.theme;
    return this.#chosen.value ?? (isTheme(override) ? override : this.#system.value);
  });

  constructor(kiosk: Kiosk) {
    this.#kiosk = kiosk;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    this.#system.value = dark.matches ? "dark" : "light";
    dark.addEventListener("change", () => (this.#system.value = dark.matches ? "dark" : "light"));
    const [language, theme] = (sessionStorage.getItem(KEY) ?? "").split(",");
    if (languages.is(language)) languages.code.value = language;
    if (isTheme(theme)) this.#chosen.value = theme;
    effect(() => {
      document.documentElement.dataset["theme"] = this.theme.value;
      document.documentElement.lang = languages.current.locale;
    });
  }

  speak(code: string): void {
    if (languages.is(code)) languages.code.value = code;
    this.#keep();
  }
  choose(theme: Theme): void {
    this.#chosen.value = theme;
    this.#keep();
  }
  // For the next customer.
  forget(): void {
    sessionStorage.removeItem(KEY);
    languages.code.value = "en";
    this.#chosen.value = undefined;
  }
  #keep(): void {
    sessionStorage.setItem(KEY, `${languages.code.value},${this.#chosen.value ?? ""}`);
  }
}
