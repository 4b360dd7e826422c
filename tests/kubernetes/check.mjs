// Whether a rendering of deploy/k8s holds together and agrees with what it deploys. Everything is said about the rendered
// manifests; what is not there to be rendered (NATS from its chart) is stood for by what the chart makes of its values.
import net from "node:net";
import { facts, flagsOf } from "./facts.mjs";
import { problemsOf } from "./schemas.mjs";

const NAMESPACE = "arc-kiosk";
const NAME = "app.kubernetes.io/name";
const COMPONENT = "app.kubernetes.io/component";
const PART = "app.kubernetes.io/part-of";
const KIOSK = "arc-kiosk/kiosk";
const POOL = "arc-kiosk/pool";
const ENGINE = "arc-kiosk/engine";
// Values that labels may have; null: any.
const LABELS = {
  [NAME]: null, [KIOSK]: null, [COMPONENT]: ["agent", "operator", "device", "page", "bus", "nats"], [PART]: ["arc-kiosk"], [POOL]: ["shared", "edge"], [ENGINE]: ["server"],
  "pod-security.kubernetes.io/enforce": ["restricted"], "pod-security.kubernetes.io/enforce-version": ["latest"], "app.kubernetes.io/instance": ["nats"],
};
const ANNOTATIONS = {};
const EDGE = ["hardware", "screen", "vision-bridge", "voice"];
// Agents whose second copy would do harm, each with its reason in its file.
const SINGLE = ["hardware", "vision-bridge", "voice", "terminal-sim"];
// The official image has no user of its own.
const NATS_USER = { uid: 10001, gid: 10001 };
// Metadata that the nats-jetstream scaler reads.
const TRIGGER = ["natsServerMonitoringEndpoint", "account", "stream", "consumer", "lagThreshold", "activationLagThreshold", "useHttps"];

const list = (value) => value ?? [];
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const sorted = (values) => [...values].sort();
const title = ({ kind, metadata }) => `${kind} ${metadata?.name}`;

// Whether a label selector takes these labels. An empty one takes all.
export function selects(selector, labels) {
  const operators = {
    In: (value, values) => values.includes(value),
    NotIn: (value, values) => !values.includes(value),
    Exists: (value) => value !== undefined,
    DoesNotExist: (value) => value === undefined,
  };
  return Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value)
    && list(selector.matchExpressions).every(({ key, operator, values }) => operators[operator]?.(labels[key], values ?? []));
}

// Fields that the types call optional and the API server does not.
function needed({ kind, metadata, spec }) {
  const problems = metadata?.name ? [] : ["has no metadata.name"];
  if (kind !== "ConfigMap" && kind !== "Namespace" && !spec) problems.push("has no spec");
  if (["Deployment", "StatefulSet", "Job"].includes(kind) && spec) {
    if (!spec.template?.metadata?.labels) problems.push("has no labels of its pods");
    if (!spec.template?.spec?.containers?.length) problems.push("has no container");
  }
  return problems;
}

const bytes = (text) => {
  const [, number, unit] = /^(\d+)\s*([KMG]?i?B?)$/.exec(text) ?? [];
  const scale = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[unit?.[0]] ?? 1;
  return Number(number) * scale;
};

// Everything that runs: Deployments, StatefulSets and Jobs, and what stands for NATS of the chart.
function workloadsOf(manifests) {
  return manifests.filter(({ kind }) => ["Deployment", "StatefulSet", "Job"].includes(kind)).map((manifest) => {
    const { template } = manifest.spec;
    return {
      manifest, kind: manifest.kind, name: manifest.metadata.name, labels: template.metadata.labels, pod: template.spec, namespace: NAMESPACE,
      ports: Object.fromEntries(template.spec.containers.flatMap(({ ports }) => list(ports)).map(({ name, containerPort }) => [name, containerPort])),
    };
  });
}

// What the official chart makes of the values, as far as the fleet meets it: pods with these labels and ports, two Services.
function chartOf(values) {
  const name = values.fullnameOverride;
  const ports = Object.fromEntries(["nats", "websocket", "cluster", "monitor"].filter((port) => port === "nats" || values.config[port].enabled).map((port) => [port, values.config[port].port]));
  const labels = { [NAME]: "nats", "app.kubernetes.io/instance": "nats", [COMPONENT]: "nats" };
  const service = (metadataName, wanted) => ({
    kind: "Service", metadata: { name: metadataName }, spec: { selector: labels, ports: wanted.map((port) => ({ name: port, port: ports[port], targetPort: port })) },
  });
  const published = Object.keys(ports).filter((port) => values.service.ports[port]?.enabled);
  return { workload: { kind: "StatefulSet", name, labels, ports, namespace: NAMESPACE }, services: [service(name, published), service(`${name}-headless`, Object.keys(ports))] };
}

// What the policies allow, by the question.
const answered = new Map();

// Thrown when there are as many problems as were asked for.
class Enough extends Error {}

class Check {
  // `options`: tag (of the fleet's images), kiosks (those with subjects of their own; none: one kiosk of bare subjects),
  // chart (values, where NATS comes from the chart), keda, engines, traces, simulator (the terminal's stand-in).
  constructor(manifests, options, enough) {
    Object.assign(this, { manifests, options, enough, problems: [] });
    this.workloads = workloadsOf(manifests);
    this.services = manifests.filter(({ kind }) => kind === "Service");
    this.running = [...this.workloads];
    if (options.chart) {
      const { workload, services } = chartOf(options.chart);
      this.running.push(workload);
      this.services = [...this.services, ...services];
    }
    this.configMaps = new Map(manifests.filter(({ kind }) => kind === "ConfigMap").map((map) => [map.metadata.name, map]));
    this.usedKeys = new Set();
    this.secrets = options.secrets;
  }
  // Notes a problem unless `holds`.
  want(holds, where, what) {
    if (holds) return holds;
    this.problems.push(`${typeof where === "string" ? where : title(where)}: ${what}`);
    if (this.problems.length >= this.enough) throw new Enough();
    return holds;
  }
  service(name) {
    return this.services.find(({ metadata }) => metadata.name === name);
  }

  // ---- Each manifest

