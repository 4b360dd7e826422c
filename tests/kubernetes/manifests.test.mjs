// deploy/k8s as it is: every way to use it is right by Kubernetes' types and by what it deploys.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { check } from "./check.mjs";
import { MANIFESTS, parse } from "./kustomize.mjs";
import { chartProblems } from "./chart.mjs";
import { facts } from "./facts.mjs";
import { VARIANTS } from "./variants.mjs";

for (const { name, make, options } of VARIANTS) {
  test(name, () => assert.deepEqual(check(make(), options), []));
}

test("the values of NATS' chart", () => assert.deepEqual(chartProblems(facts.values(), VARIANTS.find(({ name }) => name === "production").options.secrets), []));

test("the guide has the numbers of the ScaledObjects", () => {
  const scalers = VARIANTS.find(({ name }) => name === "production").make().filter(({ kind }) => kind === "ScaledObject");
  assert.equal(scalers.length, 2);
  for (const { metadata: { name }, spec: { minReplicaCount: least, maxReplicaCount: most, fallback, pollingInterval, triggers: [{ metadata }] } } of scalers) {
    assert.ok(facts.guide.includes(`\n| ${name} | ${least} to ${most} | ${metadata.lagThreshold} |`), `${name}: ${least} to ${most}, ${metadata.lagThreshold}`);
    assert.match(facts.guide, new RegExp(`"[^"\n]*\\b${name}: ${least} to ${most}, [^"\n]*"`), "the picture");
    assert.match(facts.guide, new RegExp(`While NATS does not answer there are [^.]*\\b${fallback.replicas} (copies )?of ${name}\\b`));
    assert.match(facts.guide, new RegExp(`KEDA asks nats-server's monitoring, .* every ${pollingInterval} s\\.`));
  }
});

test("every file is part of something, and none has a key twice", () => {
  const files = fs.readdirSync(MANIFESTS, { recursive: true }).filter((file) => file.endsWith(".yaml")).map(String);
  const read = (file) => parse(fs.readFileSync(path.join(MANIFESTS, file), "utf8"));
  const named = new Set(["nats-values.yaml"]);
  const patches = new Set();
  for (const file of files.filter((one) => path.basename(one) === "kustomization.yaml")) {
    const [{ resources = [], components = [], patches: changes = [] }] = read(file);
    const own = changes.map((change) => change.path).filter(Boolean);
    for (const one of own) patches.add(path.join(path.dirname(file), one));
    for (const one of [...resources, ...components, ...own]) {
      const target = path.join(path.dirname(file), one);
      const found = [target, path.join(target, "kustomization.yaml")].find((other) => other.endsWith(".yaml") && (files.includes(other) || other.startsWith("..")));
      assert.ok(found, `${file}: there is no ${one}`);
      named.add(found);
    }
  }
  for (const overlay of ["single-node", "production"]) named.add(`overlays/${overlay}/kustomization.yaml`);
  // In no overlay: the operator's choice.
  for (const component of ["hpa", "openai-engines", "traces"]) named.add(`components/${component}/kustomization.yaml`);
  for (const file of files) {
    // kubectl would believe other words, too, or none: an overlay's namespace is put over all others.
    const [value] = read(file);
    const kind = file.startsWith("components/") ? "Component" : "Kustomization";
    if (path.basename(file) === "kustomization.yaml") {
      const head = { apiVersion: `kustomize.config.k8s.io/${kind === "Component" ? "v1alpha1" : "v1beta1"}`, kind, ...(kind === "Kustomization" && { namespace: "arc-kiosk" }) };
      assert.deepEqual({ apiVersion: value.apiVersion, kind: value.kind, ...("namespace" in value && { namespace: value.namespace }) }, head, file);
    } else if (patches.has(file)) {
      assert.deepEqual([value.apiVersion, value.kind, value.metadata], ["apps/v1", "Deployment", { name: "any" }], file);
    }
  }
  assert.deepEqual(files.filter((file) => !named.has(file)), []);
});
