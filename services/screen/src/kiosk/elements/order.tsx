// cart and checkout: CartLines, OrderSummary, Totals, Upsell, LoyaltyPrompt, CartSummary.
import { useEffect, useId, useState } from "preact/hooks";
import type { CartLines, CartSummary, Line, LoyaltyPrompt, OrderSummary, Totals, Upsell } from "../../generated/messages";
import { list } from "../../lib/message";
import { Button, Icon, Picture, Stepper } from "../../lib/ui";
import { money, say, t } from "../strings";
import { usePlace } from "./context";

const counted = (count: number) => (count === 1 ? t("cart.items.one") : t("cart.items", { count }));

const currencyOf = (components: { type: string; data: unknown }[]): string => {
  for (const { data } of components) {
    const currency = (data as { currency?: unknown }).currency;
    if (typeof currency === "string") return currency;
  }
  return "USD";
};

function Extras({ line }: { line: Line }) {
  return (
    <>
      {line.customizations.map((name) => (
        <span key={name} class="extra">
          {/^(no|without|sin) /i.test(name) ? name : `+ ${name}`}
        </span>
      ))}
      {line.note && <span class="extra note">“{line.note}”</span>}
      {line.available === false && <span class="tag strong">{t("item.soldout")}</span>}
    </>
  );
}

const lineClass = ({ available }: Line) => (available === false ? "line soldout" : "line");

function CartLine({ line, currency }: { line: Line; currency: string }) {
  const { kiosk, screen } = usePlace();
  // Quick touches count from what was touched last, not from what the fleet has said so far.
  const [wanted, setWanted] = useState<number | undefined>(undefined);
  useEffect(() => setWanted(undefined), [screen.number]);
  const quantity = wanted ?? line.quantity;
  const of = { customizations: line.customizations, note: line.note, line_id: line.line_id };
  const name = line.name;
  return (
    <li class={lineClass(line)}>
      <Picture src={line.image} />
      <div class="line-words">
        <span class="line-name">{name}</span>
        <Extras line={line} />
        <span class="each">{t("cart.each", { price: money(line.unit_price, currency) })}</span>
      </div>
      <Button
        kind="quiet"
        class="line-change"
        icon="pencil"
        label={t("cart.change", { name })}
        onClick={() => kiosk.touch("select_item", { item_id: line.item_id, line_id: line.line_id, component: "CartLines" })}
      />
      <Stepper
        value={quantity}
        min={0}
        max={line.available === false ? quantity : undefined}
        less={quantity === 1 ? t("cart.remove", { name }) : t("cart.less", { name })}
        more={t("cart.more", { name })}
        shown={t("cart.quantity", { count: quantity, name })}
        onChange={(value) => {
          setWanted(value);
          void kiosk.cart("update_qty", line.item_id, { quantity: value, ...of });
        }}
      />
      <span class="line-total">{money(line.line_total, currency)}</span>
      <Button kind="quiet" class="line-remove" icon="bin" label={t("cart.remove", { name })} onClick={() => kiosk.cart("remove", line.item_id, of)} />
    </li>
  );
}

export function Cart({ data }: { data: CartLines }) {
  const { screen } = usePlace();
  const currency = currencyOf(screen.components);
  return (
    <section class="lines-section" aria-busy={data.updating}>
      <h1 tabIndex={-1}>{t("cart.title")}</h1>
      {data.lines.length === 0 && !data.updating ? (
        <div class="empty">
          <Icon name="bag" />
          <p>{t("cart.empty")}</p>
          <p>{t("cart.empty.hint")}</p>
        </div>
      ) : (
        <ul class="lines">
          {data.lines.map((line) => (
            <CartLine key={line.line_id} line={line} currency={currency} />
          ))}
        </ul>
      )}
      {data.updating && <p class="more">{t("cart.updating")}</p>}
    </section>
  );
}

export function Summary({ data }: { data: OrderSummary }) {
  const { screen } = usePlace();
  const currency = currencyOf(screen.components);
  return (
    <section class="lines-section" aria-busy={!data.verified}>
      <h1 tabIndex={-1}>{t("checkout.title")}</h1>
      <ul class="lines compact">
        {data.lines.map((line) => (
          <li key={line.line_id} class={lineClass(line)}>
            <Picture src={line.image} />
            <span class="line-count">{line.quantity} ×</span>
            <div class="line-words">
              <span class="line-name">{line.name}</span>
              <Extras line={line} />
            </div>
            <span class="line-total">{money(line.line_total, currency)}</span>
          </li>
        ))}
      </ul>
      <p class="more" role="status">
        {data.verified ? "" : t("checkout.verifying")}
      </p>
    </section>
  );
}

