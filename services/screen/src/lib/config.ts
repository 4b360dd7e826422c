// What the static server knows and the pages do not: /config.json, written by services/screen/serve.
import { isObject } from "./message";

export interface Config {
  // Several, separated by commas, are one cluster.
  nats_ws_url: string;
  nats_user?: string;
  // One of them.
  nats_password?: string;
  nats_nkey_seed?: string;
  inbox_prefix?: string;
  // Which kiosk this screen belongs to, and which one messages without a Kiosk-Id belong to.
  kiosk_id: string;
  default_kiosk_id: string;
  // The kiosk's subjects end in its id.
  scoped: boolean;
  // What a receipt's path is put behind; empty: there is nowhere to fetch it.
  receipt_base_url: string;
  // Cards are tapped on the screen: there is no real terminal.
  simulated_terminal: boolean;
}

const RETRY_MS = 500;

// A kiosk's browser may start before its server does, and there is nobody to press "reload".
export async function configuration(): Promise<Config> {
  for (;;) {
    try {
      return await loadConfig();
    } catch (error) {
      console.warn(error);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

async function loadConfig(): Promise<Config> {
  const answer = await fetch("/config.json", { cache: "no-store" });
  if (!answer.ok) throw new Error(`/config.json: ${answer.status}`);
  const value: unknown = await answer.json();
  if (!isObject(value) || typeof value["nats_ws_url"] !== "string") throw new Error("/config.json has no nats_ws_url");
  return value as unknown as Config;
}
