// A keyboard for screens that have none: it comes with a touch into a text field, on a screen as large as a kiosk's.
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { Button } from "../lib/ui";
import { t } from "./strings";

const LETTERS = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];
const NUMBERS = ["1234567890", "-/:;()&@\"", ".,?!'#+"];
// Phones and tablets bring their own.
const LARGE = 900;
const LEAVE_MS = 150;

const field = signal<HTMLInputElement | undefined>(undefined);

const isText = (target: EventTarget | null): target is HTMLInputElement => target instanceof HTMLInputElement && (target.type === "text" || target.type === "search");

export function watchFields(): void {
  let touched = false;
  document.addEventListener("pointerdown", (event) => (touched = event.pointerType === "touch"), { capture: true });
  document.addEventListener("focusin", ({ target }) => {
    if (touched && isText(target) && Math.max(innerWidth, innerHeight) >= LARGE) field.value = target;
  });
  // Not before the touch that took the focus has ended: what it is meant for must not move away from under it.
  document.addEventListener("focusout", () =>
    setTimeout(() => {
      if (document.activeElement !== field.peek()) field.value = undefined;
    }, LEAVE_MS),
  );
}

function put(text: string): void {
  const input = field.peek();
  if (!input) return;
  const start = input.selectionStart ?? input.value.length;
  const end = input.selectionEnd ?? start;
  if (text === "") {
    input.setRangeText("", start === end ? Math.max(0, start - 1) : start, end, "end");
  } else if (input.maxLength < 0 || input.value.length - (end - start) + text.length <= input.maxLength) {
    input.setRangeText(text, start, end, "end");
  }
  input.dispatchEvent(new InputEvent("input", { bubbles: true }));
}

export function Keyboard() {
  const [numbers, setNumbers] = useState(false);
  const [capitals, setCapitals] = useState(false);
  const input = field.value;
  // There is less room now.
  useEffect(() => input?.scrollIntoView({ block: "nearest" }), [input]);
  if (!input) return null;
  const rows = numbers ? NUMBERS : LETTERS;
  const key = (character: string) => (
    <button key={character} type="button" class="key" tabIndex={-1} onClick={() => put(capitals ? character.toUpperCase() : character)}>
      {capitals ? character.toUpperCase() : character}
    </button>
  );
  return (
    // The field keeps the focus, and with it this keyboard.
    <section class="keyboard" aria-label={t("key.title")} onPointerDown={(event) => event.preventDefault()} onMouseDown={(event) => event.preventDefault()}>
      <div class="keys">{[...rows[0]!].map(key)}</div>
      <div class="keys">{[...rows[1]!].map(key)}</div>
      <div class="keys">
        {!numbers && (
          <button type="button" class="key wide" tabIndex={-1} aria-label={t("key.shift")} aria-pressed={capitals} onClick={() => setCapitals(!capitals)}>
            ⇧
          </button>
        )}
        {[...rows[2]!].map(key)}
        <button type="button" class="key wide" tabIndex={-1} aria-label={t("key.back")} onClick={() => put("")}>
          ⌫
        </button>
      </div>
      <div class="keys">
        <button type="button" class="key wide" tabIndex={-1} onClick={() => setNumbers(!numbers)}>
          {numbers ? "abc" : "123"}
        </button>
        <button type="button" class="key space" tabIndex={-1} aria-label={t("key.space")} onClick={() => put(" ")}>
          {t("key.space")}
        </button>
        <Button class="key enter" kind="primary" icon="check" label={t("browse.search.go")} onClick={() => input.form?.requestSubmit() ?? input.blur()} />
      </div>
    </section>
  );
}
