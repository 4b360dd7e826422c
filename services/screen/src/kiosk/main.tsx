import { effect } from "@preact/signals";
import { render } from "preact";
import { configuration } from "../lib/config";
import { App } from "./app";
import { watchFields } from "./keyboard";
import { Kiosk } from "./kiosk";
import { Looks } from "./looks";
import { Voice } from "./voice";

const LEAVE_MS = 60_000;

async function main(): Promise<void> {
  const kiosk = new Kiosk(await configuration());
  const voice = new Voice(kiosk);
  const looks = new Looks(kiosk);
  watchFields();
  document.addEventListener("pointerdown", () => voice.wake(), { capture: true });
  document.addEventListener("keydown", () => voice.wake(), { capture: true });
  // Who looked at the languages and went away leaves no trace.
  let leaving: ReturnType<typeof setTimeout> | undefined;
  const left = () => {
    clearTimeout(leaving);
    leaving = setTimeout(() => {
      if (kiosk.screen.peek()?.layout === "attract") looks.forget();
    }, LEAVE_MS);
  };
  left();
  document.addEventListener("pointerdown", left);
  // A kiosk is not a web page that is looked into.
  document.addEventListener("contextmenu", (event) => event.preventDefault());

  effect(() => {
    if (kiosk.customers.value === 0) return;
    looks.forget();
    voice.forget();
  });

  const app = document.getElementById("app")!;
  app.replaceChildren();
  render(<App kiosk={kiosk} voice={voice} looks={looks} />, app);
  await kiosk.open();
}

void main().catch((error: unknown) => {
  console.error(error);
  document.getElementById("app")!.textContent = "This screen cannot start. Please see our staff.";
});
