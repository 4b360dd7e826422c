// attract: Welcome.
import type { Welcome } from "../../generated/messages";
import { Picture } from "../../lib/ui";
import { say, t } from "../strings";
import { usePlace } from "./context";

// What the demonstration's kitchen is proud of; only pictures.
const SHOWN = ["volcano", "classic-fries", "iced-cola"];

export function Greeting({ data }: { data: Welcome }) {
  const { kiosk } = usePlace();
  return (
    <button type="button" class="attract" onClick={() => kiosk.touch("start", { component: "Welcome" })}>
      <span class="attract-pictures" aria-hidden="true">
        {SHOWN.map((name) => (
          <Picture key={name} src={`/img/${name}.png`} eager />
        ))}
      </span>
      <span class="attract-words">
        <span class="attract-title">{say(data.title)}</span>
        <span class="attract-text">{say(data.text)}</span>
        <span class="attract-go">{t("attract.touch")}</span>
        <span class="attract-steps">{t("attract.steps")}</span>
      </span>
    </button>
  );
}
