// Something that is done again and again while somebody is signed in: never twice at once, and on after a failure.
export class Poll {
  readonly #what: () => Promise<void>;
  readonly #milliseconds: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running = false;
  #again = false;
  #on = false;

  constructor(milliseconds: number, what: () => Promise<void>) {
    this.#milliseconds = milliseconds;
    this.#what = what;
  }
  start(): void {
    this.#on = true;
    void this.now();
  }
  stop(): void {
    this.#on = false;
    clearTimeout(this.#timer);
  }
  // At once, or as soon as what is under way is done.
  async now(): Promise<void> {
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
    } while (this.#again && this.#on);
    this.#running = false;
    if (this.#on) this.#timer = setTimeout(() => void this.now(), this.#milliseconds);
  }
}