  manifest(manifest) {
    const { metadata, kind } = manifest;
    this.want(kind === "Namespace" ? metadata.name === NAMESPACE && !metadata.namespace : metadata.namespace === NAMESPACE, manifest, `is in the namespace ${metadata.namespace}`);
    this.want(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(metadata.name), manifest, "is no name");
    this.labels(manifest, metadata.labels);
    const kiosk = metadata.labels?.[KIOSK];
    if (kiosk !== undefined) this.want(list(this.options.kiosks).includes(kiosk) && new RegExp(`-${kiosk}(-\\w+)?$`).test(metadata.name), manifest, `is of ${kiosk}`);
    this.want(Object.keys(metadata.annotations ?? {}).every((key) => key in ANNOTATIONS), manifest, "has unknown annotations");
    if (kind !== "Namespace" && kind !== "ConfigMap") {
      const name = metadata.labels?.[NAME];
      this.want(kind === "NetworkPolicy" || name !== undefined, manifest, `has no label ${NAME}`);
      if (name !== undefined) this.want(this.running.some(({ labels }) => labels[NAME] === name), manifest, `is labelled as of ${name}, which does not run`);
    }
  }
  labels(where, labels) {
    for (const [key, value] of Object.entries(labels ?? {})) {
      const values = LABELS[key];
      this.want(values !== undefined && (values === null || values.includes(value)), where, `has the unknown label ${key}: ${value}`);
      this.want(/^[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?$/.test(value), where, `${value} is no label's value`);
    }
  }
  unique() {
    const names = this.manifests.map((manifest) => title(manifest));
    for (const name of names) this.want(names.indexOf(name) === names.lastIndexOf(name), name, "is there twice");
  }

  // ---- Pods

  workload(workload) {
    const { manifest, kind, labels, pod } = workload;
    if (!this.want(labels[NAME] && labels[COMPONENT] && labels[PART], manifest, "its pods have not all labels")) return;
    const image = this.image(manifest, pod.containers[0]);
    if (kind !== "Job") {
      this.want(selects(manifest.spec.selector, labels), manifest, "its selector does not take its own pods");
      this.want(this.running.filter((other) => selects(manifest.spec.selector, other.labels)).length === 1, manifest, "its selector takes other pods, too");
      this.want(!!manifest.spec.selector.matchLabels?.[NAME], manifest, `its selector has no ${NAME}`);
      const kiosks = this.options.kiosks && labels[POOL] === "edge";
      this.want(!kiosks || manifest.spec.selector.matchLabels?.[KIOSK] === labels[KIOSK], manifest, "its selector does not say which kiosk");
    }
    // What is said of the object is said of its pods.
    for (const [key, value] of Object.entries(manifest.metadata.labels)) this.want(labels[key] === value, manifest, `${key} is ${value}, and ${labels[key]} of its pods`);
    this.labels(manifest, labels);
    this.want(manifest.metadata.labels[NAME] === labels[NAME] && manifest.metadata.labels[COMPONENT] === labels[COMPONENT], manifest, "is labelled otherwise than its pods");
    if (labels[NAME] !== "nats" && labels[NAME] !== "terminal-sim") this.want(EDGE.includes(labels[NAME]) || labels[NAME] === "consumers" ? labels[POOL] === "edge" : labels[POOL] === "shared", manifest, `is of the pool ${labels[POOL]}`);
    const suffix = this.options.kiosks && labels[POOL] === "edge" ? `-${labels[KIOSK]}` : "";
    this.want(workload.name === `${labels[NAME]}${suffix}`, manifest, `is of ${labels[NAME]}${suffix} by its labels`);
    if (SINGLE.includes(labels[NAME])) this.want(manifest.spec.strategy?.type === "Recreate" && list(manifest.spec.replicas ?? 1) === 1, manifest, "must not run twice, not even for a moment");
    this.confined(manifest, pod, image?.nats ? NATS_USER : image?.user);
    this.placed(manifest, pod, labels);
    this.want(pod.containers.length === 1 && !pod.initContainers && pod.containers[0].name === (labels[NAME] === "nats" ? "nats" : "main"), manifest, "has other containers than its own");
    this.want(kind === "Job" ? pod.restartPolicy === "OnFailure" : pod.restartPolicy === undefined, manifest, `restartPolicy is ${pod.restartPolicy}`);
    if (image) this.container(workload, pod.containers[0], image);
    this.spread(workload);
  }
  image(manifest, container) {
    const [name, tag] = container.image.split(":");
    const [, prefix, target] = /^(?:(.+)\/)?([^/]+)$/.exec(name);
    if (target === "nats" && !prefix) {
      this.want(container.image === facts.environment.NATS_IMAGE, manifest, `${container.image} is not the .env's ${facts.environment.NATS_IMAGE}`);
      return { ...facts.images.get("nats"), nats: true };
    }
    this.want(prefix === facts.environment.ARC_IMAGE_PREFIX, manifest, `${container.image} is not an image of the fleet`);
    this.want(tag === this.options.tag, manifest, `${container.image} has not the tag ${this.options.tag}`);
    const image = facts.images.get(target);
    if (!this.want(image?.entrypoint.length > 0, manifest, `deploy/docker/Dockerfile has no image ${target}`)) return undefined;
    const own = manifest.metadata.labels[COMPONENT] === "operator" ? "arcctl" : manifest.spec.template.metadata.labels[NAME];
    this.want(target === own, manifest, `runs the image ${target}`);
    return image;
  }
  confined(manifest, pod, user) {
    const context = pod.securityContext ?? {};
    this.want(context.runAsNonRoot === true && context.runAsUser === user?.uid && context.runAsGroup === user?.gid && context.fsGroup === user?.gid, manifest, "may run as root, or as another user than the images'");
    this.want(context.seccompProfile?.type === "RuntimeDefault", manifest, "has no seccomp profile");
    this.want(pod.automountServiceAccountToken === false && pod.enableServiceLinks === false, manifest, "gets a token or variables of the cluster");
    for (const key of ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"]) this.want(!pod[key], manifest, `${key} is set`);
    for (const { name, securityContext, resources, imagePullPolicy } of pod.containers) {
      const { allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities } = securityContext ?? {};
      this.want(allowPrivilegeEscalation === false && readOnlyRootFilesystem === true && same(capabilities, { drop: ["ALL"] }), manifest, `${name} is not confined`);
      this.want(imagePullPolicy === "IfNotPresent", manifest, `${name} has no imagePullPolicy`);
      for (const kind of ["requests", "limits"]) this.want(same(sorted(Object.keys(resources?.[kind] ?? {})), ["cpu", "memory"]), manifest, `${kind} of ${name} are not of cpu and memory`);
      const [requests, limits] = [resources?.requests, resources?.limits];
      const cores = (text) => (`${text}`.endsWith("m") ? Number.parseInt(text, 10) / 1000 : Number(text));
      this.want(cores(requests?.cpu) <= cores(limits?.cpu) && bytes(requests?.memory ?? "") <= bytes(limits?.memory ?? ""), manifest, `${name} asks for more than its limits, or for no quantity`);
    }
  }
  placed(manifest, pod, labels) {
    const kiosk = labels[KIOSK];
    if (this.options.kiosks && labels[POOL] === "edge") {
      this.want(this.options.kiosks.includes(kiosk), manifest, `is of ${kiosk}, which is none of ${this.options.kiosks}`);
      this.want(same(pod.nodeSelector, { [KIOSK]: kiosk }), manifest, "does not run on its kiosk's machine");
      this.want(same(pod.tolerations, [{ effect: "NoSchedule", key: KIOSK, operator: "Equal", value: kiosk }]), manifest, "does not tolerate its kiosk's taint, or more than that");
    } else {
      this.want(kiosk === undefined && !pod.nodeSelector && !pod.tolerations, manifest, "is of a kiosk");
      const elsewhere = [{ key: KIOSK, operator: "DoesNotExist" }];
      const terms = pod.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
      this.want(this.options.kiosks ? same(terms, [{ matchExpressions: elsewhere }]) : terms === undefined, manifest, "may run on a kiosk's machine");
    }
  }
  spread({ manifest, labels, pod }) {
    const constraints = list(pod.topologySpreadConstraints);
    if (labels[COMPONENT] !== "agent") return;
    this.want(same(constraints.map(({ topologyKey }) => topologyKey), ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]), manifest, "is not spread over machines and zones");
    for (const { labelSelector, matchLabelKeys, maxSkew, whenUnsatisfiable } of constraints) {
      this.want(maxSkew === 1, manifest, "may be spread unevenly");
      this.want(selects(labelSelector, labels), manifest, "is spread by a selector that does not take it");
      this.want(same(matchLabelKeys, [NAME, "pod-template-hash"]), manifest, `is spread together with others: ${matchLabelKeys}`);
      this.want(whenUnsatisfiable === "ScheduleAnyway", manifest, "does not start where it cannot be spread");
    }
  }

  // ---- The container: settings, files, flags, ports, probes

  container(workload, container, image) {
    const { manifest, labels, pod } = workload;
    const environment = this.environment(manifest, container);
    const expand = (text) => text.replace(/\$\((\w+)\)/g, (reference, name) => {
      if (this.want(environment.has(name), manifest, `nothing sets ${reference}`)) {
        const source = environment.get(name);
        if (source.key) this.usedKeys.add(source.key);
        return this.expanded(manifest, source.value, environment);
      }
      return reference;
    });
    for (const word of list(container.args)) {
      // A setting is the whole of a flag's value; only a user's name has its kiosk behind it.
      this.want(!word.includes("$(") || /^--\w+=(\w+\$\(USER_SUFFIX\)|\$\(\w+\))$/.test(word), manifest, `${word} is no setting`);
    }
    const words = list(container.args).map(expand);
    for (const { value } of list(container.env)) if (value !== undefined) expand(value);
    const values = new Map([...environment].map(([name, { value }]) => [name, this.expanded(manifest, value, environment)]));
    for (const [name, { key }] of environment) if (key && facts.variables.has(name)) this.usedKeys.add(key);
    this.files(workload, container, image, [...words, ...values.values()]);
    this.flags(workload, container, image, words, values);
    this.ports(workload, container, image, words);
    if (labels[COMPONENT] === "agent") {
      const drain = /^(\d+)s$/.exec(words.find((word) => word.startsWith("--drain_timeout="))?.split("=")[1] ?? flagsOf(image.entrypoint[0]).get("drain_timeout"))?.[1];
      this.want(pod.terminationGracePeriodSeconds > Number(drain) + facts.exitGraceSeconds, manifest, `is killed after ${pod.terminationGracePeriodSeconds} s, and may drain for ${drain} + ${facts.exitGraceSeconds}`);
    } else {
      this.want(pod.terminationGracePeriodSeconds >= 30, manifest, "has little time to end");
    }
  }
  expanded(manifest, text, environment) {
    return text.replace(/\$\((\w+)\)/g, (reference, name) => environment.get(name)?.value ?? reference);
  }
  environment(manifest, { env, envFrom }) {
    const found = new Map();
    for (const source of list(envFrom)) {
      const map = this.configMaps.get(source.configMapRef?.name);
      if (!this.want(map, manifest, `there is no ConfigMap ${source.configMapRef?.name}`)) continue;
      this.want(!source.configMapRef.optional && !source.prefix, manifest, "may run without its settings");
      for (const [name, value] of Object.entries(map.data)) found.set(name, { value, key: `${map.metadata.name} ${name}` });
    }
    for (const { name, value, valueFrom } of list(env)) {
      this.want(facts.variables.has(name), manifest, `no program reads the variable ${name}`);
      this.want(value !== undefined && !valueFrom, manifest, `${name} has no value`);
      found.set(name, { value: value ?? "" });
    }
    return found;
  }
  files({ manifest, labels, pod }, { volumeMounts, name }, image, texts) {
    const claims = list(manifest.spec.volumeClaimTemplates);
    const volumes = new Map([...list(pod.volumes), ...claims.map(({ metadata }) => ({ name: metadata.name, claim: true }))].map((volume) => [volume.name, volume]));
    const mounted = new Set(list(volumeMounts).map((mount) => mount.name));
    for (const volume of volumes.keys()) this.want(mounted.has(volume), manifest, `${volume} is not mounted`);
    const files = new Set();
    for (const { name: volumeName, mountPath, readOnly } of list(volumeMounts)) {
      const volume = volumes.get(volumeName);
      if (!this.want(volume, manifest, `${name} mounts ${volumeName}, which is no volume`)) continue;
      const secretOf = (secret, secretName) => {
        const keys = this.secrets.get(secretName);
        if (!this.want(keys, manifest, `nothing makes the Secret ${secretName}`)) return;
        this.want(secretName === "livekit" ? secret.optional === true : !secret.optional, manifest, `${secret.optional ? "may" : "cannot"} start without the Secret ${secretName}`);
        for (const { key } of list(secret.items)) this.want(keys.includes(key), manifest, `the Secret ${secretName} has no key ${key}`);
        for (const [key, file] of secret.items ? secret.items.map((item) => [item.key, item.path]) : keys.map((one) => [one, one])) if (keys.includes(key)) files.add(`${mountPath}/${file}`);
        this.want(readOnly === true, manifest, `${mountPath} is not read-only`);
      };
      const mapOf = (mapName) => {
        const map = this.configMaps.get(mapName);
        if (!this.want(map, manifest, `there is no ConfigMap ${mapName}`)) return;
        for (const [key, text] of Object.entries(map.data)) {
          this.want(text === facts.configurations[key], map, `${key} is not that of the repository`);
          files.add(`${mountPath}/${key}`);
          if (texts.some((text) => text.includes(`${mountPath}/${key}`))) this.usedKeys.add(`${mapName} ${key}`);
        }
      };
      if (volume.secret) secretOf(volume.secret, volume.secret.secretName);
      else if (volume.configMap) mapOf(volume.configMap.name);
      else if (volume.projected) {
        for (const source of volume.projected.sources) {
          if (source.secret) secretOf(source.secret, source.secret.name);
          if (source.configMap) mapOf(source.configMap.name);
        }
      } else if (volume.emptyDir) this.want(mountPath === "/tmp" && volume.emptyDir.medium === "Memory" && bytes(volume.emptyDir.sizeLimit) <= 2 ** 24, manifest, `${mountPath} is memory without a limit, or on the machine's disk`);
      else if (volume.persistentVolumeClaim || volume.claim) {
        const claimName = volume.persistentVolumeClaim?.claimName;
        this.want(volume.claim || this.manifests.some((other) => other.kind === "PersistentVolumeClaim" && other.metadata.name === claimName && other.metadata.labels[NAME] === labels[NAME]), manifest, `there is no claim ${claimName} of its own`);
        this.want(image.nats ? mountPath === facts.nats.store : image.volumes.includes(mountPath), manifest, `the image does not keep anything under ${mountPath}`);
      } else this.want(false, manifest, `${volumeName} is of an unknown kind`);
    }
    for (const folder of image.volumes) this.want(list(volumeMounts).some(({ mountPath }) => mountPath === folder), manifest, `what is under ${folder} is lost with the pod`);
    // Files that flags and variables name are there, and what is mounted is named.
    for (const text of texts) for (const [file] of text.matchAll(/\/(?:run|etc)\/[\w./-]+/g)) this.want(files.has(file) || file === "/run/livekit/secret", manifest, `there is no ${file}`);
    if (image.nats) this.want(files.has(`/etc/nats/${facts.nats.include}`), manifest, `there is no ${facts.nats.include}, which nats-server.conf includes`);
    for (const file of files) {
      const read = texts.some((text) => text.includes(file)) || (image.nats && file === `/etc/nats/${facts.nats.include}`) || file === "/run/livekit/secret";
      this.want(read, manifest, `nothing reads ${file}`);
    }
  }
  flags({ manifest, labels }, container, image, words, values) {
    const [binary, ...given] = image.entrypoint;
    const command = list(container.command);
    if (image.nats) {
      this.want(same(words, ["-c", "/etc/nats/nats-server.conf"]) && command.length === 0, manifest, "does not start nats-server with its configuration");
      return;
    }
    const operator = labels[COMPONENT] === "operator";
    const known = flagsOf(binary, ...(operator ? ["provision"] : []));
    for (const word of words.filter((one) => one.startsWith("-"))) {
      const [, name] = /^--(\w+)(?:=|$)/.exec(word) ?? [];
      this.want(known.has(name), manifest, `${binary} has no flag ${word}`);
      this.want(!given.some((flag) => flag.startsWith(`--${name}=`)), manifest, `the image sets --${name} already`);
    }
    const names = words.map((word) => word.split("=")[0]);
    for (const name of names) this.want(names.indexOf(name) === names.lastIndexOf(name), manifest, `${name} is given twice`);
    if (operator && command.length > 0) {
      this.want(same(command, ["provision"]) && image.files.includes("/usr/local/bin/provision"), manifest, `starts ${command}, which the image has not`);
      this.want(!names.includes("--keep"), manifest, "does not end");
      for (const name of ["ARC_MENU", "ARC_HISTORY"]) this.want(values.has(name), manifest, `nothing sets ${name}`);
    } else {
      this.want(command.length === 0, manifest, "starts another program than the image's");
      const verb = words.filter((word) => !word.startsWith("-"));
      if (operator) this.want(same(verb, ["provision"]) && words.includes("--keep"), manifest, `${words} does not keep what is provisioned`);
      for (const name of facts.composed.get(labels[NAME]) ?? []) this.want(names.includes(name), manifest, `has not the flag ${name}, which compose.yaml gives it`);
      if (labels[NAME] === "orchestrator") this.want(words.includes("--text_input=voice"), manifest, "answers typed words, which voice does");
      if (EDGE.includes(labels[NAME])) for (const name of labels[COMPONENT] === "agent" ? ["--kiosk_id", "--scoped"] : ["--kiosk_id"]) this.want(names.includes(name), manifest, `has not the flag ${name}`);
    }
    const flag = (name) => words.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3);
    // A cluster's streams have a copy a node, whoever makes them.
    if (operator) this.want(Number(flag("replicas")) === (this.options.chart?.config.cluster.replicas ?? 1), manifest, `makes ${flag("replicas")} copies of streams`);
    if (labels[COMPONENT] === "page") {
      this.page(manifest, labels, words, flag);
      return;
    }
    this.login(manifest, labels, operator ? values.get("ARC_NATS_USER") : flag("nats_user"), operator ? values.get("ARC_NATS_PASSWORD_FILE") : flag("nats_password_file"));
    this.reaches(manifest, operator ? values.get("ARC_NATS_URL") : flag("nats_url"), "nats", operator ? values.get("ARC_NATS_CA_FILE") : flag("nats_ca_file"));
    if (labels[NAME] === "payment") this.reaches(manifest, flag("terminal_url"), "http");
    if (labels[ENGINE] === "server") {
      this.want(flag("engine") === "openai", manifest, `its engine is ${flag("engine")}`);
      this.want(/^https?:\/\/[\w.-]+(:8000)?$/.test(flag("openai_url") ?? ""), manifest, `${flag("openai_url")} is no engine's server`);
      // The URL may be a provider's, with HTTPS.
      this.want(image.packages.includes("ca-certificates"), manifest, "its image knows no authority that signs a provider's certificate");
      this.want((flag("openai_api_key_file") ?? flag("openai_key_file")) === "/run/engine/key", manifest, "has no key of its engine");
    } else this.want(flag("engine") === undefined, manifest, "has an engine without a way to it");
    if (labels[POOL] === "edge") this.ofKiosk(manifest, labels, flag);
    this.receipts(manifest, flag);
    this.devices(manifest, labels, image, flag);
  }
  receipts(manifest, flag) {
    const address = flag("receipt_base_url");
    this.want(address === undefined || address === "" || /^https?:\/\/[\w.-]+(:\d+)?(\/\S*)?$/.test(address), manifest, `${address} is no address of receipts`);
  }
  // Files are in the volume; what is on the network is where policies lead.
  devices(manifest, labels, image, flag) {
    const file = (text) => image.volumes.some((folder) => text?.startsWith(`${folder}/`));
    if (labels[NAME] === "hardware") {
      for (const name of ["printer", "led"]) {
        const [, kind, where] = /^(\w+):(.*)$/.exec(flag(name)) ?? [];
        this.want(kind === "file" ? file(where) : name === "printer" && kind === "tcp" && !!this.options.kiosks && /^[\w.-]+:9100$/.test(where), manifest, `--${name}=${flag(name)} is not to be reached`);
      }
      this.want(file(flag("spool_dir")), manifest, "its spool is lost with the pod");
    }
    if (labels[NAME] === "vision-bridge") {
      const camera = this.options.kiosks ? /^rtsp:\/\/[\w.-]+(:554)?\/\S+$/.test(flag("source")) : image.files.includes(flag("source"));
      this.want(camera, manifest, `--source=${flag("source")} is not to be reached`);
    }
  }
  // Whose password is mounted is who it says it is.
  login(manifest, labels, user, file) {
    const roles = { provision: "operator", "provision-keep": "provision", consumers: "provision" };
    const role = roles[labels[NAME]] ?? labels[NAME].replaceAll("-", "_");
    const own = this.options.kiosks && ["hardware", "vision-bridge"].includes(labels[NAME]) ? `${role}_${labels[KIOSK]}` : role;
    this.want(user === own, manifest, `is the user ${user} and not ${own}`);
    this.want(file === "/run/rights/password", manifest, `reads its password from ${file}`);
    const login = manifest.spec.template.spec.volumes.find(({ secret }) => secret?.secretName?.startsWith("nats-") && secret.secretName !== "nats-ca");
    this.want(login?.secret.secretName === `nats-${own.replaceAll("_", "-")}`, manifest, `has the password of ${login?.secret.secretName}`);
    const mount = manifest.spec.template.spec.containers[0].volumeMounts?.find(({ mountPath }) => mountPath === "/run/rights");
    this.want(mount && mount.name === login?.name, manifest, "has no password under /run/rights");
  }
  // The page is no user itself: it hands its kiosk's login to browsers, and says where they reach NATS.
  page(manifest, labels, words, flag) {
    this.ofKiosk(manifest, labels, flag);
    this.want(manifest.spec.template.spec.volumes.some(({ secret }) => secret?.secretName === `nats-screen-${flag("kiosk_id")}`), manifest, "has another kiosk's login");
    this.want(flag("login") === "/run/rights/login.json", manifest, `reads its login from ${flag("login")}`);
    this.want(words.includes("--simulated_terminal") === !!this.options.simulator, manifest, "shows cards of a terminal that is not there, or none");
    this.receipts(manifest, flag);
    this.want(this.options.chart ? /^wss:\/\/[\w.-]+$/.test(flag("nats_ws_url")) : flag("nats_ws_url") === facts.forwarded, manifest, `${flag("nats_ws_url")} is no address of NATS for browsers`);
  }
  reaches(manifest, address, portName, authority) {
    let url;
    try {
      url = new URL(address);
    } catch {
      this.want(false, manifest, `${address} is no address`);
      return;
    }
    if (portName === "nats") {
      const tls = !!this.options.chart?.config.nats.tls.enabled;
      this.want(url.protocol === (tls ? "tls:" : "nats:"), manifest, `${address}: nats-server ${tls ? "wants" : "has no"} TLS`);
      // files() has it that this file is there.
      this.want(authority === (tls ? "/run/nats-ca/ca.crt" : undefined), manifest, `has ${authority ?? "no authority"} for NATS' certificate`);
      this.want(!tls || this.workloads.find((one) => one.manifest === manifest).pod.volumes.some(({ secret }) => secret?.secretName === this.options.chart.tlsCA.secretName), manifest, "has not the authority of NATS' certificate");
    } else this.want(url.protocol === "http:", manifest, `${address} is not HTTP`);
    if (url.hostname.endsWith(".example.com")) {
      this.want(portName !== "nats" && url.port === "4300", manifest, `${address} is not where policies lead`);
      return;
    }
    const service = this.service(url.hostname.split(".")[0]);
    if (!this.want(service, manifest, `there is no Service ${url.hostname}`)) return;
    this.want(service.spec.ports.some(({ port, targetPort }) => `${port}` === url.port && targetPort === portName), manifest, `the Service ${url.hostname} has no port ${url.port} to ${portName}`);
    const target = this.running.find(({ labels }) => selects({ matchLabels: service.spec.selector }, labels));
    this.want(target?.labels[NAME] === (portName === "nats" ? "nats" : "terminal-sim"), manifest, `${address} leads to ${target?.name}`);
  }
  ofKiosk(manifest, labels, flag) {
    const kiosk = flag("kiosk_id");
    const own = this.options.kiosks ? labels[KIOSK] : "kiosk-001";
    this.want(kiosk === own, manifest, `is of ${kiosk} by its flags`);
    if (labels[COMPONENT] !== "agent") return;
    this.want(flag("scoped") === `${!!this.options.kiosks}`, manifest, `--scoped=${flag("scoped")}`);
  }
  ports({ manifest, labels }, container, image, words) {
    const declared = Object.fromEntries(list(container.ports).map(({ name, containerPort }) => [name, containerPort]));
    this.want(list(container.ports).every(({ name, protocol }) => name && (protocol ?? "TCP") === "TCP"), manifest, "has a port without a name, or not of TCP");
    if (image.nats) {
      this.want(same(sorted(Object.entries(declared).flat()), sorted(Object.entries(facts.nats.ports).flat())), manifest, `its ports ${JSON.stringify(declared)} are not those of nats-server.conf`);
    } else {
      const flags = [...image.entrypoint, ...words].map((word) => /^--(\w+)_port=(\d+)$/.exec(word)).filter(Boolean);
      const listens = Object.fromEntries(flags.map(([, name, port]) => [name, Number(port)]));
      this.want(same(sorted(Object.entries(declared).flat()), sorted(Object.entries(listens).flat())), manifest, `its ports ${JSON.stringify(declared)} are not where it listens: ${JSON.stringify(listens)}`);
    }
    if (image.nats || labels[COMPONENT] !== "operator") this.want(same(sorted(Object.values(declared)), sorted(image.expose)), manifest, `its ports are not those that the image exposes: ${image.expose}`);
    this.probes(manifest, labels, container, declared, image);
  }
  probes(manifest, labels, { startupProbe, readinessProbe, livenessProbe }, ports, image) {
    const http = (probe, where) => {
      const path = probe.httpGet?.path;
      const known = image.nats ? ["/healthz", "/healthz?js-server-only=true", "/healthz?js-enabled=true"] : labels[COMPONENT] === "page" ? ["/healthz"] : ["/metrics", "/healthz"];
      this.want(known.includes(path), manifest, `${where}: nobody answers ${path}`);
      const port = probe.httpGet?.port;
      const name = image.nats ? "monitor" : "http";
      this.want(port === name && ports[name] !== undefined, manifest, `${where}: ${port} is not its HTTP port`);
      this.want(probe.httpGet?.host === undefined, manifest, `${where}: asks another host`);
    };
    if (labels[COMPONENT] === "operator") {
      this.want(!readinessProbe && !livenessProbe && !startupProbe, manifest, "cannot be asked how it is");
      return;
    }
    if (!this.want(readinessProbe && livenessProbe, manifest, "is not asked how it is")) return;
    if (labels[COMPONENT] === "agent") this.want(readinessProbe.grpc?.port === ports.grpc && readinessProbe.grpc?.service === undefined && ports.grpc !== undefined, manifest, "readiness is not its gRPC health");
    else http(readinessProbe, "readiness");
    http(livenessProbe, "liveness");
    if (!image.nats && labels[COMPONENT] !== "page") this.want(livenessProbe.httpGet?.path === "/metrics", manifest, "is restarted when it waits for NATS");
    if (startupProbe) http(startupProbe, "startup");
  }

