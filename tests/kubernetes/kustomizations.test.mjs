// The check is checked, a level above: break a kustomization, a resource left out, a patch whose target is misspelt, and
// kubectl refuses it or what it renders is found to be wrong. kustomize itself says nothing about a patch that meets nothing.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { stringify } from "yaml";
import { check } from "./check.mjs";
import { Copy, MANIFESTS, parse } from "./kustomize.mjs";
import { mutants } from "./mutate.mjs";
import { VARIANTS } from "./variants.mjs";

// What another restaurant has otherwise: settings' values, numbers of copies. A patch's text is broken where it arrives.
const FREE = [
  /^changed \/configMapGenerator\/\d+\/literals\/\d+ /,
  // Left out in an overlay it has the value of the base.
  /^left out \/configMapGenerator\/\d+\/literals\/\d+ (ARC_MENU|ARC_HISTORY|RECEIPT_BASE_URL|KIOSK_ID=kiosk-001|VOICE_TEXT=true|PRINTER|VISION_SOURCE)/,
  /^changed \/replicas\/\d+\/count /,
  /^changed \/patches\/\d+\/patch /,
  // The folders beneath say their namespace, too; kubectl has defaults for both.
  /^(misspelt|changed) \/(namespace|apiVersion|kind) /,
];
const overlays = new Map(["single-node", "production"].map((name) => [name, VARIANTS.find((variant) => variant.name === name).options]));

// Of the components that no overlay has, and of the second kiosk, whose folder is a copy of the first's, the renderings are broken
// in mutations.test.mjs.
for (const file of fs.readdirSync(MANIFESTS, { recursive: true }).map(String).filter((name) => path.basename(name) === "kustomization.yaml" && !/components\/(hpa|openai-engines)|kiosks\/kiosk-002/.test(name))) {
  test(file, (context) => {
    const copy = new Copy();
    try {
      const original = copy.read(file);
      const [value] = parse(original);
      // The overlay that it is part of.
      const names = file.startsWith("overlays/") ? [file.split("/")[1]] : [...overlays.keys()];
      const name = names.find((one) => {
        copy.write(file, "kind: Kustomization\nresources: [nothing]\n");
        try {
          copy.build(`overlays/${one}`);
          return false;
        } catch {
          return true;
        } finally {
          copy.write(file, original);
        }
      });
      assert.ok(name, `${file} is part of no overlay`);
      assert.deepEqual(check(copy.build(`overlays/${name}`), overlays.get(name)), []);
      const unnoticed = [];
      let made = 0;
      const misspelt = new Set();
      for (const { how, path: place, before, value: mutant } of mutants(value)) {
        const what = `${how} ${place} ${typeof before === "string" ? before : JSON.stringify(before)}`;
        if (FREE.some((free) => free.test(what))) continue;
        // A field of a list's items is misspelt in the first that has it.
        const field = place.replace(/\/\d+/g, "/#");
        if (how === "misspelt" && misspelt.has(field)) continue;
        if (how === "misspelt") misspelt.add(field);
        ++made;
        copy.write(file, stringify(mutant));
        try {
          if (check(copy.build(`overlays/${name}`), overlays.get(name)).length === 0) unnoticed.push(what);
        } catch (error) {
          // kubectl refuses it.
          assert.match(error.message, /^kubectl kustomize /);
        }
      }
      context.diagnostic(`broken: ${made}, in ${name}`);
      assert.deepEqual(unnoticed, []);
    } finally {
      copy.remove();
    }
  });
}
