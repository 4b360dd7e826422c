// The asking node: measures menu.search of menu_service.mjs, one after the other and with a window of requests
// under way, and prints one JSON object as bus_bench does.
//
//   node measure.mjs NATS_URL SECONDS WINDOW QUERY
import { ServiceBroker } from "moleculer";

const [url, secondsText, windowText, query] = process.argv.slice(2);
const millis = Number(secondsText) * 1000;
const window = Number(windowText);
const broker = new ServiceBroker({ nodeID: "bench-asker", transporter: url, logger: false, requestTimeout: 5000 });
await broker.start();
await broker.waitForServices("menu", 10000);

async function search() {
  const answer = await broker.call("menu.search", { query, limit: 10 });
  if (answer.items.length !== 10) throw new Error(`${answer.items.length} items, not ten`);
}

for (let i = 0; i < 200; ++i) await search();
const latencies = [];
for (const end = performance.now() + millis; performance.now() < end; ) {
  const start = performance.now();
  await search();
  latencies.push((performance.now() - start) * 1000);
}

let answered = 0;
const cpu = process.cpuUsage();
const begin = performance.now();
async function lane() {
  while (performance.now() - begin < millis) {
    await search();
    ++answered;
  }
}
await Promise.all(Array.from({ length: window }, lane));
const seconds = (performance.now() - begin) / 1000;
const used = process.cpuUsage(cpu);

latencies.sort((a, b) => a - b);
const at = (q) => latencies[Math.floor(q * (latencies.length - 1))];
console.log(
  JSON.stringify({
    path: "moleculer_search",
    samples: latencies.length,
    p50_us: Math.round(at(0.5) * 10) / 10,
    p99_us: Math.round(at(0.99) * 10) / 10,
    throughput_per_s: Math.round(answered / seconds),
    cpu_us: Math.round(((used.user + used.system) / answered) * 10) / 10,
  }),
);
await broker.stop();
process.exit(0);