  // ---- What refers to pods

  serviceOf(service) {
    const { selector, ports } = service.spec;
    const targets = this.running.filter(({ labels }) => selects({ matchLabels: selector }, labels));
    if (this.want(targets.length === 1, service, `its selector takes ${targets.length} workloads`)) {
      this.want(service.metadata.labels[NAME] === targets[0].labels[NAME], service, `leads to ${targets[0].name}`);
      for (const { name, port, targetPort } of ports) {
        this.want(typeof targetPort === "string" && targets[0].ports[targetPort] !== undefined, service, `${targets[0].name} has no port ${targetPort}`);
        this.want(name === targetPort && port === targets[0].ports[targetPort], service, `port ${name} ${port} is ${targetPort} ${targets[0].ports[targetPort]} there`);
      }
    }
    const suffix = service.metadata.labels[KIOSK] ? `-${service.metadata.labels[KIOSK]}` : "";
    this.want([`${service.metadata.labels[NAME]}${suffix}`, "nats-headless"].includes(service.metadata.name), service, "has another name than what it leads to");
    const wanted = { nats: ["nats", "websocket"], "nats-headless": ["nats", "monitor"] }[service.metadata.name] ?? ["http"];
    this.want(same(list(ports).map(({ name }) => name), wanted), service, `has not the ports ${wanted}`);
    this.want(service.metadata.name !== "nats-headless" || (service.spec.clusterIP === "None" && service.spec.publishNotReadyAddresses === true), service, "is not headless");
  }
  budgets() {
    const found = this.manifests.filter(({ kind }) => kind === "PodDisruptionBudget");
    for (const budget of found) {
      const targets = this.running.filter(({ labels }) => selects(budget.spec.selector, labels));
      this.want(targets.length === 1 && targets[0].labels[NAME] === budget.metadata.name, budget, `its selector takes ${targets.map(({ name }) => name)}`);
      this.want(budget.spec.maxUnavailable === 1 && budget.spec.minAvailable === undefined, budget, "is no budget of one at a time");
    }
    for (const { manifest, labels } of this.workloads) {
      if (labels[COMPONENT] === "agent" && labels[POOL] === "shared") this.want(found.filter(({ metadata }) => metadata.name === manifest.metadata.name).length === 1, manifest, "has no PodDisruptionBudget");
    }
  }
  claims() {
    for (const claim of this.manifests.filter(({ kind }) => kind === "PersistentVolumeClaim")) {
      this.want(same(claim.spec.accessModes, ["ReadWriteOnce"]) && bytes(claim.spec.resources?.requests?.storage ?? "") >= 100 * 2 ** 20, claim, "is not storage for one, or too little");
      this.want(this.workloads.some(({ pod }) => list(pod.volumes).some(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName === claim.metadata.name)), claim, "nobody uses it");
    }
    for (const { manifest } of this.workloads) {
      for (const claim of list(manifest.spec.volumeClaimTemplates)) this.want(claim.apiVersion === "v1" && claim.kind === "PersistentVolumeClaim" && same(claim.spec.accessModes, ["ReadWriteOnce"]) && bytes(claim.spec.resources?.requests?.storage ?? "") > bytes(facts.nats.file), manifest, "its store is smaller than max_file_store");
      if (manifest.kind === "StatefulSet") this.want(this.service(manifest.spec.serviceName)?.spec.clusterIP === "None", manifest, `there is no headless Service ${manifest.spec.serviceName}`);
    }
  }
  settings() {
    for (const [name, map] of this.configMaps) {
      for (const key of Object.keys(map.data ?? {})) this.want(this.usedKeys.has(`${name} ${key}`), map, `nothing reads ${key}`);
      for (const [key, value] of Object.entries(map.data ?? {})) {
        const variable = { TZ: "TIME_ZONE" }[key] ?? key;
        if (this.options.composed && variable in facts.environment) this.want(value === facts.environment[variable], map, `${key} is ${value}, and ${facts.environment[variable]} in .env`);
      }
      if (map.data?.VOICE_TEXT !== undefined) this.want(["true", "false"].includes(map.data.VOICE_TEXT), map, "VOICE_TEXT is true or false");
    }
    const readers = [...this.configMaps.values()].filter(({ data }) => data?.VOICE_TEXT === "true");
    this.want(readers.length === 1, "ConfigMap", `${readers.length} voices read typed words`);
  }

