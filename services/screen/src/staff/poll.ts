// Something that is done again and again while somebody is signed in and the page is seen: never twice at once, and on after a
// failure. Of a hidden page it waits, and is done at once when the page is seen again.
const hidden = (): boolean => typeof document !== "undefined" && document.hidden;

export class Poll {
  readonly #what: () => Promise<void>;
  readonly #milliseconds: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running = false;
  #again = false;
  #on = false;
  readonly #seen = (): void => void (hidden() || this.now());

  constructor(milliseconds: number, what: () => Promise<void>) {
    this.#milliseconds = milliseconds;
    this.#what = what;
  }
  start(): void {
    this.#on = true;
    if (typeof document !== "undefined") document.addEventListener("visibilitychange", this.#seen);
    void this.now();
  }
  stop(): void {
    this.#on = false;
    if (typeof document !== "undefined") document.removeEventListener("visibilitychange", this.#seen);
    clearTimeout(this.#timer);
  }
  // At once, or as soon as what is under way is done.
  async now(): Promise<void> {
    if (hidden()) return;
    if (this.#running) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#running = true;
    do {
      this.#again = false;
      try {
        await this.#what();
      } catch (error) {
        if (this.#on) console.warn(error);
      }
    } while (this.#again && this.#on && !hidden());
    this.#running = false;
    if (this.#on) this.#timer = setTimeout(() => void this.now(), this.#milliseconds);
  }
}
