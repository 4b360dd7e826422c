import { effect } from "@preact/signals";
import { render } from "preact";
import { configuration } from "../lib/config";
import { App, theme } from "./app";
import { Desk } from "./desk";
import { languages } from "./strings";

async function main(): Promise<void> {
  const desk = new Desk(await configuration());
  effect(() => {
    document.documentElement.dataset["theme"] = theme.value;
    document.documentElement.lang = languages.current.locale;
  });
  render(<App desk={desk} />, document.getElementById("app")!);
}

void main().catch((error: unknown) => {
  console.error(error);
  document.getElementById("app")!.textContent = "The staff console cannot start. Load it again.";
});
