import { useComputed, useSignal } from "@preact/signals";
import { Button } from "../../lib/ui";
import { describe } from "../describe";
import { type Shift } from "../desk";
import { clock, count, moment, t } from "../strings";

const KINDS = ["session", "input", "voice", "ui", "vision"];
const SHOWN = 300;

export function Events({ shift: { journal } }: { shift: Shift }) {
  const kind = useSignal("");
  const kiosk = useSignal("");
  const find = useSignal("");
  const whole = useSignal<{ seq: number; text: string } | undefined>(undefined);
  const fitting = useComputed(() => {
    const words = find.value.trim().toLowerCase();
    return journal.happenings.value.filter(
      (one) =>
        (kind.value === "" || one.subject.startsWith(`kiosk.${kind.value}.`)) &&
        (kiosk.value === "" || one.kiosk === kiosk.value) &&
        (words === "" || `${one.subject} ${one.session} ${JSON.stringify(one.payload)}`.toLowerCase().includes(words)),
    );
  });
  const kiosks = useComputed(() => [...new Set(journal.happenings.value.map((one) => one.kiosk))].sort());
  const all = journal.happenings.value;
  const rows = fitting.value.slice(-SHOWN).reverse();
  const show = async (seq: number) => {
    whole.value = { seq, text: t("loading") };
    const text = await journal.whole(seq).catch((error: unknown) => String(error));
    if (whole.peek()?.seq === seq) whole.value = { seq, text };
  };
  return (
    <>
      <div class="filters">
        <label class="field">
          {t("events.kind")}
          <select value={kind.value} onChange={(event) => (kind.value = event.currentTarget.value)}>
            <option value="">{t("events.all")}</option>
            {KINDS.map((one) => <option key={one} value={one}>{one}</option>)}
          </select>
        </label>
        <label class="field">
          {t("events.kiosk")}
          <select value={kiosk.value} onChange={(event) => (kiosk.value = event.currentTarget.value)}>
            <option value="">{t("events.all")}</option>
            {kiosks.value.map((one) => <option key={one} value={one}>{one}</option>)}
          </select>
        </label>
        <label class="field wide">
          {t("events.find")}
          <input type="search" value={find.value} onInput={(event) => (find.value = event.currentTarget.value)} />
        </label>
      </div>
      <div class="row">
        <p class="hint">{all.length > 0 && t("events.shown", { shown: count(rows.length), total: count(all.length), since: moment(all[0]!.time) })}</p>
        {journal.more.value && <Button class="small" disabled={journal.loading.value} onClick={() => void journal.earlier()}>{t("events.earlier")}</Button>}
      </div>
      {rows.length === 0 ? (
        <p class="hint">{t(journal.loading.value ? "loading" : "events.none")}</p>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label={t("nav.events")}>
          <table class="events">
            <thead>
              <tr>
                <th scope="col">{t("events.time")}</th>
                <th scope="col">{t("events.kiosk")}</th>
                <th scope="col">{t("events.subject")}</th>
                <th scope="col">{t("events.what")}</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((one) => (
                <tr key={one.seq} data-seq={one.seq}>
                  <td>
                    <button type="button" class="textlink" aria-label={`${clock(one.time)} ${t("events.whole", { seq: one.seq })}`} onClick={() => void show(one.seq)}>{clock(one.time)}</button>
                  </td>
                  <td>{one.kiosk}</td>
                  <td><span class={`kind ${one.subject.split(".")[1]}`}>{one.subject.replace("kiosk.", "")}</span></td>
                  <td class="what">
                    {describe(one).slice(0, 400)}
                    {whole.value?.seq === one.seq && (
                      <div class="whole">
                        <pre tabIndex={0}>{whole.value.text.slice(0, 50_000)}</pre>
                        <Button class="small" onClick={() => (whole.value = undefined)}>{t("events.close")}</Button>
                      </div>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}
