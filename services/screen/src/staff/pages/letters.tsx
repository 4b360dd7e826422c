import { Button } from "../../lib/ui";
import { type Shift } from "../desk";
import { count, moment, t } from "../strings";

const pretty = (body: string): string => {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
};

export function Letters({ shift: { letters } }: { shift: Shift }) {
  const list = letters.list.value;
  const outcome = letters.outcome.value;
  const total = letters.total.value ?? 0;
  return (
    <>
      <p role="status" class={outcome ? `outcome ${outcome.done ? "good" : "bad"}` : "unseen"}>
        {outcome && t(outcome.done ? "letters.done" : `letters.${outcome.why || "refused"}`, { seq: outcome.seq, subject: outcome.subject, text: outcome.text })}
      </p>
      {!list && <p class="hint">{t("loading")}</p>}
      {list?.length === 0 && <p class="hint">{t("letters.none")}</p>}
      <ul class="letters">
        {list?.map((letter) => (
          <li key={letter.seq} class="panel letter" data-letter={letter.seq}>
            <div class="letter-head">
              <div>
                <h2>{letter.subject}</h2>
                <p class="hint">#{letter.seq} · {moment(letter.time)} · {letter.agent} · {t("letters.deliveries", { count: letter.deliveries })}</p>
              </div>
              {letter.unsendable === "" && letters.mayReplay(letter) && (
                <Button class="small" disabled={letters.busy.value !== undefined} aria-label={t("letters.replay.of", { seq: letter.seq })} onClick={() => void letters.replay(letter)}>
                  {t(letters.busy.value === letter.seq ? "letters.busy" : "letters.replay")}
                </Button>
              )}
            </div>
            {letter.unsendable ? <p class="problem">{t(`letters.${letter.unsendable}`, { seq: letter.seq })}</p> : <p><strong>{letter.code}</strong> {letter.error}</p>}
            {letter.unsendable === "" && !letters.mayReplay(letter) && <p class="hint">{t("letters.operator")} <code>arcctl deadletter replay {letter.seq}</code></p>}
            <details>
              <summary>{t("letters.content")}</summary>
              <pre tabIndex={0}>{letter.headers.map(({ name, value }) => `${name}: ${value}\n`).join("")}{letter.headers.length > 0 && "\n"}{pretty(letter.body).slice(0, 20_000)}</pre>
            </details>
          </li>
        ))}
      </ul>
      {list && list.length < total && (
        <div class="row">
          <p class="hint">{t("letters.shown", { shown: count(list.length), total: count(total) })}</p>
          <Button class="small" onClick={() => letters.older()}>{t("letters.older")}</Button>
        </div>
      )}
    </>
  );
}
