// docs/asyncapi.yaml as something that says whether a message keeps to it.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import Ajv from "ajv";
import addFormats from "ajv-formats";
import YAML from "js-yaml";

export const SOURCE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
export const DOCUMENT = path.join(SOURCE, "docs/asyncapi.yaml");

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const ID = "kiosk";

// Headers that NATS itself writes, or reads.
const ofNats = (name) => name.startsWith("Nats-");

// `strict`: everything that this fleet always sends has to be there too, and timestamps are its own form of RFC 3339.
function validators(document, strict) {
  const ajv = new Ajv({ strict: false, allErrors: true, verbose: true });
  addFormats(ajv);
  if (strict) {
    ajv.addFormat("date-time", INSTANT);
    ajv.addKeyword({ keyword: "x-always-sent", schemaType: "array", macro: (required) => ({ required }) });
  } else {
    ajv.addKeyword("x-always-sent");
  }
  ajv.addKeyword("x-decimal");
  ajv.addSchema(document, ID);
  const compiled = new Map();
  return (pointer) => {
    if (!compiled.has(pointer)) compiled.set(pointer, ajv.compile({ $ref: `${ID}#${pointer}` }));
    return compiled.get(pointer);
  };
}

const words = ({ instancePath, message, params }) =>
  `${instancePath.slice(1).replaceAll("/", ".") || "it"} ${message}${params.allowedValues ? `: ${params.allowedValues.join(", ")}` : ""}${"allowedValue" in params ? `: ${params.allowedValue}` : ""}`;
// Of a keyword that stands for others, theirs are enough.
const wordsOf = (errors) => errors.filter(({ keyword }) => keyword !== "x-always-sent").map(words);

// What is wrong with the bytes of an audio frame whose headers are valid.
function frameProblems(headers, data) {
  if (headers.End === "true") return data.length === 0 ? [] : [`the frame with End has ${data.length} bytes`];
  if (data.length === 0) return ["the frame is empty, without End"];
  const [encoding, ...parts] = headers["Audio-Format"].split(";");
  if (encoding !== "pcm_s16le") return [];
  const { rate = 16000, channels = 1 } = Object.fromEntries(parts.map((part) => part.split("=")).map(([name, value]) => [name, Number(value)]));
  if (rate < 8000 || rate > 48000) return [`the rate is ${rate} Hz`];
  if (data.length % (2 * channels) !== 0) return [`${data.length} bytes are no whole number of samples`];
  const milliseconds = (data.length / (2 * channels) / rate) * 1000;
  return milliseconds > 100.5 ? [`the frame is ${milliseconds} ms long`] : [];
}

export class Contract {
  static load(file = DOCUMENT) {
    return new Contract(YAML.load(fs.readFileSync(file, "utf8")));
  }
  constructor(document) {
    this.document = document;
    this.tolerant = validators(document, false);
    this.strict = validators(document, true);
    const patterns = Object.entries(document.channels)
      .filter(([, { address }]) => address !== null)
      .map(([key, { address }]) => ({
        key,
        wildcards: (address.match(/\{/g) ?? []).length,
        pattern: new RegExp(`^${address.split(".").map((token) => (token.startsWith("{") ? "[^.]+" : token)).join("\\.")}$`),
      }));
    // A subject with fewer parameters fits better: system.deadletter.core.x is of no stream called core.
    this.patterns = patterns.sort((a, b) => a.wildcards - b.wildcards);
    this.keys = new Map();
    this.replies = new Map();
    for (const { channel, reply } of Object.values(document.operations)) {
      if (reply) this.replies.set(channel.$ref.split("/").at(-1), reply.channel.$ref.split("/").at(-1));
    }
  }
  // The key of the channel that a subject belongs to, or undefined.
  channelOf(subject) {
    if (!this.keys.has(subject)) {
      if (this.keys.size > 10_000) this.keys.clear();
      this.keys.set(subject, this.patterns.find(({ pattern }) => pattern.test(subject))?.key);
    }
    return this.keys.get(subject);
  }
  // The key of the channel on which requests to channel `key` are answered, or undefined.
  replyOf(key) {
    return this.replies.get(key);
  }
  // What is wrong with `value` as the payload of the message `name`.
  payloadProblems(name, value, { strict = false } = {}) {
    const validate = (strict ? this.strict : this.tolerant)(`/components/messages/${name}/payload`);
    return validate(value) ? [] : wordsOf(validate.errors);
  }
  // What is wrong with `headers`, an object of strings, as those of the message `name`.
  headerProblems(name, headers, { strict = false } = {}) {
    const { headers: schema } = this.document.components.messages[name];
    const unknown = Object.keys(headers).filter((header) => !ofNats(header) && !(header in (schema?.properties ?? {})));
    const problems = unknown.map((header) => `has the header ${header}, which is not in the contract`);
    if (!schema) return problems;
    const validate = (strict ? this.strict : this.tolerant)(`/components/messages/${name}/headers`);
    return validate(headers) ? problems : [...problems, ...wordsOf(validate.errors).map((text) => `headers: ${text}`)];
  }
  // What is wrong with a message on channel `key`: nothing is an empty array.
  problems(key, headers, data) {
    const channel = this.document.channels[key];
    const strict = channel["x-from-fleet-only"];
    const names = Object.keys(channel.messages);
    const [first] = names;
    if (this.document.components.messages[first].contentType === "application/octet-stream") {
      const problems = this.headerProblems(first, headers, { strict });
      return problems.length > 0 ? problems : frameProblems(headers, data);
    }
    let value;
    try {
      value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data));
    } catch (error) {
      return [`is not JSON: ${error.message}`];
    }
    const attempts = names.map((name) => [...this.payloadProblems(name, value, { strict }), ...this.headerProblems(name, headers, { strict })]);
    if (attempts.some((problems) => problems.length === 0)) return [];
    // The one that is nearest to what was meant.
    return attempts.sort((a, b) => a.length - b.length)[0];
  }
}
