// The serving node: a Moleculer service that searches a plain array for a substring.
//
//   node menu_service.mjs NATS_URL MENU_FILE
//
// Prints "ready" once it is connected; ends with SIGTERM.
import { readFileSync } from "node:fs";
import { ServiceBroker } from "moleculer";

const [url, menuFile] = process.argv.slice(2);
const items = JSON.parse(readFileSync(menuFile, "utf8")).items.map((item) => ({
  answer: {
    id: item.id,
    name: item.name,
    price: item.price,
    image: item.image ?? "",
    tags: item.tags ?? [],
    available: item.available ?? true,
  },
  text: `${item.name} ${item.description ?? ""}`.toLowerCase(),
}));

const broker = new ServiceBroker({ nodeID: "bench-menu", transporter: url, logger: false });
broker.createService({
  name: "menu",
  actions: {
    search(ctx) {
      const wanted = ctx.params.query.toLowerCase();
      const found = items.filter((item) => item.text.includes(wanted)).map((item) => item.answer);
      return { status: "success", items: found.slice(0, ctx.params.limit), total_matches: found.length };
    },
  },
});
await broker.start();
process.on("SIGTERM", () => broker.stop().then(() => process.exit(0)));
console.log("ready");
