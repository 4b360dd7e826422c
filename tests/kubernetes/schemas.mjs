// Manifests against Kubernetes' own types. Twice, because each sees what the other does not: JSON schemas made of the
// TypeScript declarations refuse unknown fields and unknown words; the validators that were compiled from the OpenAPI
// description know formats and ranges.
import path from "node:path";
import { fileURLToPath } from "node:url";
import Ajv from "ajv";
import addFormats from "ajv-formats";
import { createFormatter, createParser, createProgram, DEFAULT_CONFIG, SchemaGenerator } from "ts-json-schema-generator";
import { ScaledObject } from "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject";
import { Deployment } from "kubernetes-models/apps/v1/Deployment";
import { StatefulSet } from "kubernetes-models/apps/v1/StatefulSet";
import { HorizontalPodAutoscaler } from "kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler";
import { Job } from "kubernetes-models/batch/v1/Job";
import { NetworkPolicy } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicy";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import { ConfigMap } from "kubernetes-models/v1/ConfigMap";
import { Namespace } from "kubernetes-models/v1/Namespace";
import { PersistentVolumeClaim } from "kubernetes-models/v1/PersistentVolumeClaim";
import { Service } from "kubernetes-models/v1/Service";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const MODELS = [ConfigMap, Deployment, HorizontalPodAutoscaler, Job, Namespace, NetworkPolicy, PersistentVolumeClaim, PodDisruptionBudget, ScaledObject, Service, StatefulSet];

const kindOf = ({ apiVersion, kind }) => `${apiVersion} ${kind}`;
const models = new Map(MODELS.map((model) => [kindOf(model), model]));
const strict = new Map();

const config = { ...DEFAULT_CONFIG, path: path.join(HERE, "types.ts"), tsconfig: path.join(HERE, "tsconfig.json"), skipTypeCheck: true, additionalProperties: false, expose: "none" };
const program = createProgram(config);
const ajv = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true });
addFormats(ajv);
for (const model of MODELS) {
  const type = `I${model.kind}`;
  const schema = new SchemaGenerator(program, createParser(program, { ...config, type }), createFormatter(config), config).createSchema(type);
  strict.set(kindOf(model), ajv.compile(schema));
}

const known = new WeakMap();

// What is wrong with one manifest, as sentences; none when nothing is. A manifest does not change once it was looked at.
export function problemsOf(manifest) {
  if (!known.has(manifest)) known.set(manifest, look(manifest));
  return known.get(manifest);
}

function look(manifest) {
  const kind = kindOf(manifest);
  const validate = strict.get(kind);
  if (!validate) return [`there is no kind "${kind}" here (tests/kubernetes/types.ts)`];
  const problems = [];
  if (!validate(manifest)) {
    for (const { instancePath, message, params } of validate.errors) {
      problems.push(`${instancePath || "/"} ${message}${params.additionalProperty ? `: ${params.additionalProperty}` : ""}`);
    }
  }
  try {
    new (models.get(kind))(manifest).validate();
  } catch (error) {
    problems.push(error.message);
  }
  return problems;
}
