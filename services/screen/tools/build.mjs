// Builds the pages: node tools/build.mjs [--out FOLDER] [--check]
//
// Under FOLDER (default: build/release/screen of this clone): the pages, their scripts and styles, the demonstration's
// pictures, and sizes.json with what a browser loads of each page. --check also checks the types.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import zlib from "node:zlib";

const HERE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const REPO = path.resolve(HERE, "../..");
const { values } = parseArgs({ options: { out: { type: "string", default: path.join(REPO, "build/release/screen") }, check: { type: "boolean", default: false } } });
const out = path.resolve(values.out);

if (!fs.existsSync(path.join(HERE, "node_modules/esbuild"))) {
  console.error("screen: its npm packages are missing; scripts/setup installs them");
  process.exit(1);
}
const { build } = await import("esbuild");
const { writePictures } = await import("./pictures.mjs");
const { writeTypes } = await import("./types.mjs");

// What a browser loads of a page before the first touch, gzipped, in bytes, at most. The pictures are not in it.
const LIMIT = 150 * 1024;

fs.mkdirSync(out, { recursive: true });
await writeTypes(path.join(REPO, "docs/asyncapi.yaml"), path.join(HERE, "src/generated/messages.ts"));
if (values.check) execFileSync(process.execPath, [path.join(HERE, "node_modules/typescript/bin/tsc"), "--noEmit", "--project", HERE], { stdio: "inherit" });

const settings = { bundle: true, minify: true, target: "es2022", outdir: out, entryNames: "[name]", logLevel: "warning", legalComments: "none", sourcemap: false };
const { metafile } = await build({
  ...settings,
  metafile: true,
  absWorkingDir: HERE,
  entryPoints: { kiosk: "src/kiosk/main.tsx", staff: "src/staff/main.tsx" },
  format: "esm",
  jsx: "automatic",
  jsxImportSource: "preact",
});
await build({ ...settings, absWorkingDir: HERE, entryPoints: { capture: "src/kiosk/capture.ts" }, format: "iife" });
await build({ ...settings, absWorkingDir: HERE, entryPoints: { kiosk: "src/kiosk/kiosk.css", staff: "src/staff/staff.css" }, external: ["/*.woff2"] });

const copies = {
  "index.html": "src/kiosk/index.html",
  "staff.html": "src/staff/index.html",
  "brand.svg": "src/kiosk/brand.svg",
  "figtree.woff2": "node_modules/@fontsource-variable/figtree/files/figtree-latin-wght-normal.woff2",
  "figtree-ext.woff2": "node_modules/@fontsource-variable/figtree/files/figtree-latin-ext-wght-normal.woff2",
};
for (const [name, from] of Object.entries(copies)) fs.copyFileSync(path.join(HERE, from), path.join(out, name));
const { pictures, drawn } = writePictures(path.join(REPO, "deploy/demo/menu.json"), out);

// Whose work is in it.
const packages = new Set(["@fontsource-variable/figtree", "@iconify-json/fluent-emoji"]);
for (const input of Object.keys(metafile.inputs)) {
  const found = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input);
  if (found) packages.add(found[1]);
}
const notices = [...packages].sort().map((name) => {
  const folder = path.join(HERE, "node_modules", name);
  const { version, license, author } = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"));
  const file = fs.readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const holder = typeof author === "object" ? author?.name : author;
  return `${name} ${version}: ${license}${holder ? `, ${holder}` : ""}\n${file ? `\n${fs.readFileSync(path.join(folder, file), "utf8").trim()}\n` : ""}`;
});
fs.writeFileSync(path.join(out, "licenses.txt"), notices.join(`\n${"-".repeat(78)}\n\n`));

const loads = { kiosk: ["index.html", "kiosk.js", "kiosk.css", "capture.js"], staff: ["staff.html", "staff.js", "staff.css"] };
const sizes = { limit: LIMIT };
for (const [page, names] of Object.entries(loads)) {
  const files = Object.fromEntries(names.map((name) => [name, zlib.gzipSync(fs.readFileSync(path.join(out, name)), { level: 9 }).length]));
  files["figtree.woff2"] = fs.statSync(path.join(out, "figtree.woff2")).size;
  sizes[page] = { ...files, total: Object.values(files).reduce((sum, size) => sum + size, 0) };
}
fs.writeFileSync(path.join(out, "sizes.json"), `${JSON.stringify(sizes, null, 2)}\n`);
const shown = Object.keys(loads).map((page) => `${page} ${(sizes[page].total / 1024).toFixed(1)} kB`).join(", ");
console.log(`screen: ${shown} gzipped, of ${LIMIT / 1024} kB each, ${pictures} pictures (${drawn} drawn), in ${out}`);
for (const page of Object.keys(loads)) {
  if (sizes[page].total <= LIMIT) continue;
  console.error(`screen: the page ${page} has grown too large`);
  process.exitCode = 1;
}