  // ---- Copies

  autoscalers() {
    const scalers = this.manifests.filter(({ kind }) => ["ScaledObject", "HorizontalPodAutoscaler"].includes(kind));
    const wanted = this.options.keda ? "ScaledObject" : this.options.hpa ? "HorizontalPodAutoscaler" : undefined;
    this.want(same(sorted(scalers.map(title)), wanted ? [`${wanted} menu`, `${wanted} recsys`] : []), "autoscalers", scalers.map(title).join() || "none");
    for (const scaler of scalers) {
      const { kind, name, apiVersion } = scaler.spec.scaleTargetRef;
      const target = this.workloads.find((workload) => workload.kind === kind && workload.name === name);
      if (!this.want(target && apiVersion === target.manifest.apiVersion, scaler, `there is no ${apiVersion} ${kind} ${name}`)) continue;
      this.want(name === scaler.metadata.name, scaler, `scales ${name}`);
      this.want(target.manifest.spec.replicas === undefined, scaler, `${name} has replicas of its own, which every apply would put back`);
      const [least, most] = scaler.kind === "ScaledObject" ? [scaler.spec.minReplicaCount, scaler.spec.maxReplicaCount] : [scaler.spec.minReplicas, scaler.spec.maxReplicas];
      this.want(Number.isInteger(least) && least >= 1 && least < most, scaler, `keeps ${least} to ${most} copies`);
      for (const way of ["scaleUp", "scaleDown"]) {
        const { policies, selectPolicy } = (scaler.spec.behavior ?? scaler.spec.advanced?.horizontalPodAutoscalerConfig?.behavior)?.[way] ?? {};
        this.want(policies?.length > 0 && policies.every(({ type }) => ["Pods", "Percent"].includes(type)) && ["Max", "Min", undefined].includes(selectPolicy), scaler, `${way} has no policy`);
      }
      const behaviour = scaler.spec.behavior ?? scaler.spec.advanced?.horizontalPodAutoscalerConfig?.behavior;
      this.want(behaviour?.scaleUp?.stabilizationWindowSeconds === 0 && behaviour.scaleDown?.stabilizationWindowSeconds >= 60, scaler, "is slow to grow or quick to shrink");
      if (scaler.kind === "ScaledObject") this.trigger(scaler, target, least, most);
      else {
        this.want(scaler.spec.metrics?.length === 1 && scaler.spec.metrics[0].type === "ContainerResource", scaler, "has no metric");
        for (const { containerResource } of list(scaler.spec.metrics)) {
          this.want(target.pod.containers.some(({ name: container, resources }) => container === containerResource?.container && resources.requests?.[containerResource.name]), scaler, `${name} asks for no ${containerResource?.name} in ${containerResource?.container}`);
          this.want(containerResource?.target.type === "Utilization" && containerResource.target.averageUtilization > 0, scaler, "has no target");
        }
      }
    }
  }
  trigger(scaler, target, least, most) {
    const { triggers, fallback, idleReplicaCount } = scaler.spec;
    this.want(idleReplicaCount === undefined, scaler, "scales to zero");
    this.want(fallback && fallback.replicas >= least && fallback.replicas <= most, scaler, "has no number of copies for when NATS does not answer");
    if (!this.want(triggers.length === 1 && triggers[0].type === "nats-jetstream" && (triggers[0].metricType ?? "AverageValue") === "AverageValue", scaler, "is not triggered by a NATS stream alone")) return;
    const { metadata } = triggers[0];
    for (const key of Object.keys(metadata)) this.want(TRIGGER.includes(key), scaler, `the scaler does not read ${key}`);
    for (const key of TRIGGER.slice(0, 5)) this.want(metadata[key] !== undefined, scaler, `its trigger has no ${key}`);
    this.want(metadata.account === facts.account, scaler, `the streams are in the account ${facts.account} and not in ${metadata.account}`);
    this.want(facts.streams.includes(metadata.stream), scaler, `deploy/streams.json has no ${metadata.stream}`);
    const consumer = facts.consumers.find(({ stream, durable_name }) => stream === metadata.stream && durable_name === metadata.consumer);
    if (this.want(consumer, scaler, `deploy/streams.json has no ${metadata.consumer} of ${metadata.stream}`)) this.want(consumer.agent === target.name, scaler, `${metadata.consumer} is ${consumer.agent}'s`);
    this.want(/^[1-9]\d*$/.test(metadata.lagThreshold) && Number(metadata.lagThreshold) * most <= consumer?.max_ack_pending, scaler, `lagThreshold ${metadata.lagThreshold}`);
    this.want(/^\d+$/.test(metadata.activationLagThreshold ?? "0") && ["true", "false"].includes(metadata.useHttps ?? "false"), scaler, "its trigger has a value that is none");
    this.want((metadata.useHttps ?? "false") === "false", scaler, "nats-server's monitoring has no TLS");
    const [, service, port] = /^([\w-]+)\.arc-kiosk\.svc\.cluster\.local:(\d+)$/.exec(metadata.natsServerMonitoringEndpoint) ?? [];
    // Each node answers for its own consumers, so KEDA asks them by name, which a headless Service gives.
    this.want(service === "nats-headless" && this.service(service)?.spec.ports.some((one) => one.name === "monitor" && `${one.port}` === port), scaler, `${metadata.natsServerMonitoringEndpoint} is not where NATS is monitored`);
  }

