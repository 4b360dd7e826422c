import { useSignal, signal } from "@preact/signals";
import { type ComponentType } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Button, Net } from "../lib/ui";
import { type Desk, type Shift } from "./desk";
import { Events } from "./pages/events";
import { Figures } from "./pages/figures";
import { Fleet } from "./pages/fleet";
import { Letters } from "./pages/letters";
import { MenuPage } from "./pages/menu";
import { Sessions } from "./pages/sessions";
import { count, languages, t, type StringKey } from "./strings";

export const theme = signal<"light" | "dark">(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");

const PAGES = { fleet: Fleet, sessions: Sessions, menu: MenuPage, letters: Letters, events: Events, figures: Figures } satisfies Record<string, ComponentType<{ shift: Shift }>>;
type Page = keyof typeof PAGES;

function Tools() {
  return (
    <div class="tools" role="group" aria-label={t("tools.language")}>
      {languages.all.map(([code, { name }]) => (
        <button key={code} type="button" class="language" lang={code} aria-pressed={languages.code.value === code} onClick={() => (languages.code.value = code)}>
          {name}
        </button>
      ))}
      <Button kind="quiet" icon={theme.value === "dark" ? "sun" : "moon"} label={t(theme.value === "dark" ? "tools.light" : "tools.dark")} onClick={() => (theme.value = theme.value === "dark" ? "light" : "dark")} />
    </div>
  );
}

function SignIn({ desk }: { desk: Desk }) {
  const user = useRef<HTMLInputElement>(null);
  const password = useRef<HTMLInputElement>(null);
  return (
    <main class="signin">
      <form
        class="panel"
        onSubmit={(event) => {
          event.preventDefault();
          void desk.signIn(user.current!.value.trim(), password.current!.value.trim()).then(() => {
            if (!password.current) return;
            password.current.value = "";
            password.current.focus();
          });
        }}
      >
        <p class="brand">{t("app.name")}</p>
        <h1>{t("in.title")}</h1>
        <label class="field">
          {t("in.user")}
          <input ref={user} type="text" name="user" autocomplete="username" autocapitalize="none" spellcheck={false} defaultValue="staff" required />
        </label>
        <label class="field">
          {t("in.password")}
          <input ref={password} type="password" name="password" autocomplete="current-password" required aria-describedby="hint" />
        </label>
        <p role="alert" class="problem">{desk.error.value && t(`in.${desk.error.value}`)}</p>
        <Button kind="primary" type="submit" disabled={desk.busy.value}>{t(desk.busy.value ? "in.busy" : "in.go")}</Button>
        <p id="hint" class="hint">{t("in.hint")}</p>
      </form>
      <Tools />
    </main>
  );
}

function Console({ desk, shift }: { desk: Desk; shift: Shift }) {
  const page = useSignal<Page>("fleet");
  const heading = useRef<HTMLHeadingElement>(null);
  const title = t(`nav.${page.value}` as StringKey);
  const Shown = PAGES[page.value];
  const link = shift.bus.link.value;
  const letters = shift.letters.total.value ?? 0;
  // Who changes the page with the keyboard goes on in it.
  useEffect(() => {
    document.querySelector(".tab[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    heading.current?.focus({ preventScroll: true });
  }, [page.value]);
  return (
    <div class="console">
      <header class="top">
        <p class="brand">{t("app.name")}</p>
        <p class={`link ${link}`} role="status">{t(`link.${link}`)}</p>
        <Tools />
        <Button kind="quiet" class="out" onClick={() => desk.signOut()}>{t("out")}</Button>
      </header>
      <nav class="pages" aria-label={t("nav")}>
        {(Object.keys(PAGES) as Page[]).map((name) => (
          <button key={name} type="button" class="tab" aria-current={page.value === name ? "page" : undefined} onClick={() => (page.value = name)}>
            {t(`nav.${name}`)}
            {name === "letters" && letters > 0 && <span class="badge">{count(letters)}</span>}
          </button>
        ))}
      </nav>
      <main class={`content page-${page.value}`}>
        <h1 ref={heading} tabIndex={-1}>{title}</h1>
        <Net key={page.value} of={Shown} instead={<p class="problem">{t("broken")}</p>}>
          <Shown shift={shift} />
        </Net>
      </main>
    </div>
  );
}

export function App({ desk }: { desk: Desk }) {
  const shift = desk.shift.value;
  return shift ? <Console desk={desk} shift={shift} /> : <SignIn desk={desk} />;
}
