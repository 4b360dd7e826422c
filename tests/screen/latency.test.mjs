// What the staff console makes of the histograms in $SRV.STATS: services/screen/src/staff/latency.ts, without a browser.
import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { SOURCE } from "../interop/kit.mjs";

const SCREEN = path.join(SOURCE, "services/screen");
const { build } = await import(path.join(SCREEN, "node_modules/esbuild/lib/main.js"));
const { outputFiles: [{ text }] } = await build({ absWorkingDir: SCREEN, entryPoints: ["src/staff/latency.ts"], bundle: true, format: "esm", target: "es2022", write: false, logLevel: "warning" });
const { Latency, minus, quantile, readHistogram, STEP_MS, WINDOW_MS } = await import(`data:text/javascript,${encodeURIComponent(text)}`);

const histogram = (buckets, count = buckets.at(-1), le = [1, 2.5, 5, 10]) => ({ le, buckets, count });
const near = (actual, expected) => assert.ok(Math.abs(actual - expected) < 1e-9, `${actual}, not ${expected}`);

test("a quantile lies within its bucket, as histogram_quantile() has it", () => {
  // 10 up to 1, 10 up to 2.5, none up to 5, 20 up to 10.
  const all = histogram([10, 20, 20, 40]);
  for (const [share, expected] of [[0.125, 0.5], [0.25, 1], [0.375, 1.75], [0.5, 2.5], [0.75, 7.5], [1, 10]]) near(quantile(all, share), expected);
  near(quantile(histogram([0, 0, 0, 1], 100), 0.99), 10);
  assert.equal(quantile(histogram([0, 0, 0, 0]), 0.5), undefined);
});

test("what is no histogram is none", () => {
  const good = { le: [1, 2], buckets: [3, 4], count: 5, sum: 9 };
  assert.deepEqual(readHistogram({ latency_ms: good }), { le: [1, 2], buckets: [3, 4], count: 5 });
  for (const bad of [undefined, null, 3, "x", {}, { latency_ms: null }, ...[{ le: [] }, { le: [2, 1] }, { le: [1] }, { buckets: [4, 3] }, { buckets: ["3", 4] }, { buckets: [-3, 4] }, { buckets: [3, 1e999] }, { count: 3 }, { count: "5" }].map((change) => ({ latency_ms: { ...good, ...change } }))]) {
    assert.equal(readHistogram(bad), undefined, JSON.stringify(bad));
  }
});

test("a difference is that of one process", () => {
  assert.deepEqual(minus(histogram([2, 4, 4, 6]), histogram([1, 1, 1, 1])), histogram([1, 3, 3, 5]));
  assert.equal(minus(histogram([1, 1, 1, 1]), histogram([2, 4, 4, 6])), undefined);
  assert.equal(minus(histogram([1, 1, 1, 1]), histogram([0, 0], 0, [1, 2])), undefined);
});

test("the last minutes of all copies, with gaps where nothing was handled", () => {
  const latency = new Latency();
  const at = (step) => 1_000_000 * STEP_MS + step * STEP_MS;
  // What was before is not of the last minutes.
  latency.add("one", histogram([1000, 1000, 1000, 1000]), at(0));
  assert.equal(latency.look(at(0)).whole, undefined);
  latency.add("one", histogram([1004, 1004, 1004, 1004]), at(1));
  latency.add("two", histogram([0, 0, 0, 0]), at(1));
  // Two steps without anything; then one copy is slow.
  for (const step of [2, 3]) latency.add("one", histogram([1004, 1004, 1004, 1004]), at(step));
  latency.add("one", histogram([1005, 1005, 1005, 1005]), at(4));
  latency.add("two", histogram([0, 0, 0, 3]), at(4));
  const { whole, steps } = latency.look(at(4));
  assert.equal(steps.length, WINDOW_MS / STEP_MS);
  assert.deepEqual(steps.slice(-5).map(Boolean), [false, true, false, false, true]);
  near(steps.at(-4).p50, 0.5);
  near(steps.at(-1).p50, 5 + 5 / 3); // the second of four, the first of three between 5 and 10
  near(whole.p50, 0.8); // the fourth of eight, five of which took up to 1
  near(whole.p99, 5 + (5 * (8 * 0.99 - 5)) / 3);
  // It is all forgotten when the window has passed, and a copy that is gone comes back as a new one.
  latency.forget("one");
  latency.add("one", histogram([9, 9, 9, 9]), at(5));
  near(latency.look(at(5)).whole.p50, 0.8);
  assert.equal(latency.look(at(4) + WINDOW_MS).whole, undefined);
});
