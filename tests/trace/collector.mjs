// A collector of traces: OTLP/HTTP with protobuf, decoded with OpenTelemetry's definitions. It can be told to be slow, to refuse, or
// to be away.
import assert from "node:assert/strict";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(import.meta.url);
// The package's exports do not name the generated definitions.
const generated = path.join(path.dirname(require.resolve("@opentelemetry/otlp-transformer/package.json")), "build/src/generated/root.js");
const { ExportTraceServiceRequest, ExportTraceServiceResponse } = require(generated).opentelemetry.proto.collector.trace.v1;

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const valueOf = (value) => value.stringValue ?? (value.intValue !== undefined && value.intValue !== null ? Number(value.intValue) : undefined) ?? value.doubleValue ?? value.boolValue;
const attributesOf = (list) => Object.fromEntries(list.map(({ key, value }) => [key, valueOf(value)]));

export const uuidOf = (traceId) => traceId.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");

export class Collector {
  static async start(port = 0) {
    const collector = new Collector();
    collector.spans = [];
    collector.requests = 0;
    collector.problems = [];
    collector.behaviour = "well";
    collector.sockets = new Set();
    await collector.listen(port);
    return collector;
  }
  async listen(port = this.port) {
    this.server = http.createServer((request, response) => this.take(request, response));
    this.server.on("connection", (socket) => {
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
    });
    await new Promise((resolve, reject) => this.server.once("error", reject).listen(port, "127.0.0.1", resolve));
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
  }
  async stop() {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
  take(request, response) {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      ++this.requests;
      if (this.behaviour === "hangs") return;
      if (typeof this.behaviour === "number") return response.writeHead(this.behaviour).end();
      try {
        assert.equal(request.method, "POST");
        assert.equal(request.url, "/v1/traces");
        assert.equal(request.headers["content-type"], "application/x-protobuf");
        this.read(Buffer.concat(parts));
      } catch (error) {
        this.problems.push(error);
      }
      response.writeHead(200, { "Content-Type": "application/x-protobuf" }).end(Buffer.from(ExportTraceServiceResponse.encode({}).finish()));
    });
  }
  read(body) {
    const message = ExportTraceServiceRequest.decode(body);
    assert.equal(ExportTraceServiceRequest.verify(message), null);
    // What the definitions do not know would be left out when it is encoded again.
    assert.equal(ExportTraceServiceRequest.encode(message).finish().length, body.length, "fields that OpenTelemetry does not have");
    for (const { resource, scopeSpans } of message.resourceSpans) {
      const of = attributesOf(resource.attributes);
      for (const { scope, spans } of scopeSpans) {
        assert.equal(scope.name, "arc-kiosk");
        for (const span of spans) {
          assert.equal(span.traceId.length, 16);
          assert.equal(span.spanId.length, 8);
          this.spans.push({
            trace: hex(span.traceId),
            id: hex(span.spanId),
            parent: span.parentSpanId?.length ? hex(span.parentSpanId) : "",
            name: span.name,
            kind: span.kind,
            begin: BigInt(span.startTimeUnixNano.toString()),
            end: BigInt(span.endTimeUnixNano.toString()),
            failed: span.status?.code === 2,
            attributes: attributesOf(span.attributes),
            service: of["service.name"],
            resource: of,
          });
        }
      }
    }
  }
  // The spans of a trace, by its UUID or its hexadecimal digits.
  of(trace) {
    return this.spans.filter((span) => span.trace === trace.replaceAll("-", ""));
  }
}
