// What all pages are made of: buttons, icons, dialogs, a net below each element.
import { Component, type ComponentChildren, type ButtonHTMLAttributes } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";

// Drawn for this project on a grid of 24; strokes of 2.
const ICONS = {
  back: "M15 5l-7 7 7 7",
  forward: "M9 5l7 7-7 7",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  check: "M4.5 12.5l5 5 10-11",
  search: "M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM15.5 15.5L20 20",
  bag: "M5 8h14l1 12H4L5 8zM8.5 8V7a3.5 3.5 0 0 1 7 0v1",
  bin: "M5 7h14M10 7V4.5h4V7M7 7l1 13h8l1-13M10.5 11v5.5M13.500 11v5.500",
  pencil: "M4 20l1-4.500L16.500 4l3.500 3.500L8.500 19 4 20zM14 6.500l3.500 3.500",
  mic: "M12 3.500a3 3 0 0 1 3 3V12a3 3 0 0 1-6 0V6.500a3 3 0 0 1 3-3zM6 11.500a6 6 0 0 0 12 0M12 17.500V21",
  stop: "M7 7h10v10H7z",
  keyboard: "M3 6.500h18v11H3zM7 10.200h.01M10.300 10.200h.01M13.600 10.200h.01M17 10.200h.01M8 14h8",
  sun: "M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M18.700 5.300l-1.400 1.400M6.700 17.300l-1.400 1.400",
  moon: "M19.500 14.500A8 8 0 0 1 9.500 4.500a8 8 0 1 0 10 10z",
  sound: "M4 9.500v5h3.500L12 19V5L7.500 9.500H4zM15.500 9a4 4 0 0 1 0 6M18 6.500a7.500 7.500 0 0 1 0 11",
  mute: "M4 9.500v5h3.500L12 19V5L7.500 9.500H4zM16 9.500l5 5M21 9.500l-5 5",
  globe: "M12 3.500a8.500 8.500 0 1 1 0 17 8.500 8.500 0 0 1 0-17zM3.500 12h17M12 3.500c5 5 5 12 0 17M12 3.500c-5 5-5 12 0 17",
  card: "M3 6h18v12H3zM3 10h18M6.500 14.500h4",
  clock: "M12 3.500a8.500 8.500 0 1 1 0 17 8.500 8.500 0 0 1 0-17zM12 7.500V12l3 2",
  warning: "M12 4l9 16H3L12 4zM12 10v4.500M12 17.200v.1",
  info: "M12 3.500a8.500 8.500 0 1 1 0 17 8.500 8.500 0 0 1 0-17zM12 11v5M12 7.800v.1",
  receipt: "M6 3.500h12v17l-2-1.500-2 1.500-2-1.500-2 1.500-2-1.500-2 1.500v-17zM9 8h6M9 12h6",
  plug: "M9 3.500v5M15 3.500v5M6.500 8.500h11v3a5.500 5.500 0 0 1-11 0v-3zM12 17v3.500",
  star: "M12 3.500l2.600 5.400 5.900.8-4.300 4.100 1 5.900L12 16.900l-5.200 2.800 1-5.900L3.500 9.700l5.900-.8L12 3.500z",
} as const;

export type IconName = keyof typeof ICONS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={ICONS[name]} />
    </svg>
  );
}

type ButtonProps = Omit<ButtonHTMLAttributes<HTMLButtonElement>, "type" | "label" | "children" | "class"> & {
  kind?: "primary" | "plain" | "quiet" | "danger";
  icon?: IconName | undefined;
  // Shown as an icon only; then `label` is what a screen reader says.
  label?: string;
  class?: string;
  type?: "button" | "submit";
  children?: ComponentChildren;
};

export function Button({ kind = "plain", icon, label, children, type = "button", class: extra, ...rest }: ButtonProps) {
  const round = label !== undefined && children === undefined;
  return (
    <button type={type} class={`button ${kind}${round ? " round" : ""}${extra ? ` ${extra}` : ""}`} aria-label={label} {...rest}>
      {icon && <Icon name={icon} />}
      {children !== undefined && <span>{children}</span>}
    </button>
  );
}

export function Stepper({ value, min = 1, max = 99, less, more, shown, onChange }: {
  value: number;
  min?: number;
  max?: number | undefined;
  less: string;
  more: string;
  shown: string;
  onChange: (value: number) => void;
}) {
  return (
    <div class="stepper" role="group" aria-label={shown}>
      <Button icon="minus" label={less} disabled={value <= min} onClick={() => onChange(value - 1)} />
      <output aria-live="polite">{value}</output>
      <Button icon="plus" label={more} disabled={value >= max} onClick={() => onChange(value + 1)} />
    </div>
  );
}

// Over everything else, which cannot be reached meanwhile. `onEscape`: what the Escape key does.
export function Dialog({ title, urgent = false, onEscape, class: extra = "", children }: {
  title: string;
  urgent?: boolean;
  onEscape?: (() => void) | undefined;
  class?: string;
  children: ComponentChildren;
}) {
  const element = useRef<HTMLDialogElement>(null);
  // Where the focus was, and where it goes back to.
  const before = useRef(document.activeElement);
  const id = useId();
  useEffect(() => {
    const dialog = element.current!;
    if (!dialog.open) dialog.showModal();
    return () => {
      dialog.close();
      if (before.current instanceof HTMLElement && before.current.isConnected) before.current.focus({ preventScroll: true });
    };
  }, []);
  return (
    <dialog
      ref={element}
      class={`dialog ${extra}`}
      role={urgent ? "alertdialog" : "dialog"}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onEscape?.();
      }}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

// Whether a dialog is open, or about to be: what leaves a field then is not the customer's hand.
export const inDialog = (): boolean => document.querySelector("dialog[open]") !== null;

// A picture whose file may not be there. What it shows stands beside it in words.
export function Picture({ src, class: extra = "", eager = false }: { src: string; class?: string; eager?: boolean }) {
  const [failed, setFailed] = useState("");
  const own = /^\/[\w./-]+$/.test(src) && !src.startsWith("//");
  return (
    <span class={`picture ${extra}`} aria-hidden="true">
      {own && failed !== src ? (
        <img src={src} alt="" loading={eager ? "eager" : "lazy"} decoding="async" draggable={false} onError={() => setFailed(src)} />
      ) : (
        <svg viewBox="0 0 64 64" class="noimage">
          <path d="M10 38h44a22 22 0 0 0-44 0zM6 42h52v4H6zM30 12h4v5h-4z" />
        </svg>
      )}
    </span>
  );
}

// Seconds until `end` (in ms of `now`), counted down each second.
export function useCountdown(end: number, now: () => number): number {
  const left = () => Math.max(0, Math.ceil((end - now()) / 1000));
  const [seconds, setSeconds] = useState(left);
  useEffect(() => {
    setSeconds(left());
    const timer = setInterval(() => setSeconds(left()), 250);
    return () => clearInterval(timer);
  }, [end]);
  return seconds;
}

// What one element fails at is not the others' loss: the bus may send anything.
export class Net extends Component<{ of: unknown; instead: ComponentChildren; children: ComponentChildren }, { failed: unknown }> {
  override state = { failed: undefined as unknown };
  override componentDidCatch(error: unknown): void {
    console.error(error);
    this.setState({ failed: this.props.of });
  }
  override render() {
    return this.state.failed !== undefined && this.state.failed === this.props.of ? this.props.instead : this.props.children;
  }
}