  // ---- Who reaches whom

  peers() {
    const outside = (name, namespace, labels = {}) => ({ name, namespace, labels, ports: {} });
    const address = (name, ip) => ({ name, ip, ports: {} });
    const engine = { ...outside("an engine", NAMESPACE, { [COMPONENT]: "engine" }), ports: { http: 8000 } };
    return {
      inside: [...this.running, ...(this.options.engines ? [engine] : [])],
      outside: [
        { ...outside("kube-dns", "kube-system", { "k8s-app": "kube-dns" }), ports: { dns: 53 } }, outside("something of kube-system", "kube-system"), outside("monitoring", "monitoring"),
        outside("ingress-nginx", "ingress-nginx"), outside("keda", "keda"), outside("a stranger", "default"), ...(this.options.engines ? [] : [engine]),
        address("the Internet", "203.0.113.7"), address("the restaurant", "192.168.7.7"),
        ...["10.3.3.3", "100.64.3.3", "172.16.3.3", "169.254.169.254"].map((ip) => address(`the cluster's ${ip}`, ip)),
      ],
    };
  }
  policies() {
    const policies = this.manifests.filter(({ kind }) => kind === "NetworkPolicy");
    for (const policy of policies) this.want(policy.spec.policyTypes?.length > 0, policy, "says not which way it is");
    for (const policy of policies) {
      if (!this.want(policy.spec.podSelector, policy, "says not for which pods it is")) continue;
      const all = Object.keys(policy.spec.podSelector).length === 0 && policy.spec.ingress === undefined && policy.spec.egress === undefined;
      this.want(!all || same(policy.spec.policyTypes, ["Ingress", "Egress"]), policy, "does not deny both ways");
      this.want(this.peers().inside.some(({ labels }) => selects(policy.spec.podSelector, labels)), policy, "takes no pod");
      // To leave something out is to allow more, where no pod here may show it: a port's name means nothing elsewhere.
      const empty = (selector) => list(selector.matchExpressions).length === 0 && Object.keys(selector.matchLabels ?? {}).length === 0;
      this.want(!empty(policy.spec.podSelector) || ["deny", "names"].includes(policy.metadata.name), policy, "is for every pod");
      const kiosk = policy.metadata.labels?.[KIOSK];
      this.want(kiosk === undefined || policy.spec.podSelector.matchLabels?.[KIOSK] === kiosk, policy, "is for other kiosks, too");
      for (const [key, side] of [["egress", "to"], ["ingress", "from"]]) {
        for (const rule of list(policy.spec[key])) {
          this.want(list(rule[side]).length > 0 && list(rule.ports).length > 0, policy, "has a rule for everybody, or for every port");
          for (const peer of list(rule[side])) {
            const selectors = [peer.podSelector, peer.namespaceSelector].filter((selector) => selector !== undefined);
            this.want((selectors.length > 0 || peer.ipBlock) && !selectors.some(empty), policy, `has a rule for all that ${JSON.stringify(peer)} takes`);
          }
        }
      }
    }
    const { inside, outside } = this.peers();
    // All pairs take long: the same question has the same answer.
    const question = JSON.stringify([policies.map(({ spec }) => spec), inside.map(({ name, labels, ports }) => [name, labels, ports]), this.options.keda, this.options.kiosks, this.options.engines, this.options.traces]);
    if (answered.has(question)) {
      this.problems.push(...answered.get(question));
      return;
    }
    const before = this.problems.length;
    const inBlock = (ip, cidr) => {
      const [, base, bits] = /^([\d.]+)\/(\d+)$/.exec(cidr) ?? [];
      if (net.isIPv4(base ?? "") && Number(bits) <= 32) {
        const block = new net.BlockList();
        block.addSubnet(base, Number(bits));
        return block.check(ip);
      }
      this.want(false, "NetworkPolicy", `${cidr} is no range of addresses`);
      return false;
    };
    const matches = (peer, other) => {
      if (peer.ipBlock) return !!other.ip && inBlock(other.ip, peer.ipBlock.cidr) && !list(peer.ipBlock.except).map((cidr) => inBlock(other.ip, cidr)).includes(true);
      if (other.ip) return false;
      const namespace = peer.namespaceSelector ? selects(peer.namespaceSelector, { "kubernetes.io/metadata.name": other.namespace }) : other.namespace === NAMESPACE;
      return namespace && (!peer.podSelector || selects(peer.podSelector, other.labels));
    };
    const numbers = [...new Set([...inside.flatMap(({ ports }) => Object.values(ports)), 53, 80, 443, 554, 4300, 4318, 6443, 8000, 9100])];
    // Each side has to say so by itself: what leaves a pod, and what is let in.
    for (const pod of inside) {
      for (const [direction, key, side] of [["Egress", "egress", "to"], ["Ingress", "ingress", "from"]]) {
        const own = policies.filter(({ spec }) => list(spec.policyTypes).includes(direction) && selects(spec.podSelector, pod.labels)).map(({ spec }) => list(spec[key]));
        for (const other of [...inside, ...outside]) {
          const [from, to] = direction === "Egress" ? [pod, other] : [other, pod];
          const rules = own.flat().filter((rule) => rule[side] === undefined || rule[side].some((peer) => matches(peer, other)));
          const open = (port, protocol) => own.length === 0 || rules.some(({ ports }) => ports === undefined
            || ports.some((one) => (one.protocol ?? "TCP") === protocol && (one.port === undefined || (typeof one.port === "string" ? to.ports[one.port] : one.port) === port)));
          for (const port of numbers) {
            for (const protocol of ["TCP", "UDP"]) {
              const [is, should] = [open(port, protocol), this.mayReach(from, to, port, protocol)];
              this.want(is === should, "NetworkPolicy", `${direction}: ${from.name} ${is ? "reaches" : "does not reach"} ${to.name} at ${port} ${protocol}, and should${should ? "" : " not"}`);
            }
          }
        }
      }
    }
    answered.set(question, this.problems.slice(before));
  }
  // The rule that the policies carry out.
  mayReach(from, to, port, protocol) {
    const own = (peer) => peer.namespace === NAMESPACE;
    const of = (peer, ...names) => own(peer) && names.includes(peer.labels[NAME]);
    const component = (peer, ...names) => own(peer) && names.includes(peer.labels[COMPONENT]);
    const at = (name) => to.ports[name] === port;
    if (own(from) && to.name === "kube-dns") return port === 53;
    if (protocol !== "TCP") return false;
    if (of(to, "nats")) {
      if (at("nats")) return component(from, "agent", "operator", "device");
      if (at("websocket")) return from.name === "ingress-nginx";
      if (at("monitor")) return from.name === "monitoring" || (from.name === "keda" && !!this.options.keda);
      if (at("cluster")) return of(from, "nats");
      return false;
    }
    if (of(to, "terminal-sim")) return at("http") && of(from, "payment");
    if (component(to, "page")) return at("http") && from.name === "ingress-nginx";
    if (component(to, "agent") && at("http")) return from.name === "monitoring" || (from.name === "ingress-nginx" && of(to, "payment", "voice"));
    if (from.labels?.[ENGINE] === "server" && (to.name === "an engine" ? port === 8000 : to.name === "the Internet" && port === 443)) return true;
    if (to.name === "monitoring") return !!this.options.traces && component(from, "agent") && port === 4318;
    if (to.name === "the restaurant" && this.options.kiosks) return (of(from, "hardware") && port === 9100) || (of(from, "vision-bridge") && port === 554) || (of(from, "payment") && port === 4300);
    return false;
  }

