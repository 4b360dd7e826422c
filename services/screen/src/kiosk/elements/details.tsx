// details: ItemDetails.
import { useEffect, useRef, useState } from "preact/hooks";
import type { ItemDetails } from "../../generated/messages";
import { Button, Icon, inDialog, Picture, Stepper } from "../../lib/ui";
import { money, t, word } from "../strings";
import { usePlace } from "./context";

// Each dish, and each line of the cart that is changed, begins anew.
export const Details = ({ data }: { data: ItemDetails }) => <Dish key={`${data.id} ${data.line_id ?? ""}`} data={data} />;

function Dish({ data }: { data: ItemDetails }) {
  const { kiosk, screen } = usePlace();
  // The line of the cart that is to be changed; none: the dish is to be added.
  const line = data.line_id ?? undefined;
  const [quantity, setQuantity] = useState(1);
  const [note, setNote] = useState(data.note);
  const chosen = data.customizations.filter(({ selected }) => selected).map(({ name }) => name);
  // What was touched and the fleet has not answered yet.
  const [touched, setTouched] = useState<string[] | undefined>(undefined);
  useEffect(() => setTouched(undefined), [screen.number]);
  // A dish is added once a screen, however often the button is pressed, unless it was not sent.
  const bought = useRef<number | undefined>(undefined);
  const once = async (send: () => Promise<boolean>) => {
    if (bought.current === screen.number) return;
    bought.current = screen.number;
    if (!(await send())) bought.current = undefined;
  };
  const gone = useRef(false);
  useEffect(() => () => void (gone.current = true), []);
  const selected = touched ?? chosen;
  const change = (names: string[]) => {
    setTouched(names);
    void kiosk.touch("customize", { item_id: data.id, customizations: names, note });
  };
  return (
    <article class="details" aria-busy={data.loading}>
      <Picture src={data.image} class="details-picture" eager />
      <div class="details-words">
        <h1 tabIndex={-1}>{data.title}</h1>
        <p class="details-price">
          <span class="price">{money(data.price, data.currency)}</span>
          {data.calories !== null && <span class="calories">{t("details.calories", { count: data.calories })}</span>}
        </p>
        <p class="description">{data.description}</p>
        {!data.available && (
          <p class="banner warning" role="alert">
            <Icon name="warning" />
            <span>{t("details.soldout")}</span>
          </p>
        )}
        {!data.loading && (
          <dl class="facts">
            <div class="fact allergens">
              <dt>{t("details.allergens")}</dt>
              <dd>{data.allergens.length > 0 ? data.allergens.map((name) => <span key={name} class="tag strong">{word(name)}</span>) : t("details.noallergens")}</dd>
            </div>
            {data.dietary.length > 0 && (
              <div class="fact">
                <dt>{t("details.diet")}</dt>
                <dd>{data.dietary.map((name) => <span key={name} class="tag good">{word(name)}</span>)}</dd>
              </div>
            )}
          </dl>
        )}
      </div>
      {data.customizations.length > 0 && (
        <fieldset class="choices" disabled={!data.available}>
          <legend>{t("details.customize")}</legend>
          {data.customizations.map(({ name, price }) => (
            <label key={name} class="choice">
              <input
                type="checkbox"
                checked={selected.includes(name)}
                onChange={(event) => change(event.currentTarget.checked ? [...selected, name] : selected.filter((other) => other !== name))}
              />
              <span class="choice-mark">
                <Icon name="check" />
              </span>
              <span class="choice-name">{name}</span>
              <span class="choice-price">{price > 0 ? `+ ${money(price, data.currency)}` : t("details.included")}</span>
            </label>
          ))}
        </fieldset>
      )}
      <label class="field">
        <span>{t("details.note")}</span>
        <input
          type="text"
          maxLength={120}
          value={note}
          autocomplete="off"
          placeholder={t("details.note.hint")}
          disabled={!data.available}
          onInput={(event) => setNote(event.currentTarget.value)}
          onBlur={() => {
            // The page takes the focus away, too, and that is no customer's doing: for a question, or for another screen.
            if (gone.current || inDialog() || !document.hasFocus()) return;
            if (note !== data.note) void kiosk.touch("customize", { item_id: data.id, customizations: selected, note });
          }}
        />
      </label>
      {data.available && line !== undefined && (
        <div class="buy">
          <Button
            kind="primary"
            icon="check"
            class="wide"
            disabled={data.loading}
            onClick={() => once(() => kiosk.touch("customize", { item_id: data.id, line_id: line, customizations: selected, note }))}
          >
            {t("details.save")} · {money(data.unit_price, data.currency)}
          </Button>
        </div>
      )}
      {data.available && line === undefined && (
        <div class="buy">
          <Stepper value={quantity} less={t("cart.less", { name: data.title })} more={t("cart.more", { name: data.title })} shown={t("details.quantity")} onChange={setQuantity} />
          <Button
            kind="primary"
            icon="bag"
            class="wide"
            disabled={data.loading}
            onClick={() => once(() => kiosk.cart("add", data.id, { quantity, customizations: selected, ...(note ? { note } : {}) }))}
          >
            {t("details.add")} · {money(data.unit_price * quantity, data.currency)}
          </Button>
        </div>
      )}
    </article>
  );
}
