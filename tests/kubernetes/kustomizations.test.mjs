// The check is checked, a level above: break a kustomization, a resource left out, a patch whose target is misspelt, and
// kubectl refuses it or what it renders is found to be wrong. kustomize itself says nothing about a patch that meets nothing.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { stringify } from "yaml";
import { check } from "./check.mjs";
import { Copy, MANIFESTS, parse } from "./kustomize.mjs";
import { mutants } from "./mutate.mjs";
import { VARIANTS } from "./variants.mjs";

// What another restaurant has otherwise: settings' values, numbers of copies. A patch's text is broken where it arrives.
const FREE = [
  /^changed \/configMapGenerator\/\d+\/literals\/\d+ /,
  // Left out in an overlay it has the value of the base.
  /^left out \/configMapGenerator\/\d+\/literals\/\d+ (ARC_MENU|ARC_HISTORY|RECEIPT_BASE_URL|PRINTER|VISION_SOURCE)=/,
  /^changed \/replicas\/\d+\/count /,
  /^changed \/patches\/\d+\/patch /,
  // The folders beneath say their namespace, too; kubectl has defaults for both. manifests.test.mjs looks at them.
  /^(misspelt|changed) \/(namespace|apiVersion|kind) /,
];
const overlays = new Map(["single-node", "production"].map((name) => [name, VARIANTS.find((variant) => variant.name === name).options]));

// A copy of deploy/ for each kubectl that runs at a time.
const copies = Array.from({ length: os.cpus().length }, () => new Copy());
after(() => copies.forEach((copy) => copy.remove()));

// The overlays as they are, and their manifests by the text: what a mutant leaves as it is was read and looked at already.
const originals = new Map();
async function original(name) {
  if (!originals.has(name)) originals.set(name, new Map((await copies[0].render(`overlays/${name}`)).map((text) => [text, parse(text)])));
  return originals.get(name);
}

// Whether the overlay with this text in the place of a file's is refused, or found to be wrong.
async function noticed(copy, overlay, file, text) {
  const known = await original(overlay);
  const before = copy.read(file);
  copy.write(file, text);
  try {
    const texts = await copy.render(`overlays/${overlay}`);
    return check(texts.flatMap((one) => known.get(one) ?? parse(one)), overlays.get(overlay), 1).length > 0;
  } catch (error) {
    // kubectl refuses it.
    assert.match(error.message, /^kubectl kustomize /);
    return true;
  } finally {
    copy.write(file, before);
  }
}

for (const [name, options] of overlays) {
  test(`${name} as it is`, async () => assert.deepEqual(check([...(await original(name)).values()].flat(), options), []));
}

let tried = 0;
test("a kiosk is a copy of the other with another id", () => {
  const [first, second] = ["kiosk-001", "kiosk-002"].map((kiosk) => copies[0].read(`overlays/production/kiosks/${kiosk}/kustomization.yaml`));
  assert.equal(first.replaceAll("kiosk-001", "kiosk-002").replace("VOICE_TEXT=true", "VOICE_TEXT=false"), second);
});

// Of the components that no overlay has the renderings are broken in mutations.test.mjs. The first kiosk is who `edge` is without
// a word, so that much of its folder can be left out; the second is another.
for (const file of fs.readdirSync(MANIFESTS, { recursive: true }).map(String).filter((name) => path.basename(name) === "kustomization.yaml" && !/components\/(hpa|openai-engines|traces)|kiosks\/kiosk-001/.test(name))) {
  test(file, async (context) => {
    const [value] = parse(copies[0].read(file));
    // The overlay that it is part of.
    let name;
    for (const one of file.startsWith("overlays/") ? [file.split("/")[1]] : overlays.keys()) {
      if (name === undefined && (await noticed(copies[0], one, file, "kind: Kustomization\nresources: [nothing]\n"))) name = one;
    }
    assert.ok(name, `${file} is part of no overlay`);
    const broken = [];
    const misspelt = new Set();
    for (const { how, path: place, before, value: mutant } of mutants(value)) {
      const what = `${how} ${place} ${typeof before === "string" ? before : JSON.stringify(before)}`;
      if (FREE.some((free) => free.test(what))) continue;
      // A field of a list's items is misspelt in the first that has it.
      const field = place.replace(/\/\d+/g, "/#");
      if (how === "misspelt" && misspelt.has(field)) continue;
      if (how === "misspelt") misspelt.add(field);
      broken.push({ what, text: stringify(mutant) });
    }
    tried += broken.length;
    context.diagnostic(`mutants: ${broken.length}, in ${name}; ${tried} so far`);
    const unnoticed = [];
    const rest = broken.values();
    await Promise.all(copies.map(async (copy) => {
      for (const { what, text } of rest) if (!(await noticed(copy, name, file, text))) unnoticed.push(what);
    }));
    assert.deepEqual(unnoticed, []);
  });
}
