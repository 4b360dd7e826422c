// The real programs with the flags of the manifests: they take each of them, listen where the manifests say, answer the
// probes, and reach NATS through TLS with the certificate of the Secret. No cluster and no image is needed for that.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { eventually, nats, run } from "../interop/kit.mjs";
import { BUILD, facts, program } from "./facts.mjs";
import { Scaler } from "./keda.mjs";
import { SOURCE } from "./kustomize.mjs";
import { VARIANTS } from "./variants.mjs";

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "arc-programs-"));
const children = new Set();
after(() => {
  for (const child of children) child.kill("SIGKILL");
  fs.rmSync(scratch, { recursive: true, force: true });
});

const freePort = () => new Promise((resolve, reject) => {
  const server = net.createServer();
  server.on("error", reject);
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

// A process whose output is kept.
function start(binary, words, environment = {}) {
  const child = spawn(binary, words, { cwd: scratch, stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...environment } });
  children.add(child);
  child.output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (part) => (child.output += part));
  child.ended = new Promise((resolve) => child.on("close", (status, signal) => {
    children.delete(child);
    resolve(status ?? signal);
  }));
  return child;
}

// "address:port" of everything that a process listens on.
function listening(pid) {
  const own = new Set(fs.readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(fs.readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
    } catch {
      return undefined; // closed meanwhile
    }
  }));
  const found = [];
  for (const table of ["tcp", "tcp6"]) {
    for (const line of fs.readFileSync(`/proc/${pid}/net/${table}`, "utf8").split("\n").slice(1)) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state !== "0A" || !own.has(inode)) continue;
      const [address, port] = local.split(":");
      found.push(`${/^0+$/.test(address) ? "any" : address}:${Number.parseInt(port, 16)}`);
    }
  }
  return found.sort();
}

// What each container is started with, each once: the image's words, and the manifest's with settings filled in.
function containers() {
  const found = new Map();
  for (const { name: variant, make } of VARIANTS) {
    const manifests = make();
    const maps = new Map(manifests.filter(({ kind }) => kind === "ConfigMap").map(({ metadata, data }) => [metadata.name, data]));
    for (const { kind, metadata, spec } of manifests.filter((one) => ["Deployment", "Job"].includes(one.kind))) {
      const [container] = spec.template.spec.containers;
      const values = Object.assign({}, ...container.envFrom.map(({ configMapRef }) => maps.get(configMapRef.name)));
      const expand = (text) => text.replace(/\$\((\w+)\)/g, (_, name) => values[name]);
      const words = (container.args ?? []).map(expand);
      const environment = new Map((container.env ?? []).map(({ name, value }) => [name, expand(value)]));
      const [, target] = /\/([\w-]+):/.exec(container.image);
      const [binary, ...given] = facts.images.get(target).entrypoint;
      const key = JSON.stringify([target, container.command, words]);
      if (!found.has(key)) found.set(key, { title: `${kind} ${metadata.name} of ${variant}`, target, binary: program(binary), given, words, environment, container, pod: spec.template.spec });
    }
  }
  return [...found.values()];
}
const ALL = containers();

test("every flag, and its value, is taken", async () => {
  const secret = path.join(scratch, "secret");
  fs.writeFileSync(secret, "secret\n");
  for (const { title, binary, given, words, target, container } of ALL) {
    if (container.command) continue;
    if (target === "screen") {
      // Its help looks at no other flags; 2 is what wrong ones end with, and nobody answers this probe.
      const own = [...given, ...words].map((word) => word.replace(/^(--http_port)=.*/, "$1=1"));
      assert.equal((await run(binary, ...own, "--probe")).status, 1, title);
      assert.equal((await run(binary, ...own, "--no_such_flag=1", "--probe")).status, 2, title);
      continue;
    }
    // arcctl and terminal_sim have no --version: what is wrong with their flags they say before they help.
    const ask = ["arcctl", "terminal-sim"].includes(target) ? "--help" : "--version";
    const flags = [...given, ...words].map((word) => word.replace(/\/run\/\w+\/(password|key|secret)$/, secret));
    const done = await run(binary, ...flags, ask);
    assert.equal(done.status, 0, `${title}: ${binary} ${flags.join(" ")}\n${done.stderr}`);
    const wrong = await run(binary, ...flags, "--no_such_flag=1", ask);
    assert.equal(wrong.status, 2, `${title}: takes any flag`);
  }
});

