import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Button } from "../../lib/ui";
import { describe } from "../describe";
import { type Shift } from "../desk";
import { type Happening, type ShownCart } from "../journal";
import { clock, moment, money, t } from "../strings";

interface Session {
  id: string;
  kiosk: string;
  began: number;
  last: number;
  end: string;
  events: Happening[];
}

const SHOWN = 100;
// The pause between two steps is as long as it was, within these.
const LEAST_MS = 150;
const MOST_MS = 2_000;

function sessionsOf(happenings: readonly Happening[]): Session[] {
  const found = new Map<string, Session>();
  for (const one of happenings) {
    if (one.session === "") continue;
    let session = found.get(one.session);
    if (!session) found.set(one.session, (session = { id: one.session, kiosk: one.kiosk, began: one.time, last: one.time, end: "", events: [] }));
    session.events.push(one);
    session.last = one.time;
    if (one.subject === "kiosk.session.ended") session.end = typeof one.payload?.["reason"] === "string" ? one.payload["reason"] : "?";
  }
  return [...found.values()].sort((a, b) => b.began - a.began);
}

// m:ss.t since the session began
const offset = (time: number): string => {
  const seconds = Math.max(0, time / 1000);
  return `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
};

// The cart as a screen said it.
function Cart({ cart, price }: { cart: ShownCart | undefined; price: (amount: number) => string }) {
  if (!cart) return <p class="hint">{t("replay.cart.none")}</p>;
  const { lines, count, total } = cart;
  return (
    <ul class="cart" aria-label={t("sessions.cart")}>
      {lines?.map((line, index) => (
        <li key={index}>
          <span>{line.quantity} × {line.name}{line.extras.length > 0 && <small> {line.extras.join(", ")}</small>}</span>
          <span>{price(line.amount)}</span>
        </li>
      ))}
      <li class="sum">
        <span>{lines?.length === 0 ? t("sessions.cart.empty") : !lines && count !== undefined && t("replay.cart.count", { count })}</span>
        {total !== undefined && <strong>{price(total)}</strong>}
      </li>
    </ul>
  );
}

function Replay({ session, price, close }: { session: Session; price: (amount: number) => string; close: () => void }) {
  const position = useSignal(0);
  const playing = useSignal(false);
  const heading = useRef<HTMLHeadingElement>(null);
  const current = useRef<HTMLLIElement>(null);
  const { events } = session;
  const index = Math.min(position.value, events.length - 1);
  const screen = events.slice(0, index + 1).reverse().find(({ subject }) => subject === "kiosk.ui.update");
  useEffect(() => heading.current?.focus(), []);
  useEffect(() => {
    current.current?.scrollIntoView({ block: "nearest" });
    if (!playing.value) return;
    if (index >= events.length - 1) {
      playing.value = false;
      return;
    }
    const wait = Math.min(MOST_MS, Math.max(LEAST_MS, events[index + 1]!.time - events[index]!.time));
    const timer = setTimeout(() => (position.value = index + 1), wait);
    return () => clearTimeout(timer);
  }, [index, playing.value, events.length]);
  const play = () => {
    if (!playing.value && index >= events.length - 1) position.value = 0;
    playing.value = !playing.value;
  };
  return (
    <section class="panel replay">
      <div class="row">
        <h2 ref={heading} tabIndex={-1}>{t("replay.title", { kiosk: session.kiosk, time: moment(session.began) })}</h2>
        <Button class="small" icon="back" onClick={close}>{t("replay.close")}</Button>
      </div>
      <div class="player">
        <Button class="small" kind="primary" onClick={play}>{t(playing.value ? "replay.pause" : "replay.play")}</Button>
        <input
          type="range"
          min={0}
          max={events.length - 1}
          value={index}
          aria-label={t("replay.position")}
          aria-valuetext={`${offset(events[index]!.time - session.began)} ${describe(events[index]!)}`}
          onInput={(event) => {
            playing.value = false;
            position.value = Number(event.currentTarget.value);
          }}
        />
        <span class="hint">{t("replay.step", { index: index + 1, total: events.length })}</span>
      </div>
      <p class="still">{t("sessions.screen")}: <strong>{screen ? describe(screen) : "–"}</strong></p>
      {screen && <Cart cart={screen.payload?.["cart"] as ShownCart | undefined} price={price} />}
      <ol class="timeline" tabIndex={0} aria-label={t("sessions.events")}>
        {events.map((one, step) => (
          <li key={one.seq} ref={step === index ? current : undefined} class={step === index ? "now" : step > index ? "later" : ""} aria-current={step === index ? "step" : undefined}>
            <span class="when">{offset(one.time - session.began)}</span>
            <span class={`kind ${one.subject.split(".")[1]}`}>{one.subject.replace("kiosk.", "")}</span>
            <span class="what">{describe(one).slice(0, 400)}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

export function Sessions({ shift: { journal, kiosks, menu } }: { shift: Shift }) {
  const chosen = useSignal<string | undefined>(undefined);
  const sessions = useComputed(() => sessionsOf(journal.happenings.value));
  const now = [...kiosks.all.value.values()].sort((a, b) => a.id.localeCompare(b.id));
  const replayed = sessions.value.find(({ id }) => id === chosen.value);
  const price = (amount: number) => money(amount, menu.currency.value);
  if (replayed) return <Replay key={replayed.id} session={replayed} price={price} close={() => (chosen.value = undefined)} />;
  return (
    <>
      <section>
        <h2>{t("sessions.now")}</h2>
        {now.length === 0 && <p class="hint">{t("sessions.none")}</p>}
        <ul class="kiosks">
          {now.map((kiosk) => (
            <li key={kiosk.id} class="panel" data-kiosk={kiosk.id}>
              <div class="row">
                <h3>{kiosk.id}</h3>
                <span class={`health ${kiosk.session ? "serving" : "idle"}`}>{kiosk.session ? kiosk.state : t("sessions.free")}</span>
              </div>
              <p class="hint">{t("sessions.screen")}: {kiosk.layout} · {clock(kiosk.at)}</p>
              {kiosk.lines.length === 0 ? (
                <p class="hint">{t("sessions.cart.empty")}</p>
              ) : (
                <ul class="cart" aria-label={t("sessions.cart")}>
                  {kiosk.lines.map((line, index) => (
                    <li key={index}>
                      <span>{line.quantity} × {line.name}{line.extras.length > 0 && <small> {line.extras.join(", ")}</small>}</span>
                      <span>{price(line.price * line.quantity)}</span>
                    </li>
                  ))}
                  <li class="sum"><span /><strong>{price(kiosk.total)}</strong></li>
                </ul>
              )}
              {kiosk.session && sessions.value.some(({ id }) => id === kiosk.session) && (
                <Button class="small" onClick={() => (chosen.value = kiosk.session)}>{t("sessions.show")}</Button>
              )}
            </li>
          ))}
        </ul>
      </section>
      <section class="panel">
        <h2>{t("sessions.past")}</h2>
        {sessions.value.length === 0 ? (
          <p class="hint">{t("sessions.past.none")}</p>
        ) : (
          <div class="scroll" tabIndex={0} role="region" aria-label={t("sessions.past")}>
            <table class="past">
              <thead>
                <tr>
                  <th scope="col">{t("sessions.began")}</th>
                  <th scope="col">{t("sessions.kiosk")}</th>
                  <th scope="col" class="number">{t("sessions.took")}</th>
                  <th scope="col">{t("sessions.end")}</th>
                  <th scope="col" class="number">{t("sessions.events")}</th>
                  <td />
                </tr>
              </thead>
              <tbody>
                {sessions.value.slice(0, SHOWN).map((session) => (
                  <tr key={session.id} data-session={session.id}>
                    <td>{moment(session.began)}</td>
                    <td>{session.kiosk}</td>
                    <td class="number">{Math.round((session.last - session.began) / 1000)} s</td>
                    <td>{session.end || t("sessions.running")}</td>
                    <td class="number">{session.events.length}</td>
                    <td class="number">
                      <Button class="small" aria-label={t("sessions.show.of", { kiosk: session.kiosk, time: moment(session.began) })} onClick={() => (chosen.value = session.id)}>{t("sessions.show")}</Button>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
    </>
  );
}
