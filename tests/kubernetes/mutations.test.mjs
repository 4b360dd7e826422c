// The check is checked: break anything in a rendering of deploy/k8s, and it says so. What may vary is listed here.
import assert from "node:assert/strict";
import { test } from "node:test";
import { chartProblems } from "./chart.mjs";
import { check } from "./check.mjs";
import { facts } from "./facts.mjs";
import { mutants, without } from "./mutate.mjs";
import { VARIANTS } from "./variants.mjs";

// Values that another restaurant, or another judgement, may have otherwise. Never a name of a field, a selector, a port, an
// image or a setting.
const FREE = [
  // Settings' values. Those of the overlay single-node are .env's.
  /^changed ConfigMap \/data\/(?!nats-server|KIOSK_ID|SCOPED|USER_SUFFIX|VOICE_TEXT|NATS_URL|STREAM_REPLICAS|TERMINAL_URL|OTEL_|(STT|BRAIN|TTS)_URL)/,
  // Patience.
  /^changed \w+ \/spec\/template\/spec\/containers\/0\/\w+Probe\/(failureThreshold|initialDelaySeconds|periodSeconds|timeoutSeconds)$/,
  /^changed \w+ \/spec\/(template\/spec\/terminationGracePeriodSeconds|revisionHistoryLimit|backoffLimit|ttlSecondsAfterFinished|pollingInterval|fallback\/failureThreshold)$/,
  // How many copies, and how fast there are more or fewer.
  /^changed Deployment \/spec\/replicas$/,
  /^changed ScaledObject \/spec\/(minReplicaCount|maxReplicaCount|fallback\/replicas)$/,
  /^changed ScaledObject \/spec\/triggers\/0\/metadata\/activationLagThreshold$/,
  /^changed HorizontalPodAutoscaler \/spec\/(minReplicas|maxReplicas|metrics\/0\/containerResource\/target\/averageUtilization)$/,
  /^changed \w+ \/spec\/(advanced\/horizontalPodAutoscalerConfig\/)?behavior\/scaleDown\/stabilizationWindowSeconds$/,
  /^(changed|left out) \w+ \/spec\/(advanced\/horizontalPodAutoscalerConfig\/)?behavior\/scale(Up|Down)\/policies\/\d(\/(periodSeconds|value))?$/,
  // A policy is known by what it does.
  /^changed NetworkPolicy \/metadata\/name$/,
  // A folder on the agent's own volume.
  /^changed Deployment \/spec\/template\/spec\/containers\/0\/args\/\d+ --spool_dir=/,
];

const seen = new Set();
let tried = 0;
// Of so many mutants one is looked at to the end.
const SAMPLE = 50;
for (const { name, make, options } of VARIANTS) {
  test(name, (context) => {
    const manifests = make();
    assert.deepEqual(check(manifests, options), []);
    const unnoticed = [];
    const made = {};
    manifests.forEach((manifest, index) => {
      // What an earlier variant had, too, was broken there, whatever the settings and their hash are.
      const text = JSON.stringify(manifest).replaceAll(/"(settings|kiosk)-[a-z0-9]{10}"/g, '"$1"');
      if (seen.has(text)) return;
      seen.add(text);
      for (const { how, path, before, value } of mutants(manifest)) {
        made[how] = (made[how] ?? 0) + 1;
        const broken = [...manifests.slice(0, index), value, ...manifests.slice(index + 1)];
        const [problem] = check(broken, options, 1);
        // Who asks for one problem gets the first of all; it is there if there is any.
        if (++tried % SAMPLE === 0) assert.equal(problem, check(broken, options)[0], path);
        if (problem) continue;
        const mutant = `${how} ${manifest.kind} ${path}${path.includes("/args/") ? ` ${before}` : ""}`;
        if (!FREE.some((free) => free.test(mutant))) unnoticed.push(`${mutant} (${manifest.metadata.name})`);
      }
    });
    context.diagnostic(`mutants: ${Object.entries(made).map(([how, count]) => `${count} ${how}`).join(", ")}; ${tried} so far`);
    assert.ok(Object.values(made).reduce((sum, count) => sum + count, 0) > 50);
    assert.deepEqual(unnoticed, []);
  });
}

test("a manifest left out, or there twice", () => {
  for (const { make, options } of VARIANTS) {
    const manifests = make();
    manifests.forEach((manifest, index) => {
      const what = `${manifest.kind} ${manifest.metadata.name}`;
      assert.notDeepEqual(check(manifests.filter((one) => one !== manifest), options, 1), [], `${what} left out`);
      assert.notDeepEqual(check([...manifests, structuredClone(manifest)], options, 1), [], `${what} twice`);
    });
  }
});

// A field that is left out of a policy is not refused by its type: it allows more.
test("a policy without one of its fields", () => {
  const seenPolicies = new Set();
  const unnoticed = [];
  for (const { make, options } of VARIANTS) {
    const manifests = make();
    manifests.forEach((manifest, index) => {
      if (manifest.kind !== "NetworkPolicy" || seenPolicies.has(JSON.stringify(manifest))) return;
      seenPolicies.add(JSON.stringify(manifest));
      // TCP is what a port is without its protocol.
      for (const { path, value } of without(manifest.spec)) {
        if (/\/ports\/\d\/protocol$/.test(path)) continue;
        // Each of its two labels is NATS' alone.
        if (manifest.metadata.name === "nats-cluster" && /\/app\.kubernetes\.io\/(component|name)$/.test(path)) continue;
        const broken = [...manifests.slice(0, index), { ...manifest, spec: value }, ...manifests.slice(index + 1)];
        if (check(broken, options, 1).length === 0) unnoticed.push(`${manifest.metadata.name} ${path}`);
      }
    });
  }
  assert.ok(seenPolicies.size > 10);
  assert.deepEqual(unnoticed, []);
});

// Patience and sizes of the chart's values.
const FREE_VALUES = [/^changed \/container\/(env\/GOMEMLIMIT|merge\/resources)/, /^changed \/podTemplate\/merge\/spec\/terminationGracePeriodSeconds$/, /^changed \/config\/jetstream\/fileStore\/dir$/];
test("the values of NATS' chart", (context) => {
  const { options } = VARIANTS.find(({ name }) => name === "production");
  const manifests = VARIANTS.find(({ name }) => name === "production").make();
  const unnoticed = [];
  let made = 0;
  for (const { how, path, value } of mutants(facts.values())) {
    ++made;
    if (chartProblems(value, options.secrets).length > 0 || check(manifests, { ...options, chart: value }, 1).length > 0) continue;
    const mutant = `${how} ${path}`;
    if (!FREE_VALUES.some((free) => free.test(mutant))) unnoticed.push(mutant);
  }
  context.diagnostic(`mutants: ${made}`);
  assert.deepEqual(unnoticed, []);
});