describe("an agent as its image starts it", () => {
  const agents = ALL.filter(({ container }) => container.ports);
  // One of each program: the variants differ in values alone.
  for (const { target, binary, given, words, container, pod, title } of agents.filter((one, index) => agents.findIndex(({ target }) => target === one.target) === index)) {
    test(`${target} listens at its ports, answers its probes, and ends in time`, async () => {
      const folder = fs.mkdtempSync(path.join(scratch, `${target}-`));
      fs.writeFileSync(path.join(folder, "password"), "secret\n");
      fs.writeFileSync(path.join(folder, "login.json"), '{"nats_user":"screen_kiosk-001","nats_password":"secret","inbox_prefix":"_INBOX"}\n');
      const ports = {};
      for (const { name } of container.ports) ports[name] = await freePort();
      // The same words, with ports that are free here, a server that is not there, and files of this test.
      const local = [...given, ...words].map((word) => word
        .replace(/^--(\w+)_port=(\d+)$/, (whole, name, port) => {
          assert.equal(Number(port), container.ports.find((one) => one.name === name)?.containerPort, `${title}: ${whole}`);
          return `--${name}_port=${ports[name]}`;
        })
        .replace(/^--nats_url=.*/, "--nats_url=nats://127.0.0.1:1").replace("/run/rights", folder).replaceAll("/var/lib/arc", folder).replace("/usr/share/arc/screen", path.join(BUILD, "screen")));
      const child = start(binary, local);
      const wanted = Object.values(ports).map((port) => `any:${port}`).sort();
      try {
        await eventually(`${target} to listen at ${wanted}`, () => {
          if (child.exitCode !== null) throw new Error(`it ended: ${child.output}`);
          return listening(child.pid).length >= wanted.length;
        });
        assert.deepEqual(listening(child.pid), wanted);
        for (const probe of ["readinessProbe", "livenessProbe"]) {
          const { grpc, httpGet } = container[probe];
          if (grpc) {
            // It waits for NATS: NOT_SERVING is an answer.
            const asked = await run(binary, "--probe", `--grpc=127.0.0.1:${ports.grpc}`);
            assert.match(asked.stderr, /NOT_SERVING|not serving/i, asked.stderr);
          } else {
            const { status } = await fetch(`http://127.0.0.1:${ports[httpGet.port]}${httpGet.path}`);
            assert.equal(status, 200, `${target}: ${httpGet.path}`);
          }
        }
        child.kill("SIGTERM");
        const begin = Date.now();
        assert.equal(await child.ended, 0, child.output);
        assert.ok(Date.now() - begin < pod.terminationGracePeriodSeconds * 1000);
      } finally {
        child.kill("SIGKILL");
        await child.ended;
      }
    });
  }
});