export function TotalsBox({ data }: { data: Totals }) {
  return (
    <dl class="totals" aria-label={t("totals.title")}>
      {data.tax > 0 && (
        <>
          <div>
            <dt>{t("totals.subtotal")}</dt>
            <dd>{money(data.subtotal, data.currency)}</dd>
          </div>
          <div>
            <dt>{t("totals.tax")}</dt>
            <dd>{money(data.tax, data.currency)}</dd>
          </div>
        </>
      )}
      <div class="sum">
        <dt>
          {t("totals.total")} <span class="count">({counted(data.count)})</span>
        </dt>
        <dd>{money(data.total, data.currency)}</dd>
      </div>
    </dl>
  );
}

export function Offers({ data }: { data: Upsell }) {
  const { kiosk, screen } = usePlace();
  const currency = currencyOf(screen.components);
  const suggestions = list(data.suggestions);
  if (suggestions.length === 0) return null;
  return (
    <section class="upsell">
      <h2 tabIndex={-1}>{t("upsell.title")}</h2>
      <ul class="offers">
        {suggestions.map((offer) => (
          <li key={offer.item_id} class="offer">
            <Picture src={offer.image ?? ""} />
            <div class="offer-words">
              <span class="offer-name">{offer.name}</span>
              <span class="pitch">{say(offer.pitch)}</span>
              {typeof offer.price === "number" && <span class="price">{money(offer.price, currency)}</span>}
            </div>
            <Button class="offer-add" icon="plus" aria-label={say(`Add ${offer.name}`)} onClick={() => kiosk.suggested(`Add ${offer.name}`)}>
              {t("upsell.add")}
            </Button>
          </li>
        ))}
      </ul>
    </section>
  );
}

const CARD = /^[A-Za-z0-9 -]{4,40}$/;

export function Loyalty({ data }: { data: LoyaltyPrompt }) {
  const { kiosk } = usePlace();
  const [card, setCard] = useState("");
  const [changing, setChanging] = useState(false);
  const [wrong, setWrong] = useState(false);
  const id = useId();
  useEffect(() => setChanging(false), [data.loyalty_card]);
  if (data.loyalty_card && !changing) {
    return (
      <section class="loyalty set">
        <Icon name="star" />
        <p>{t("loyalty.using", { card: data.loyalty_card })}</p>
        <Button onClick={() => setChanging(true)}>{t("loyalty.change")}</Button>
      </section>
    );
  }
  return (
    <section class="loyalty">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const number = card.trim();
          const good = CARD.test(number);
          setWrong(!good);
          if (good) void kiosk.touch("checkout", { loyalty_card: number });
        }}
      >
        <h2>
          <Icon name="star" /> {t("loyalty.title")}
        </h2>
        <label class="field">
          <span>{t("loyalty.hint")}</span>
          <input
            type="text"
            inputMode="text"
            maxLength={40}
            autocomplete="off"
            value={card}
            aria-label={t("loyalty.label")}
            placeholder={t("loyalty.label")}
            aria-invalid={wrong}
            aria-describedby={wrong ? id : undefined}
            onInput={(event) => {
              setCard(event.currentTarget.value);
              setWrong(false);
            }}
          />
        </label>
        <Button type="submit">{t("loyalty.save")}</Button>
        {wrong && (
          <p id={id} class="field-wrong" role="alert">
            {t("loyalty.wrong")}
          </p>
        )}
      </form>
    </section>
  );
}

export function CartBar({ data }: { data: CartSummary }) {
  const { kiosk } = usePlace();
  if (data.count === 0 && !data.updating) return null;
  return (
    <button type="button" class="button cartbar" aria-busy={data.updating} onClick={() => kiosk.touch("show_cart", { component: "CartSummary" })}>
      <Icon name="bag" />
      <span class="cartbar-count">{counted(data.count)}</span>
      <span class="cartbar-view">{t("cart.view")}</span>
      <span class="price">{money(data.total, data.currency)}</span>
    </button>
  );
}
