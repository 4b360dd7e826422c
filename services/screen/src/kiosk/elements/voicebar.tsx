// The microphone, what is heard and said, and a text field for those who cannot or will not speak.
import { useEffect, useRef, useState } from "preact/hooks";
import { Button, Icon } from "../../lib/ui";
import { t } from "../strings";
import { usePlace } from "./context";

export function VoiceBar() {
  const { kiosk, voice } = usePlace();
  const [typing, setTyping] = useState(false);
  const [text, setText] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const microphone = voice.microphone.value;
  const state = voice.state.value;
  const missing = microphone === "none" || microphone === "denied";
  useEffect(() => {
    if (missing) setTyping(true);
  }, [missing]);
  useEffect(() => {
    if (typing) field.current?.focus();
  }, [typing]);
  const on = microphone === "on";
  const heard = voice.heard.value;
  const said = voice.said.value;
  const status =
    missing ? t(microphone === "none" ? "voice.none" : "voice.denied")
    : state === "listening" || (on && state === "idle") ? t("voice.listening")
    : state === "thinking" ? t("voice.thinking")
    : state === "speaking" ? t("voice.speaking")
    : t("voice.idle");
  return (
    <section
      class={`voice ${on ? "on" : ""} is-${state}`}
      aria-label={t("voice.start")}
      data-sounding={voice.sounding.value}
      data-hushes={voice.hushes.value}
    >
      {typing && (
        <form
          class="voice-type"
          onSubmit={(event) => {
            event.preventDefault();
            const words = text.trim();
            if (!words) return;
            void kiosk.text(words).then((sent) => sent && setText(""));
          }}
        >
          <input
            ref={field}
            type="text"
            value={text}
            maxLength={300}
            autocomplete="off"
            enterkeyhint="send"
            aria-label={t("voice.type.label")}
            placeholder={t("voice.type.label")}
            onInput={(event) => setText(event.currentTarget.value)}
          />
          <Button type="submit" kind="primary">
            {t("voice.type.send")}
          </Button>
          <Button icon="close" label={t("voice.type.close")} onClick={() => setTyping(false)} />
        </form>
      )}
      <div class="voice-row">
        <button
          type="button"
          class="mic"
          aria-pressed={on}
          aria-label={on ? t("voice.stop") : t("voice.start")}
          disabled={microphone === "starting"}
          onClick={() => (on ? voice.stop() : void voice.start())}
        >
          <span class="mic-ring" style={{ transform: `scale(${1 + voice.level.value * 0.5})` }} />
          <Icon name={on ? "stop" : "mic"} />
        </button>
        <div class="captions">
          <p class={`voice-state${(heard.text || said) && state === "idle" && !on && !missing ? " spare" : ""}`} role="status">
            {status}
          </p>
          {heard.text && (
            <p class={`heard${heard.final ? "" : " partial"}`}>
              <span class="who">{t("voice.you")}</span> <span class="words">{heard.text}</span>
            </p>
          )}
          {said && (
            <p class="said" aria-live="polite">
              <span class="who">{t("voice.kiosk")}</span> <span class="words">{said}</span>
            </p>
          )}
        </div>
        {!typing && <Button kind="quiet" icon="keyboard" label={t("voice.type")} onClick={() => setTyping(true)} />}
      </div>
    </section>
  );
}
