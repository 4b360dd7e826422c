// paying, paid and error: PaymentPrompt, OrderNumber, Receipt, ErrorMessage.
import qrcode from "qrcode-generator";
import type { ErrorMessage, OrderNumber, PaymentPrompt, Receipt } from "../../generated/messages";
import { Button, Icon, useCountdown } from "../../lib/ui";
import { money, say, t } from "../strings";
import { usePlace } from "./context";

export function Payment({ data }: { data: PaymentPrompt }) {
  const { kiosk } = usePlace();
  const seconds = useCountdown(Date.parse(data.deadline) || 0, () => kiosk.now());
  const waiting = data.status === "waiting";
  const title = waiting ? t("pay.title") : data.status === "cancelling" ? t("pay.cancelling") : t("pay.checking");
  return (
    <section class="payment" aria-busy={!waiting}>
      <p class="eyebrow">{t("pay.order", { number: data.order_number })}</p>
      <h1 tabIndex={-1}>{title}</h1>
      <p class="amount">{money(data.amount, data.currency)}</p>
      <div class={`reader ${waiting ? "waiting" : "busy"}`} aria-hidden="true">
        <span class="wave" />
        <span class="wave" />
        <Icon name="card" />
      </div>
      {waiting ? <p class="hint">{t("pay.hint")}</p> : data.status === "checking" && <p class="hint">{t("pay.checking.hint")}</p>}
      {waiting && (
        <p class="countdown" role="timer">
          <Icon name="clock" /> {t("pay.left", { seconds })}
        </p>
      )}
      {waiting && kiosk.config.simulated_terminal && (
        <div class="demo">
          <p>{t("pay.demo")}</p>
          <Button icon="card" onClick={() => kiosk.tap("tok_visa", data.order_id)}>
            {t("pay.demo.visa")}
          </Button>
          <Button icon="card" onClick={() => kiosk.tap("tok_declined", data.order_id)}>
            {t("pay.demo.declined")}
          </Button>
        </div>
      )}
    </section>
  );
}

export function Number({ data }: { data: OrderNumber }) {
  return (
    <section class="number">
      <span class="done-mark" aria-hidden="true">
        <Icon name="check" />
      </span>
      <h1 tabIndex={-1}>{t("paid.title")}</h1>
      <p>{t("paid.number")}</p>
      <p class="order-number">{data.order_number}</p>
      <p class="hint">{t("paid.hint")}</p>
    </section>
  );
}

function Qr({ text }: { text: string }) {
  const code = qrcode(0, "M");
  code.addData(text);
  code.make();
  const size = code.getModuleCount();
  let path = "";
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) if (code.isDark(row, column)) path += `M${column + 4} ${row + 4}h1v1h-1z`;
  }
  return (
    <svg class="qr" viewBox={`0 0 ${size + 8} ${size + 8}`} role="img" aria-label={t("paid.qr")} shape-rendering="crispEdges">
      <rect width={size + 8} height={size + 8} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}

export function ReceiptBox({ data }: { data: Receipt }) {
  const { kiosk } = usePlace();
  const { receipt_base_url: base } = kiosk.config;
  // A path alone: "//elsewhere" would be another server.
  const url = base && /^\/[^/\\]/.test(data.receipt_url ?? "") ? new URL(data.receipt_url!, base) : undefined;
  const points = data.loyalty_points_earned;
  const print = data.print === "printed" ? "paid.print.printed" : data.print === "failed" ? "paid.print.failed" : "paid.print.pending";
  return (
    <section class="receipt">
      <div class="receipt-words">
        <p class="amount">{t("paid.amount", { amount: money(data.amount_charged, data.currency) })}</p>
        {points > 0 && (
          <p class="points">
            <Icon name="star" /> {points === 1 ? t("paid.points.one") : t("paid.points", { count: points })}
          </p>
        )}
        <p role="status">
          <Icon name="receipt" /> {t(print)}
        </p>
        {url && (
          <a class="button plain receipt-link" href={url.href} target="_blank" rel="noopener noreferrer">
            <Icon name="receipt" />
            <span>{t("paid.receipt")}</span>
          </a>
        )}
      </div>
      {url && (
        <figure class="qr-box">
          <Qr text={url.href} />
          <figcaption>{t("paid.qr")}</figcaption>
        </figure>
      )}
    </section>
  );
}

export function Trouble({ data }: { data: ErrorMessage }) {
  return (
    <section class="trouble" role="alert">
      <span class="trouble-mark" aria-hidden="true">
        <Icon name="warning" />
      </span>
      <h1 tabIndex={-1}>{t("error.title")}</h1>
      <p class="trouble-text">{say(data.text)}</p>
      <p class="hint">{say(data.way_out)}</p>
      {data.order_number && <p class="order-number small">{t("error.order", { number: data.order_number })}</p>}
    </section>
  );
}