  // ---- The whole

  complete() {
    const runs = (name) => this.workloads.filter(({ labels }) => labels[NAME] === name);
    for (const service of facts.services.map((name) => name.replaceAll("_", "-"))) {
      if (service === "arcctl" || (service === "terminal-sim" && !this.options.simulator)) continue;
      const wanted = EDGE.includes(service) ? this.options.kiosks?.length ?? 1 : 1;
      this.want(runs(service).length === wanted, "deploy/k8s", `runs ${runs(service).length} of ${service}, and not ${wanted}`);
    }
    for (const { manifest, labels } of this.options.chart ? this.workloads : []) {
      const scaled = (this.options.keda || this.options.hpa) && ["menu", "recsys"].includes(labels[NAME]);
      if (labels[POOL] === "shared" && labels[COMPONENT] === "agent" && !scaled) this.want(manifest.spec.replicas >= 2, manifest, "has no second copy");
    }
    for (const operator of ["provision", "provision-keep"]) this.want(runs(operator).length === 1, "deploy/k8s", `has no ${operator}`);
    const collectors = [...this.configMaps.values()].map(({ data }) => data?.OTEL_EXPORTER_OTLP_ENDPOINT).filter((value) => value !== undefined);
    this.want(this.options.traces ? collectors.length === 1 && /^http:\/\/[\w-]+\.monitoring(\.svc\.cluster\.local)?:4318$/.test(collectors[0]) : collectors.length === 0, "deploy/k8s", `sends traces to ${collectors}`);
    if (this.options.kiosks) this.want(runs("consumers").length === this.options.kiosks.length, "deploy/k8s", "does not make every kiosk's consumers");
    for (const name of this.options.services) this.want(this.service(name), "deploy/k8s", `has no Service ${name}`);
    this.want(this.manifests.some(({ kind, metadata }) => kind === "Namespace" && metadata.labels?.["pod-security.kubernetes.io/enforce"] === "restricted"), "deploy/k8s", "does not enforce the restricted standard");
  }
  all() {
    this.unique();
    for (const manifest of this.manifests) this.manifest(manifest);
    for (const workload of this.workloads) this.workload(workload);
    for (const service of this.services.filter((one) => this.manifests.includes(one))) this.serviceOf(service);
    this.budgets();
    this.claims();
    this.settings();
    this.autoscalers();
    this.policies();
    this.complete();
    return this.problems;
  }
}

// What is wrong with these manifests, as sentences; none when nothing is. Looks for `enough` of them, for who asks only
// whether there is one.
export function check(manifests, options, enough = Infinity) {
  const wrong = manifests.flatMap((manifest) => [...problemsOf(manifest), ...needed(manifest)].map((problem) => `${title(manifest)}: ${problem}`));
  // The rest reads fields, which the schemas have looked at.
  if (wrong.length > 0) return wrong;
  const look = new Check(manifests, options, enough);
  try {
    return look.all();
  } catch (error) {
    if (!(error instanceof Enough)) throw error;
    return look.problems;
  }
}
