// Every way in which deploy/k8s is meant to be used, and what is said of each.
import path from "node:path";
import { facts } from "./facts.mjs";
import { build, buildEdited, MANIFESTS } from "./kustomize.mjs";

// Rendered once: who gets it changes nothing in it.
function once(make) {
  let made;
  return () => (made ??= make());
}
const overlay = (name) => () => build(path.join(MANIFESTS, "overlays", name));
const kiosks = ["kiosk-001", "kiosk-002"];
const single = { tag: facts.environment.ARC_TAG, simulator: true, composed: true, services: ["nats", "nats-headless", "payment", "voice", "screen", "terminal-sim"] };
const production = { tag: facts.version, kiosks, chart: facts.values(), services: ["nats", "nats-headless", "payment", ...kiosks.flatMap((kiosk) => [`voice-${kiosk}`, `screen-${kiosk}`])] };
const withComponent = (name, components, from) => () => buildEdited(`overlays/${name}`, (text) => (from ? text.replace(from, components) : `${text}\ncomponents:\n${components}`));

export const VARIANTS = [
  { name: "single-node", make: overlay("single-node"), options: single },
  { name: "single-node with KEDA", make: withComponent("single-node", "  - ../../components/keda\n"), options: { ...single, keda: true } },
  { name: "single-node with engines on servers", make: withComponent("single-node", "  - ../../components/openai-engines\n"), options: { ...single, engines: true } },
  { name: "single-node with traces", make: withComponent("single-node", "  - ../../components/traces\n"), options: { ...single, traces: true } },
  { name: "production", make: overlay("production"), options: { ...production, keda: true } },
  { name: "production without KEDA", make: withComponent("production", "- ../../components/hpa\n", "- ../../components/keda\n"), options: { ...production, hpa: true } },
].map((variant) => ({ ...variant, make: once(variant.make), options: { ...variant.options, secrets: facts.secrets(variant.options.kiosks) } }));
