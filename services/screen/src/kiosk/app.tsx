// The whole screen: one element for each component that the fleet sends, in the place that the layout gives it.
import { type ComponentType, type RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { UiComponent } from "../generated/messages";
import { list } from "../lib/message";
import { Button, Net, type IconName } from "../lib/ui";
import { Greeting } from "./elements/attract";
import { Categories, Grid, Hero, Search } from "./elements/browse";
import { PlaceContext } from "./elements/context";
import { Details } from "./elements/details";
import { Cart, CartBar, Loyalty, Offers, Summary, TotalsBox } from "./elements/order";
import { CancelQuestion, Idle, NoticeBox, NotSentBox, Offline, Silent } from "./elements/overlays";
import { Number, Payment, ReceiptBox, Trouble } from "./elements/pay";
import { VoiceBar } from "./elements/voicebar";
import { Keyboard } from "./keyboard";
import { type Kiosk, type Screen } from "./kiosk";
import { type Looks } from "./looks";
import { languages, say, t } from "./strings";
import { type Voice } from "./voice";

type Type = UiComponent["type"];
type DataOf<T extends Type> = Extract<UiComponent, { type: T }>["data"];

// A type that docs/asyncapi.yaml has and this does not have is an error of the compiler.
const ELEMENTS: { [T in Type]: ComponentType<{ data: DataOf<T> }> } = {
  Welcome: Greeting,
  CategoryBar: Categories,
  HeroItem: Hero,
  ItemGrid: Grid,
  Notice: NoticeBox,
  CartSummary: CartBar,
  ItemDetails: Details,
  CartLines: Cart,
  Totals: TotalsBox,
  Upsell: Offers,
  OrderSummary: Summary,
  LoyaltyPrompt: Loyalty,
  PaymentPrompt: Payment,
  OrderNumber: Number,
  Receipt: ReceiptBox,
  ErrorMessage: Trouble,
  IdleWarning: Idle,
};

// What is not in the page's flow: at the bottom where hands reach, or above everything.
const DOCK: readonly Type[] = ["CartSummary", "Totals"];
const ABOVE: readonly Type[] = ["Notice", "IdleWarning"];
const MOST_NOTICES = 2;

function Element({ component }: { component: UiComponent }) {
  const Known = Object.hasOwn(ELEMENTS, component.type) ? (ELEMENTS[component.type] as ComponentType<{ data: unknown }>) : undefined;
  // A fleet that is newer than this page may send more.
  if (!Known) return null;
  return (
    <Net of={component} instead={<p class="banner">{t("unknown")}</p>}>
      <Known data={component.data} />
    </Net>
  );
}

const elementsOf = (components: UiComponent[]) => {
  const seen = new Map<string, number>();
  return components.map((component) => {
    const count = (seen.get(component.type) ?? 0) + 1;
    seen.set(component.type, count);
    return <Element key={`${component.type}${count}`} component={component} />;
  });
};

const MAIN_ACTIONS: readonly string[] = ["Checkout", "Pay now", "Done", "Try again", "Start order"];
const ACTION_ICONS: Record<string, IconName> = { Back: "back", Checkout: "card", "Pay now": "card", Done: "check", "Cancel order": "close" };

// The labels that no element of the layout has a control for.
function freeActions({ layout, components, actions }: Screen): string[] {
  const covered = new Set<string>(["Keep going"]);
  for (const { type, data } of components) {
    if (type === "Upsell") for (const { name } of list(data.suggestions)) covered.add(`Add ${name}`);
    if (type === "CartSummary") covered.add("View cart");
    if (type === "ItemDetails") covered.add("Add to cart");
    if (type === "Welcome") covered.add("Start order");
  }
  // While choosing, the order is one touch away, and paying is one touch from there.
  if (layout === "details" || layout === "hero_grid") covered.add("Checkout");
  return actions.filter((label) => !covered.has(label));
}

const isEmpty = ({ components }: Screen) =>
  components.some(({ type, data }) => (type === "CartSummary" && data.count === 0 && !data.updating) || (type === "CartLines" && list(data.lines).length === 0 && !data.updating));

function Actions({ kiosk, screen }: { kiosk: Kiosk; screen: Screen }) {
  const [asking, setAsking] = useState(false);
  useEffect(() => setAsking(false), [screen.layout]);
  // Whoever says no is where the question came from, also when another screen came meanwhile.
  const bar = useRef<HTMLDivElement>(null);
  const refused = useRef(false);
  useLayoutEffect(() => {
    if (!asking && refused.current) bar.current?.querySelector<HTMLElement>(".cancel-action")?.focus({ preventScroll: true });
    refused.current = false;
  }, [asking]);
  const labels = freeActions(screen);
  if (labels.length === 0) return null;
  const act = (label: string) => {
    // Where there is nothing to lose there is nothing to ask.
    if (label === "Cancel order" && !isEmpty(screen)) setAsking(true);
    else void kiosk.suggested(label);
  };
  const order = (label: string) => (label === "Back" ? 0 : label === "Cancel order" ? 1 : MAIN_ACTIONS.includes(label) ? 3 : 2);
  return (
    <div ref={bar} class="actions">
      {[...labels]
        .sort((a, b) => order(a) - order(b))
        .map((label) => (
          <Button
            key={label}
            kind={MAIN_ACTIONS.includes(label) ? "primary" : label === "Cancel order" ? "quiet" : "plain"}
            icon={ACTION_ICONS[label]}
            class={MAIN_ACTIONS.includes(label) ? "main-action" : label === "Cancel order" ? "side-action cancel-action" : "side-action"}
            onClick={() => act(label)}
          >
            {say(label)}
          </Button>
        ))}
      {asking && (
        <CancelQuestion
          onNo={() => {
            refused.current = true;
            setAsking(false);
          }}
          onYes={() => {
            setAsking(false);
            void kiosk.suggested("Cancel order");
          }}
        />
      )}
    </div>
  );
}

function Tools({ voice, looks }: { voice: Voice; looks: Looks }) {
  const dark = looks.theme.value === "dark";
  const muted = voice.muted.value;
  return (
    <div class="tools">
      <div class="languages" role="group" aria-label={t("tools.language")}>
        {languages.all.map(([code, { name, locale }]) => (
          <button key={code} type="button" lang={locale} class="language" aria-pressed={languages.code.value === code} onClick={() => looks.speak(code)}>
            {name}
          </button>
        ))}
      </div>
      <Button kind="quiet" icon={dark ? "sun" : "moon"} label={dark ? t("tools.light") : t("tools.dark")} onClick={() => looks.choose(dark ? "light" : "dark")} />
      <Button kind="quiet" icon={muted ? "mute" : "sound"} label={muted ? t("tools.unmute") : t("tools.mute")} onClick={() => voice.mute(!muted)} />
    </div>
  );
}

// What had the focus may be gone with the next screen: the heading of the part that it was in gets it then, else the page's.
function useFocusKept(main: RefObject<HTMLElement | null>) {
  const had = useRef<{ element: HTMLElement; section: Element | null } | undefined>(undefined);
  useEffect(() => {
    if (!had.current || had.current.element.isConnected || document.activeElement !== document.body) return;
    const { section } = had.current;
    const heading = (section?.isConnected ? section.querySelector<HTMLElement>("h1, h2") : null) ?? main.current?.querySelector<HTMLElement>("h1");
    had.current = undefined;
    heading?.focus({ preventScroll: true });
  });
  return ({ target }: Event) => {
    if (target instanceof HTMLElement) had.current = { element: target, section: target.closest("section") };
  };
}

// A screen that cannot be shown at all is left by its way back; the next one is shown as ever.
function Unshown({ kiosk }: { kiosk: Kiosk }) {
  return (
    <main class="unshown">
      <p class="banner">{t("unknown")}</p>
      <Button icon="back" onClick={() => kiosk.touch("back")}>
        {say("Back")}
      </Button>
    </main>
  );
}

function Page({ kiosk, voice, looks, screen }: { kiosk: Kiosk; voice: Voice; looks: Looks; screen: Screen }) {
  const main = useRef<HTMLElement>(null);
  const { layout, components } = screen;
  const dish = components.find((component) => component.type === "ItemDetails")?.data.id;
  // Another layout begins at its top, and a screen reader hears its title.
  const first = useRef(true);
  useEffect(() => {
    main.current?.scrollTo({ top: 0 });
    if (!first.current) main.current?.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
    first.current = false;
  }, [layout, dish]);
  const keepFocus = useFocusKept(main);
  const flow = components.filter(({ type }) => !DOCK.includes(type) && !ABOVE.includes(type));
  const dock = components.filter(({ type }) => DOCK.includes(type));
  // What was said before is not worth a dish that is hidden behind it.
  const notices = components.filter(({ type }) => type === "Notice").slice(-MOST_NOTICES);
  const idle = components.filter(({ type }) => type === "IdleWarning");
  return (
    <PlaceContext.Provider value={{ kiosk, voice, screen }}>
      <div class={`page layout-${layout}`} onFocusIn={keepFocus}>
        <header class="top">
          <span class="brand">
            <img src="/brand.svg" alt="" width="40" height="40" />
            {t("app.name")}
          </span>
          <Tools voice={voice} looks={looks} />
        </header>
        <main ref={main} tabIndex={-1}>
          {layout === "hero_grid" && (
            <div class="browse-head">
              <h1 tabIndex={-1}>{t("browse.title")}</h1>
              <Search />
            </div>
          )}
          {layout === "attract" && <h1 class="unseen">{t("app.name")}</h1>}
          {elementsOf(flow)}
        </main>
        <footer class="dock">
          <div class="toasts" role="status">
            {elementsOf(notices)}
            {kiosk.notSent.value && <NotSentBox onDismiss={() => (kiosk.notSent.value = false)} />}
          </div>
          {elementsOf(dock)}
          <Actions kiosk={kiosk} screen={screen} />
          <VoiceBar />
        </footer>
        {elementsOf(idle)}
      </div>
    </PlaceContext.Provider>
  );
}

export function App({ kiosk, voice, looks }: { kiosk: Kiosk; voice: Voice; looks: Looks }) {
  const screen = kiosk.screen.value;
  const online = kiosk.online.value;
  return (
    <>
      {screen && (
        <Net of={screen} instead={<Unshown kiosk={kiosk} />}>
          <Page key={kiosk.customers.value} kiosk={kiosk} voice={voice} looks={looks} screen={screen} />
        </Net>
      )}
      {!online && <Offline first={kiosk.bus.link.value === "connecting"} />}
      {online && kiosk.silent.value && <Silent />}
      <Keyboard />
      <div class={`progress${kiosk.bus.pending.value > 0 ? " busy" : ""}`} aria-hidden="true" />
    </>
  );
}
