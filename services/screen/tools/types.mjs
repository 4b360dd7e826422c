// Writes src/generated/messages.ts: the types of the bus's messages, out of docs/asyncapi.yaml.
import fs from "node:fs";
import path from "node:path";
import { compile } from "json-schema-to-typescript";
import YAML from "yaml";

// What the pages send. Of all other messages the fleet is the sender, and what it always sends is there.
const SENT = new Set(["Touch", "CartAction", "TextInput", "CardInput", "SnapshotRequest"]);

const KEPT = ["type", "properties", "items", "enum", "const", "description", "oneOf"];

// A schema with nothing but what matters to a type, and references as definitions.
function plain(schema, sent) {
  if (schema.$ref) return { $ref: schema.$ref.replace("#/components/schemas/", "#/definitions/") };
  const out = {};
  for (const key of KEPT) if (key in schema) out[key] = schema[key];
  if (out.items) out.items = plain(out.items, sent);
  if (out.oneOf) out.oneOf = out.oneOf.map((one) => plain(one, sent));
  if (out.properties) {
    out.properties = Object.fromEntries(Object.entries(out.properties).map(([name, value]) => [name, plain(value, sent)]));
    const always = sent ? ["event", "command"].filter((name) => name in out.properties) : (schema["x-always-sent"] ?? []);
    out.required = [...new Set([...(schema.required ?? []), ...always])];
    out.additionalProperties = false;
  }
  return out;
}

// UiComponent says by if and then which data belongs to which type; a type says it by a union.
function union(schema) {
  return {
    oneOf: schema.allOf.map(({ if: when, then }) => ({
      type: "object",
      title: `${when.properties.type.const}Component`,
      properties: { type: { const: when.properties.type.const }, data: plain(then.properties.data, false) },
      required: ["type", "data"],
      additionalProperties: false,
    })),
  };
}

export async function writeTypes(document, target) {
  const { schemas } = YAML.parse(fs.readFileSync(document, "utf8")).components;
  const definitions = {};
  for (const [name, schema] of Object.entries(schemas)) {
    definitions[name] = name === "UiComponent" ? union(schema) : plain(schema, SENT.has(name));
  }
  // The compiler writes what one schema needs; this one needs all of them.
  const all = {
    title: "Messages",
    type: "object",
    properties: Object.fromEntries(Object.keys(definitions).map((name) => [name, { $ref: `#/definitions/${name}` }])),
    additionalProperties: false,
    definitions,
  };
  const text = await compile(all, "Messages", { bannerComment: "// Written by tools/types.mjs out of docs/asyncapi.yaml.", format: false });
  fs.mkdirSync(path.dirname(target), { recursive: true });
  if (!fs.existsSync(target) || fs.readFileSync(target, "utf8") !== text) fs.writeFileSync(target, text);
}
