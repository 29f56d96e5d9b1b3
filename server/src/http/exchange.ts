/** One HTTP request and its answer: of the routes, and of the signed links. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { BOUNDS } from "../model/bounds.ts";
import { invalid } from "../model/errors.ts";
import { jsonIn } from "../rpc/convert/common-messages.ts";
import { payloadTooLarge } from "../rpc/convert/fields.ts";
import { refuseEncoded } from "./body.ts";
import { discardRest } from "./discard.ts";
import { HttpError } from "./problem.ts";

const JSON_TYPES = /^application\/(?:[\w.+-]+\+)?json$/;

/** A body as it came. */
export interface Body {
  readonly bytes: Buffer;
  /** Lower-case, without parameters; empty where there is none. */
  readonly type: string;
}

export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request;
    this.response = response;
  }

  /** A header that is there once; empty where it is not there. */
  header(name: string): string {
    const value = this.request.headers[name];
    return typeof value === "string" ? value.trim() : "";
  }

  /** Whether the client asked for this type of content by name. */
  accepts(type: string): boolean {
    return this.header("accept")
      .split(",")
      .some((one) => one.split(";", 1)[0]?.trim().toLowerCase() === type);
  }

  /** Lower-case, without parameters; empty where there is none. */
  get contentType(): string {
    return (this.header("content-type").split(";", 1)[0] ?? "").trim().toLowerCase();
  }

  /** Rejects with PAYLOAD_TOO_LARGE as soon as it is plain that it has more than `max` bytes. */
  async body(max: number = BOUNDS.messageBytes): Promise<Body> {
    const { request } = this;
    const type = this.contentType;
    const declared = Number(this.header("content-length") || 0);
    const pieces: Buffer[] = [];
    let size = 0;
    try {
      refuseEncoded(request);
      if (declared > max) throw tooLarge(declared, max);
      for await (const piece of request.iterator({ destroyOnReturn: false })) {
        const bytes = Buffer.from(piece);
        size += bytes.byteLength;
        if (size > max) throw tooLarge(size, max);
        pieces.push(bytes);
      }
    } finally {
      if (!request.complete) discardRest(request);
    }
    return { bytes: Buffer.concat(pieces), type };
  }

  /** A body that must be a JSON object; none is an empty one. */
  async jsonObject(): Promise<JsonObject> {
    const body = await this.body();
    if (body.bytes.byteLength === 0) return {};
    const value = parseJson(body);
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw invalid("body", "must be a JSON object");
    }
    return value;
  }

  json(
    status: number,
    value: JsonValue | object,
    headers: Readonly<Record<string, string>> = {},
  ): void {
    const text = `${JSON.stringify(value)}\n`;
    this.response.writeHead(status, {
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(text)),
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      ...headers,
    });
    this.response.end(this.request.method === "HEAD" ? undefined : text);
  }

  page(status: number, html: string, headers: Readonly<Record<string, string>>): void {
    this.response.writeHead(status, headers);
    this.response.end(html);
  }

  empty(status: number): void {
    this.response.writeHead(status, { "cache-control": "no-store" });
    this.response.end();
  }
}

export function isJson(type: string): boolean {
  return JSON_TYPES.test(type);
}

/** @throws HttpError 415, or INVALID_ARGUMENT where it is not JSON */
export function parseJson(body: Body): JsonValue {
  if (!isJson(body.type)) throw unsupportedType(body.type, ["application/json"]);
  return jsonIn("body", body.bytes) as JsonValue;
}

export function unsupportedType(type: string, known: readonly string[]): HttpError {
  const list = known.join(" or ");
  return new HttpError(
    415,
    "INVALID_ARGUMENT",
    `The content type is ${type === "" ? "missing" : type.slice(0, 100)}; send ${list}. ` +
      "With curl: --json, or -H 'content-type: application/json'.",
    { metadata: { field: "content-type", supported: known.join(", ") } },
  );
}

function tooLarge(size: number, max: number): Error {
  return payloadTooLarge("body", size, max);
}
