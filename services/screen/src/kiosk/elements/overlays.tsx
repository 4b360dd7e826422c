// Over any layout: Notice, IdleWarning; and what only the page knows, such as a lost connection.
import { useEffect, useState } from "preact/hooks";
import type { IdleWarning, Notice } from "../../generated/messages";
import { Button, Dialog, Icon, useCountdown } from "../../lib/ui";
import { say, t } from "../strings";
import { usePlace } from "./context";

const INFO_MS = 6_000;

export function NoticeBox({ data }: { data: Notice }) {
  const { screen } = usePlace();
  const [dismissed, setDismissed] = useState(false);
  useEffect(() => {
    setDismissed(false);
    // What needs nobody's attention goes by itself.
    const timer = data.severity === "info" ? setTimeout(() => setDismissed(true), INFO_MS) : undefined;
    return () => clearTimeout(timer);
  }, [data.text, data.severity, screen.number]);
  if (dismissed) return null;
  const severity = data.severity === "error" || data.severity === "warning" ? data.severity : "info";
  return (
    <div class={`toast ${severity}`}>
      <Icon name={severity === "info" ? "check" : "warning"} />
      <p>{say(data.text)}</p>
      <Button kind="quiet" icon="close" label={t("notice.dismiss")} onClick={() => setDismissed(true)} />
    </div>
  );
}

export function Idle({ data }: { data: IdleWarning }) {
  const { kiosk, screen } = usePlace();
  // By the fleet's clock, so that a page that was loaded meanwhile says what is left.
  const deadline = Date.parse(data.deadline);
  const left = useCountdown(deadline, () => kiosk.now());
  const since = useCountdown(screen.at + data.seconds * 1000, () => performance.now());
  const seconds = Number.isFinite(deadline) ? left : since;
  const go = () => void kiosk.touch("keep_going");
  return (
    <Dialog title={t("idle.title")} urgent onEscape={go} class="idle">
      <p role="timer" class="idle-seconds">
        {seconds}
      </p>
      <p>{t("idle.text", { seconds })}</p>
      <Button kind="primary" class="wide" autofocus onClick={go}>
        {say("Keep going")}
      </Button>
    </Dialog>
  );
}

export function CancelQuestion({ onNo, onYes }: { onNo: () => void; onYes: () => void }) {
  return (
    <Dialog title={t("cancel.title")} urgent onEscape={onNo}>
      <p>{t("cancel.text")}</p>
      <div class="dialog-actions">
        <Button kind="danger" onClick={onYes}>
          {t("cancel.yes")}
        </Button>
        <Button kind="primary" autofocus onClick={onNo}>
          {t("cancel.no")}
        </Button>
      </div>
    </Dialog>
  );
}

export function Offline({ first }: { first: boolean }) {
  return (
    <Dialog title={first ? t("link.connecting") : t("link.offline")} urgent class="offline">
      <span class="offline-mark" aria-hidden="true">
        <Icon name="plug" />
      </span>
      {!first && <p>{t("link.offline.hint")}</p>}
      <span class="spinner" aria-hidden="true" />
    </Dialog>
  );
}

export function Silent() {
  return (
    <Dialog title={t("link.silent")} urgent class="offline">
      <p>{t("link.silent.hint")}</p>
      <span class="spinner" aria-hidden="true" />
    </Dialog>
  );
}

export function NotSentBox({ onDismiss }: { onDismiss: () => void }) {
  return (
    <div class="toast error" data-testid="not-sent">
      <Icon name="warning" />
      <p>{t("link.notsent")}</p>
      <Button kind="quiet" icon="close" label={t("notice.dismiss")} onClick={onDismiss} />
    </div>
  );
}
