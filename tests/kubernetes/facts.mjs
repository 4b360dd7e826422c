// What the manifests have to agree with, read from where it is decided: images and their ports, users and Secrets, streams,
// nats-server's configuration, settings that programs read.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { MANIFESTS, parse, SOURCE } from "./kustomize.mjs";

export const BUILD = path.resolve(process.env.ARC_BUILD_DIR ?? path.join(SOURCE, "build/release"));
const read = (file) => fs.readFileSync(path.join(SOURCE, file), "utf8");

// Targets of the Dockerfile by name: the words that start it, the ports that it says it has, folders that may be written, its
// user's numbers, Debian packages, files that are copied into it. What a target does not say, the one that it is made from says.
function images() {
  const targets = new Map();
  let target;
  for (const line of read("deploy/docker/Dockerfile").replaceAll("\\\n", " ").split("\n")) {
    const from = /^FROM (\S+) AS (\S+)$/.exec(line);
    if (from) {
      const base = targets.get(from[1]);
      target = { name: from[2], entrypoint: base?.entrypoint ?? [], expose: base?.expose ?? [], volumes: base?.volumes ?? [], user: base?.user, packages: [...(base?.packages ?? [])], files: [...(base?.files ?? [])] };
      targets.set(target.name, target);
    } else if (line.startsWith("ENTRYPOINT ")) {
      target.entrypoint = JSON.parse(line.slice("ENTRYPOINT ".length));
    } else if (line.startsWith("EXPOSE ")) {
      target.expose = line.split(" ").slice(1).map(Number);
    } else if (line.startsWith("VOLUME ")) {
      target.volumes = line.split(" ").slice(1);
    } else if (line.startsWith("RUN ")) {
      for (const [, words] of line.matchAll(/apt-get install ([^&]*)/g)) target.packages.push(...words.split(/\s+/).filter((word) => word && !word.startsWith("-")));
      const made = /groupadd --system --gid (\d+) arc && useradd --system --uid (\d+) --gid arc /.exec(line.replace(/\s+/g, " "));
      if (made) target.user = { gid: Number(made[1]), uid: Number(made[2]) };
    } else if (line.startsWith("COPY ")) {
      const [, ...words] = line.split(" ").filter((word) => !word.startsWith("--"));
      const to = words.pop();
      target.files.push(...(to.endsWith("/") ? words.map((word) => `${to}${path.basename(word)}`) : [to]));
    }
  }
  return targets;
}

// `scripts/rights secrets`: the keys of each Secret, by name.
function secrets(kiosks) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "arc-rights-"));
  try {
    const words = kiosks ? [...kiosks.flatMap((kiosk) => ["--kiosk_id", kiosk]), "--scoped"] : [];
    const list = JSON.parse(execFileSync(path.join(SOURCE, "scripts/rights"), ["secrets", "--dir", folder, ...words], { encoding: "utf8" }));
    return new Map(list.items.map(({ metadata, stringData }) => [metadata.name, Object.keys(stringData)]));
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

// Secrets that the operator brings, from the table of the guide: | `name` | `key`, `key` | … |.
function broughtSecrets() {
  const found = new Map();
  const section = guide.split("\n## ").find((part) => part.startsWith("Secrets\n"));
  for (const [, name, keys] of section.matchAll(/^\| `([\w-]+)` \| ([^|]+) \|/gm)) found.set(name, [...keys.matchAll(/`([^`]+)`/g)].map(([, key]) => key));
  return found;
}

const environment = Object.fromEntries(read(".env").split("\n").filter((line) => /^\w+=/.test(line)).map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));

// What an image's entry point is here: a program of the build, or of this repository.
export const program = (binary) => (binary === "arc-screen" ? path.join(SOURCE, "services/screen/serve") : path.join(BUILD, "bin", binary));

// Flags that a program says it has, and their defaults, by its --help.
const helps = new Map();
export function flagsOf(binary, ...verb) {
  const key = [binary, ...verb].join(" ");
  if (!helps.has(key)) {
    const text = execFileSync(program(binary), [...verb, "--help"], { encoding: "utf8" });
    const flags = new Map();
    for (const [, name, rest] of text.matchAll(/^ {2}--([\w-]+)(.*\n(?: {6}.*\n)*)/gm)) flags.set(name, /\(default: (.*)\)/.exec(rest)?.[1]);
    helps.set(key, flags);
  }
  return helps.get(key);
}

const serverConfiguration = read("deploy/nats/nats-server.conf");
const setting = (name) => new RegExp(`^\\s*${name}: "?([^"\\n]+)"?$`, "m").exec(serverConfiguration)[1];
const topology = JSON.parse(read("deploy/streams.json"));

// Names of the flags that compose.yaml gives each service; those that choose an engine are a component's here.
function composed() {
  const { services } = parse(read("compose.yaml"))[0];
  return new Map(Object.entries(services).map(([name, { command }]) => [name, [command ?? []].flat().flatMap((word) => word.split(" ")).map((word) => /^--\w+/.exec(word)?.[0]).filter((flag) => flag && !/^--(engine|openai_)/.test(flag))]));
}

const guide = read("docs/kubernetes.md");

export const facts = {
  guide,
  // Where the guide has NATS' WebSocket on the machine of who looks at the page.
  forwarded: `ws://127.0.0.1:${/port-forward service\/nats (\d+):8080/.exec(guide)[1]}`,
  images: images(),
  environment,
  composed: composed(),
  configurations: { "nats-server.conf": serverConfiguration },
  version: /project\(arc_kiosk VERSION (\S+)/.exec(read("CMakeLists.txt"))[1],
  // Agents, pages and devices, a folder each.
  services: fs.readdirSync(path.join(SOURCE, "services")).filter((name) => fs.existsSync(path.join(SOURCE, "services", name, "README.md"))),
  account: /^MAIN_ACCOUNT = "(\w+)"$/m.exec(read("scripts/contract/rights.py"))[1],
  streams: topology.streams.map(({ name }) => name),
  consumers: topology.consumers,
  nats: {
    ports: { nats: Number(setting("port")), monitor: Number(setting("http").split(":")[1]), websocket: Number(/websocket \{[^}]*port: (\d+)/.exec(serverConfiguration)[1]) },
    store: setting("store_dir"),
    memory: setting("max_memory_store"),
    file: setting("max_file_store"),
    payload: setting("max_payload"),
    include: /^include "([^"]+)"$/m.exec(serverConfiguration)[1],
  },
  // What an agent takes beyond --drain_timeout at most.
  exitGraceSeconds: Number(/kExitGrace = absl::Seconds\((\d+)\)/.exec(read("common/agent/agent.cc"))[1]),
  // Variables of the environment that programs read by themselves: the operator's, provision's, agents', the C library's.
  variables: new Set([
    ...read("services/arcctl/login.cc").matchAll(/"(ARC_\w+)"/g), ...read("services/arcctl/arcctl.cc").matchAll(/"(ARC_\w+)"/g), ...read("deploy/docker/provision.sh").matchAll(/\$\{?(ARC_\w+)/g),
    ...read("common/agent/agent.cc").matchAll(/Environment\("(OTEL_\w+)"\)/g),
  ].map(([, name]) => name)).add("TZ"),
  secrets: (kiosks) => new Map([...secrets(kiosks), ...broughtSecrets()]),
  values: () => parse(fs.readFileSync(path.join(MANIFESTS, "nats-values.yaml"), "utf8"))[0],
};