describe("nats-server", () => {
  const server = execFileSync("sh", ["-c", "PATH=$PATH:/usr/sbin command -v nats-server"], { encoding: "utf8" }).trim();
  const folder = path.join(scratch, "nats");
  const rights = path.join(folder, "rights");
  before(() => {
    fs.mkdirSync(folder);
    execFileSync(path.join(SOURCE, "scripts/rights"), ["make", "--dir", rights]);
    // An authority, a certificate of `nats` and of this machine by it, and another authority.
    const openssl = (...words) => execFileSync("openssl", words, { cwd: folder, stdio: "ignore" });
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    for (const name of ["ca", "other"]) openssl("req", "-x509", ...key, "-keyout", `${name}.key`, "-out", `${name}.crt`, "-days", "2", "-subj", `/CN=${name}`);
    openssl("req", ...key, "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=nats");
    fs.writeFileSync(path.join(folder, "names"), "subjectAltName=DNS:nats,DNS:*.nats-headless,DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n");
    openssl("x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", "tls.crt", "-days", "2", "-extfile", "names");
  });

  test("takes the configuration of the overlay single-node", () => {
    const manifests = VARIANTS[0].make();
    const map = manifests.find(({ kind, metadata }) => kind === "ConfigMap" && metadata.name.startsWith("nats-config"));
    // The projected volume, as the pod sees it.
    const stateful = manifests.find(({ kind }) => kind === "StatefulSet");
    const root = path.join(folder, "single");
    for (const { configMap, secret } of stateful.spec.template.spec.volumes[0].projected.sources) {
      const files = configMap ? Object.keys(map.data).map((key) => [key, map.data[key]]) : secret.items.map((item) => [item.path, fs.readFileSync(path.join(rights, item.key), "utf8")]);
      for (const [file, text] of files) {
        fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
        fs.writeFileSync(path.join(root, file), text);
      }
    }
    const [, file] = stateful.spec.template.spec.containers[0].args;
    execFileSync(server, ["-t", "-c", path.join(root, path.basename(file))], { stdio: "pipe" });
  });

  const ofProduction = (name) => ALL.find(({ title }) => title === `${name} of production`);
  // A word of the overlay production, with the addresses and files of this test.
  const here = (text, { servers, user, authority = "ca" }) => text.replace("tls://nats:4222", servers).replace("/run/rights/password", path.join(rights, `${user}.password`)).replace("/run/nats-ca/ca.crt", path.join(folder, `${authority}.crt`));

  // What the chart makes of the values, for one node.
  const configuration = (ports, { node = 0, routes = [0, 1, 2].map((one) => `tls://nats-${one}.nats-headless:6222`) } = {}) => {
    const { config, tlsCA } = facts.values();
    const tls = { cert_file: path.join(folder, "tls.crt"), key_file: path.join(folder, "tls.key"), ...(tlsCA.enabled ? { ca_file: path.join(folder, "ca.crt") } : {}) };
    const bytes = (size) => Number.parseInt(size, 10) * (size.endsWith("Gi") ? 2 ** 30 : 2 ** 20);
    const made = {
      server_name: `nats-${node}`, port: ports.nats, http_port: ports.monitor, ...(config.nats.tls.enabled ? { tls } : {}),
      websocket: { port: ports.websocket, no_tls: true },
      jetstream: { store_dir: path.join(folder, `jetstream-${node}`), max_memory_store: bytes(config.jetstream.memoryStore.maxSize), max_file_store: bytes(config.jetstream.fileStore.maxSize) },
      ...(ports.cluster ? { cluster: { name: "nats", port: ports.cluster, no_advertise: true, routes, tls } } : {}),
    };
    const payload = /^<< (.*) >>$/.exec(config.merge.max_payload)[1];
    return `${JSON.stringify(made, null, 2).slice(1, -1)}\nmax_payload: ${payload}\ninclude ${path.join("rights", path.basename(config.merge.$include))}\n`;
  };
  test("takes what the values of its chart amount to", () => {
    const file = path.join(folder, "chart.conf");
    fs.writeFileSync(file, configuration({ nats: 4222, monitor: 8222, websocket: 8080, cluster: 6222 }));
    execFileSync(server, ["-t", "-c", file], { stdio: "pipe" });
  });

  test("lets agents in through TLS, as the overlay production has it; they trust the Secret's authority alone", async () => {
    const ports = { nats: await freePort(), monitor: await freePort(), websocket: await freePort() };
    const file = path.join(folder, "tls.conf");
    fs.writeFileSync(file, configuration(ports));
    const listener = start(server, ["-c", file]);
    await eventually("nats-server to listen", async () => (await fetch(`http://127.0.0.1:${ports.monitor}/healthz`)).status === 200);
    // What an agent with this authority says about the server, or the server about the agent.
    const connects = async (authority, host) => {
      const ready = path.join(folder, `${authority}-${host}.json`);
      const before = listener.output.length;
      const { binary, words } = ofProduction("Deployment menu");
      const child = start(binary, [...words.map((word) => here(word, { servers: `tls://${host}:${ports.nats}`, user: "menu", authority })), `--ready_file=${ready}`]);
      try {
        await eventually("menu to listen", () => fs.existsSync(ready));
        const { http_url } = JSON.parse(fs.readFileSync(ready, "utf8"));
        return await eventually("menu to be let in or not", async () => {
          const { reasons } = await (await fetch(`${http_url}/healthz`)).json();
          // There is no stream: who is connected misses its bucket.
          const found = reasons.find((reason) => reason.startsWith("bucket KIOSK_MENU")) ?? /TLS handshake error: .*/.exec(listener.output.slice(before))?.[0];
          if (!found) throw new Error(`${reasons.join("; ")}\n${child.output}`);
          return found;
        }, 15_000);
      } finally {
        child.kill("SIGKILL");
        await child.ended;
      }
    };
    assert.match(await connects("ca", "localhost"), /^bucket KIOSK_MENU/);
    assert.match(await connects("other", "localhost"), /^TLS handshake error: /);
    // 127.0.0.2 is not a name of the certificate.
    assert.match(await connects("ca", "127.0.0.2"), /^TLS handshake error: /);
    listener.kill("SIGTERM");
    await listener.ended;
  });

  test("as three nodes takes the streams of the overlay production, a copy a node, and tells KEDA what waits", async () => {
    const nodes = [];
    for (const node of [0, 1, 2]) nodes.push({ node, ports: { nats: await freePort(), monitor: await freePort(), websocket: await freePort(), cluster: await freePort() } });
    const routes = nodes.map(({ ports }) => `tls://127.0.0.1:${ports.cluster}`);
    for (const one of nodes) {
      const file = path.join(folder, `node-${one.node}.conf`);
      fs.writeFileSync(file, configuration(one.ports, { node: one.node, routes }));
      one.process = start(server, ["-c", file]);
    }
    const production = VARIANTS.find(({ name }) => name === "production").make();
    const servers = nodes.map(({ ports }) => `tls://127.0.0.1:${ports.nats}`).join(",");
    const monitoring = nodes.map(({ ports }) => `http://127.0.0.1:${ports.monitor}`);
    const job = ofProduction("Job provision");
    const environment = Object.fromEntries([...job.environment].map(([name, value]) => [name, here(value, { servers, user: "operator" })]));
    await eventually("the cluster to take the streams", async () => {
      const child = start(job.binary, ["provision", ...job.words], environment);
      const status = await child.ended;
      if (status !== 0) throw new Error(child.output);
      return true;
    }, 90_000);
    const wanted = JSON.parse(fs.readFileSync(path.join(SOURCE, "deploy/streams.json"), "utf8"));
    const names = [...wanted.streams.map(({ name }) => name), ...wanted.buckets.map(({ name }) => `KV_${name}`)].sort();
    await eventually("a copy of each stream on each node", async () => {
      for (const address of monitoring) {
        const { account_details: accounts = [] } = await (await fetch(`${address}/jsz?acc=${facts.account}&streams=true&config=true`)).json();
        const streams = accounts[0]?.stream_detail ?? [];
        if (JSON.stringify(streams.map(({ name }) => name).sort()) !== JSON.stringify(names)) throw new Error(`${address} has ${streams.map(({ name }) => name)}`);
        for (const { name, config } of streams) assert.equal(config.num_replicas, 3, name);
      }
      return true;
    });
    // Commands wait, for nobody is there.
    const scaler = new Scaler(production.find(({ kind, metadata }) => kind === "ScaledObject" && metadata.name === "menu"));
    const login = JSON.parse(fs.readFileSync(path.join(rights, "operator.json"), "utf8"));
    const client = await nats.connect({
      servers: nodes.map(({ ports }) => `127.0.0.1:${ports.nats}`), user: login.nats_user, pass: login.nats_password, tls: { caFile: path.join(folder, "ca.crt") },
    });
    const headers = nats.headers();
    headers.set("Kiosk-Reply-To", nats.createInbox());
    for (let number = 0; number < 230; ++number) client.publish("kiosk.agent.menu.search", JSON.stringify({ payload: { command: "search", query: "burger" } }), { headers });
    await client.flush();
    await eventually("all of them to wait", async () => (await scaler.lag(...monitoring)) === 230);
    assert.equal(scaler.desired(230, scaler.least), 3);
    // An agent of the cluster serves, and does them.
    const ready = path.join(folder, "cluster.json");
    const { binary, words } = ofProduction("Deployment menu");
    const menu = start(binary, [...words.map((word) => here(word, { servers, user: "menu" })), `--ready_file=${ready}`]);
    await eventually("menu to serve", async () => (await fetch(`${JSON.parse(fs.readFileSync(ready, "utf8")).http_url}/healthz`)).status === 200);
    await eventually("nothing to wait", async () => (await scaler.lag(...monitoring)) === 0);
    await client.close();
    menu.kill("SIGTERM");
    assert.equal(await menu.ended, 0, menu.output);
    for (const { process: one } of nodes) one.kill("SIGTERM");
    await Promise.all(nodes.map(({ process: one }) => one.ended));
  });
});
