import { useComputed } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { BOUND } from "../day";
import { type Shift } from "../desk";
import { byHour, suggestions, topDishes, voice } from "../figures";
import { count, moment, money, percent, t } from "../strings";

const TOP = 8;
const LATEST = 12;
const WIDTH = 720, HEIGHT = 180, FOOT = 22, HEAD = 18;

function Tile({ title, value, hint, share }: { title: string; value: string; hint?: string; share?: number | undefined }) {
  return (
    <div class="panel tile">
      <h2>{title}</h2>
      <p class="big">{value}</p>
      {share !== undefined && (
        <svg class="share" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
          <rect class="track" width="100" height="6" />
          <rect class="bar" width={share * 100} height="6" />
        </svg>
      )}
      {hint && <p class="hint">{hint}</p>}
    </div>
  );
}

function Hours({ hours }: { hours: { hour: number; orders: number }[] }) {
  const top = Math.max(1, ...hours.map(({ orders }) => orders));
  const step = WIDTH / hours.length;
  const size = (orders: number) => (orders / top) * (HEIGHT - FOOT - HEAD);
  return (
    <svg class="chart" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${t("figures.hours")}. ${hours.filter(({ orders }) => orders > 0).map(({ hour, orders }) => t("figures.hour", { hour, count: orders })).join(", ")}`}>
      <line class="axis" x1="0" x2={WIDTH} y1={HEIGHT - FOOT} y2={HEIGHT - FOOT} />
      {hours.map(({ hour, orders }, index) => (
        <g key={index}>
          {orders > 0 && <rect class="bar" x={index * step + 3} width={step - 6} y={HEIGHT - FOOT - size(orders)} height={size(orders)} rx="3" />}
          {orders > 0 && <text x={(index + 0.5) * step} y={HEIGHT - FOOT - size(orders) - 5}>{orders}</text>}
          {index % 3 === 2 && <text x={(index + 0.5) * step} y={HEIGHT - 5}>{hour}</text>}
        </g>
      ))}
    </svg>
  );
}

function Dishes({ dishes }: { dishes: { name: string; quantity: number }[] }) {
  const top = Math.max(1, ...dishes.map(({ quantity }) => quantity));
  return (
    <ol class="bars">
      {dishes.map(({ name, quantity }) => (
        <li key={name}>
          <span class="bar-name">{name}</span>
          <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
            <rect class="bar" width={(quantity / top) * 100} height="10" />
          </svg>
          <strong>{count(quantity)}</strong>
        </li>
      ))}
    </ol>
  );
}

export function Figures({ shift: { day, journal, menu } }: { shift: Shift }) {
  const offered = useComputed(() => suggestions(day.screens.value));
  const said = useComputed(() => voice(day.said.value));
  const orders = journal.orders.value;
  const price = (amount: number) => money(amount, menu.currency.value);
  const revenue = orders.reduce((sum, { total }) => sum + total, 0);
  const { taken, offered: asked } = offered.value;
  const { good, all: things } = said.value;
  // The day is read when somebody wants to know, and on from there.
  useEffect(() => {
    day.start();
    return () => day.stop();
  }, [day]);
  const reading = day.progress.value < 1;
  const progress = t("figures.reading", { share: percent(day.progress.value) });
  const bound = day.since.value === undefined ? "" : ` · ${t("figures.bound", { count: count(BOUND), since: moment(day.since.value) })}`;
  const basis = (known: string) => (known === "" ? (reading ? progress : t("figures.none") + bound) : known + (reading ? ` · ${progress}` : bound));
  return (
    <>
      <div class="tiles">
        <Tile title={t("figures.orders")} value={count(orders.length)} />
        <Tile title={t("figures.revenue")} value={price(revenue)} />
        <Tile title={t("figures.average")} value={orders.length === 0 ? "–" : price(revenue / orders.length)} />
        <Tile title={t("figures.conversion")} value={asked === 0 ? "–" : percent(taken / asked)} share={asked === 0 ? undefined : taken / asked} hint={basis(asked === 0 ? "" : t("figures.conversion.hint", { taken, offered: asked }))} />
        <Tile title={t("figures.voice")} value={things === 0 ? "–" : percent(good / things)} share={things === 0 ? undefined : good / things} hint={basis(things === 0 ? "" : t("figures.voice.hint", { good, all: things }))} />
      </div>
      <div class="pair">
        <section class="panel">
          <h2>{t("figures.hours")}</h2>
          <Hours hours={byHour(orders, Date.now())} />
        </section>
        <section class="panel">
          <h2>{t("figures.dishes")}</h2>
          {orders.length === 0 ? <p class="hint">{t("figures.empty")}</p> : <Dishes dishes={topDishes(orders, TOP)} />}
        </section>
      </div>
      <section class="panel">
        <h2>{t("figures.latest")}</h2>
        {orders.length === 0 ? (
          <p class="hint">{t("figures.empty")}</p>
        ) : (
          <ul class="orders">
            {orders.slice(-LATEST).reverse().map((order) => (
              <li key={order.seq}>
                <strong>{order.number}</strong> <span class="hint">{moment(order.time)} · {order.kiosk}</span> <span class="total">{price(order.total)}</span>
                <span class="what">
                  {order.lines.map(({ name, quantity, id, extras }, index) => (
                    <span key={index}>{index > 0 && ", "}{quantity} × {name || `#${id}`}{extras.length > 0 && <small> ({extras.join(", ")})</small>}</span>
                  ))}
                </span>
              </li>
            ))}
          </ul>
        )}
      </section>
      <p class="hint">{t("figures.basis")}</p>
    </>
  );
}
