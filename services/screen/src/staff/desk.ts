// The staff's connection, and everything the console knows through it. All of it ends with the sign-out.
import { batch, signal } from "@preact/signals";
import { Bus } from "../lib/bus";
import { type Config } from "../lib/config";
import { Agents } from "./agents";
import { Day } from "./day";
import { Journal } from "./journal";
import { Kiosks } from "./kiosks";
import { Letters } from "./letters";
import { Menu } from "./menu";
import { isForbidden, span } from "./stream";

// What one sign-in has.
export interface Shift {
  user: string;
  bus: Bus;
  agents: Agents;
  day: Day;
  journal: Journal;
  kiosks: Kiosks;
  letters: Letters;
  menu: Menu;
}

export type SignInError = "wrong" | "norights" | "unreachable" | "ended";

const USER = /^[A-Za-z0-9_-]{1,100}$/;

export class Desk {
  readonly config: Config;
  readonly shift = signal<Shift | undefined>(undefined);
  readonly busy = signal(false);
  readonly error = signal<SignInError | undefined>(undefined);

  constructor(config: Config) {
    this.config = config;
  }

  // The password is kept by the connection alone, and so a reload asks for it again.
  async signIn(user: string, password: string): Promise<void> {
    if (this.busy.peek()) return;
    batch(() => {
      this.busy.value = true;
      this.error.value = undefined;
    });
    // A name that would make other subjects of an inbox is nobody's.
    if (!USER.test(user)) return this.#refuse("wrong");
    const bus: Bus = new Bus({
      url: this.config.nats_ws_url,
      name: "staff console",
      user,
      password,
      inboxPrefix: `_INBOX.${user}`,
      impatient: true,
      ended: () => {
        if (this.shift.peek()?.bus === bus) this.#leave("ended");
      },
    });
    const journal = new Journal(bus, this.config.default_kiosk_id);
    const shift: Shift = {
      user,
      bus,
      journal,
      agents: new Agents(bus),
      day: new Day(bus),
      kiosks: new Kiosks(bus, journal),
      letters: new Letters(bus, user),
      menu: new Menu(bus),
    };
    try {
      await bus.open();
    } catch (error) {
      console.warn(error);
      return this.#refuse(/authoriz|authenti/i.test(`${(error as Error).name} ${(error as Error).message}`) ? "wrong" : "unreachable");
    }
    // Who may not look at the events is not of the staff, such as a kiosk's screen.
    try {
      await span(bus, "KIOSK_EVENTS");
    } catch (error) {
      if (isForbidden(error)) {
        await bus.close();
        return this.#refuse("norights");
      }
      // A bus that is just starting: what is asked for comes with time.
      console.warn(error);
    }
    batch(() => {
      this.busy.value = false;
      this.shift.value = shift;
    });
    for (const part of [shift.agents, shift.journal, shift.letters, shift.menu]) part.start();
  }

  signOut(): void {
    this.#leave(undefined);
  }

  #refuse(error: SignInError): void {
    batch(() => {
      this.busy.value = false;
      this.error.value = error;
    });
  }

  #leave(error: SignInError | undefined): void {
    const shift = this.shift.peek();
    if (!shift) return;
    batch(() => {
      this.shift.value = undefined;
      this.error.value = error;
    });
    for (const part of [shift.agents, shift.day, shift.journal, shift.letters, shift.menu]) part.stop();
    shift.kiosks.stop();
    void shift.bus.close();
  }
}
