// The values of the official NATS chart. The chart itself comes from outside and is not here: the schema has the values of
// its 1.x and 2.x documentation that are used, and refuses all others; the rest is that they agree with the repository.
import Ajv from "ajv";
import { facts } from "./facts.mjs";

const object = (properties, required = Object.keys(properties)) => ({ type: "object", properties, required, additionalProperties: false });
const boolean = { type: "boolean" };
const text = { type: "string", minLength: 1 };
const port = { type: "integer", minimum: 1, maximum: 65535 };
const size = { type: "string", pattern: "^[1-9][0-9]*(Mi|Gi)$" };
const tls = object({ enabled: { const: true }, secretName: text });
const off = object({ enabled: { const: false } });
const confined = object({ allowPrivilegeEscalation: { const: false }, readOnlyRootFilesystem: { const: true }, capabilities: object({ drop: { const: ["ALL"] } }) });
const quantities = object({ cpu: text, memory: size });
const addition = (path, value) => ({ type: "array", minItems: 1, maxItems: 1, items: object({ op: { const: "add" }, path: { const: path }, value }) });

const SCHEMA = object({
  fullnameOverride: { const: "nats" },
  config: object({
    cluster: object({ enabled: { const: true }, port, replicas: { enum: [3, 5] }, tls }),
    jetstream: object({
      enabled: { const: true },
      fileStore: object({ enabled: { const: true }, dir: { type: "string", pattern: "^/" }, maxSize: size, pvc: object({ enabled: { const: true }, size }) }),
      memoryStore: object({ enabled: { const: true }, maxSize: size }),
    }),
    nats: object({ port, tls }),
    websocket: object({ enabled: { const: true }, port }),
    monitor: object({ enabled: { const: true }, port }),
    merge: object({ max_payload: { type: "string", pattern: "^<< [0-9]+[KMG]B >>$" }, $include: text }),
  }),
  tlsCA: object({ enabled: { const: true }, secretName: text, key: text }),
  container: object({
    image: object({ repository: text, tag: text }),
    env: object({ GOMEMLIMIT: { type: "string", pattern: "^[0-9]+MiB$" } }),
    merge: object({ resources: object({ requests: quantities, limits: quantities }), securityContext: confined }),
    patch: addition("/volumeMounts/-", object({ name: text, mountPath: text, readOnly: { const: true } })),
  }),
  reloader: object({ enabled: { const: true }, merge: object({ securityContext: confined }) }),
  promExporter: off,
  natsBox: off,
  service: object({ ports: object({ nats: object({ enabled: { const: true } }), websocket: object({ enabled: { const: true } }), monitor: object({ enabled: { const: false } }) }) }),
  podDisruptionBudget: object({ enabled: { const: true } }),
  podTemplate: object({
    topologySpreadConstraints: object({ "kubernetes.io/hostname": object({ maxSkew: { const: 1 }, whenUnsatisfiable: { const: "DoNotSchedule" } }) }),
    merge: object({
      spec: object({
        automountServiceAccountToken: { const: false }, enableServiceLinks: { const: false }, terminationGracePeriodSeconds: { type: "integer", minimum: 60 },
        securityContext: object({
          runAsNonRoot: { const: true }, runAsUser: { const: 10001 }, runAsGroup: { const: 10001 }, fsGroup: { const: 10001 }, seccompProfile: object({ type: { const: "RuntimeDefault" } }),
        }),
      }),
    }),
    patch: addition("/spec/volumes/-", object({
      name: text,
      secret: object({ secretName: text, items: { type: "array", minItems: 1, maxItems: 1, items: object({ key: text, path: text }) } }),
    })),
  }),
});
const validate = new Ajv({ allErrors: true, strict: true }).compile(SCHEMA);

const units = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 };
const bytes = (size) => Number.parseInt(size, 10) * units[/[A-Za-z]+$/.exec(size)?.[0]];

// What is wrong with these values, as sentences. `secrets`: keys by name.
export function chartProblems(values, secrets) {
  if (!validate(values)) return validate.errors.map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`);
  const problems = [];
  const want = (holds, what) => holds || problems.push(what);
  const { config, tlsCA, container, podTemplate } = values;
  for (const name of ["nats", "websocket", "monitor"]) want(config[name].port === facts.nats.ports[name], `${name} is not at ${facts.nats.ports[name]}, as in nats-server.conf`);
  want(config.cluster.port === 6222, "the chart's routes are to port 6222");
  // The specification's limits, as nats-server.conf has them.
  want(bytes(config.jetstream.memoryStore.maxSize) === bytes(facts.nats.memory), `memory: ${config.jetstream.memoryStore.maxSize} is not ${facts.nats.memory}`);
  want(bytes(config.jetstream.fileStore.maxSize) === bytes(facts.nats.file), `file: ${config.jetstream.fileStore.maxSize} is not ${facts.nats.file}`);
  want(bytes(config.jetstream.fileStore.pvc.size) > bytes(config.jetstream.fileStore.maxSize), "the volume is no larger than the store");
  want(config.merge.max_payload === `<< ${facts.nats.payload} >>`, `payload: ${config.merge.max_payload} is not ${facts.nats.payload}`);
  want(`${container.image.repository}:${container.image.tag}` === facts.environment.NATS_IMAGE, `the image is not ${facts.environment.NATS_IMAGE}`);
  want(bytes(container.env.GOMEMLIMIT.replace("MiB", "Mi")) < bytes(container.merge.resources.limits.memory), "Go may use more memory than there is");
  // The chart mounts a Secret of TLS as it is, with the keys of kubernetes.io/tls.
  for (const { secretName } of [config.nats.tls, config.cluster.tls]) want(["tls.crt", "tls.key"].every((key) => secrets.get(secretName)?.includes(key)), `${secretName} has no tls.crt and tls.key`);
  want(secrets.get(tlsCA.secretName)?.includes(tlsCA.key), `${tlsCA.secretName} has no ${tlsCA.key}`);
  // The users: Secret, volume, mount and the configuration's include say the same.
  const [{ value: mount }] = container.patch;
  const [{ value: volume }] = podTemplate.patch;
  const [item] = volume.secret.items;
  want(mount.name === volume.name, `${mount.name} is mounted, and the volume is ${volume.name}`);
  want(secrets.get(volume.secret.secretName)?.includes(item.key), `the Secret ${volume.secret.secretName} has no ${item.key}`);
  const included = new URL(config.merge.$include, "file:///etc/nats-config/nats.conf").pathname;
  want(included === `${mount.mountPath}/${item.path}`, `nats.conf includes ${included}, and ${mount.mountPath}/${item.path} is there`);
  want(mount.mountPath.startsWith("/etc/"), "the reloader watches under /etc alone");
  want(item.path === facts.nats.include.split("/").at(-1), `nats-server.conf includes ${facts.nats.include}`);
  return problems;
}
