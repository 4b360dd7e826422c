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

test("every file is part of something, and none has a key twice", () => {
  const files = fs.readdirSync(MANIFESTS, { recursive: true }).filter((file) => file.endsWith(".yaml")).map(String);
  const read = (file) => parse(fs.readFileSync(path.join(MANIFESTS, file), "utf8"));
  const named = new Set(["nats-values.yaml"]);
  for (const file of files.filter((one) => path.basename(one) === "kustomization.yaml")) {
    const [{ resources = [], components = [], patches = [] }] = read(file);
    for (const one of [...resources, ...components, ...patches.map((patch) => patch.path).filter(Boolean)]) {
      const target = path.join(path.dirname(file), one);
      const found = [target, path.join(target, "kustomization.yaml")].find((other) => other.endsWith(".yaml") && (files.includes(other) || other.startsWith("..")));
      assert.ok(found, `${file}: there is no ${one}`);
      named.add(found);
    }
  }
  for (const overlay of ["single-node", "production"]) named.add(`overlays/${overlay}/kustomization.yaml`);
  // In no overlay: the operator's choice.
  for (const component of ["hpa", "openai-engines"]) named.add(`components/${component}/kustomization.yaml`);
  for (const file of files) read(file);
  assert.deepEqual(files.filter((file) => !named.has(file)), []);
});
