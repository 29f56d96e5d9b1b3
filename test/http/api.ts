/**
 * A client that knows nothing but /openapi.json: it finds an operation by its id, sends what the
 * document says, and holds the answer against the document's schemas.
 */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { expect } from "vitest";

export interface Schema {
  $ref?: string;
  type?: string;
  properties?: Record<string, Schema>;
}

interface Content {
  schema: Schema;
}

export interface Described {
  operationId: string;
  summary: string;
  tags: string[];
  parameters?: { name: string; in: string; description: string; required?: boolean }[];
  requestBody?: { content: Record<string, Content> };
  responses: Record<string, { description: string; content?: Record<string, Content> }>;
}

export interface Description {
  openapi: string;
  paths: Record<string, Record<string, Described>>;
  components: { schemas: Record<string, Schema> };
}

export interface Sent {
  /** By name, for the path. */
  path?: Record<string, string>;
  query?: Record<string, string | readonly string[]>;
  /** Sent as JSON; a string or bytes as they are. */
  body?: unknown;
  headers?: Record<string, string>;
}

export interface Answer {
  status: number;
  headers: Headers;
  /** The JSON, or the text of anything else. */
  body: Record<string, unknown>;
  text: string;
}

export class Api {
  readonly url: string;
  readonly document: Description;
  /** `operationId status` of all answers so far. */
  readonly seen = new Set<string>();
  readonly #ajv: Ajv2020;
  readonly #validators = new Map<Schema, ValidateFunction>();

  private constructor(url: string, document: Description) {
    this.url = url;
    this.document = document;
    this.#ajv = new Ajv2020({ strict: false, validateFormats: false });
    this.#ajv.addSchema(document, "doc");
  }

  static async load(url: string): Promise<Api> {
    const response = await fetch(`${url}/openapi.json`);
    return new Api(url, (await response.json()) as Description);
  }

  operations(): { method: string; path: string; operation: Described }[] {
    return Object.entries(this.document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        method: method.toUpperCase(),
        path,
        operation,
      })),
    );
  }

  /** Calls an operation. The answer must be one that the document describes. */
  async call(id: string, sent: Sent = {}): Promise<Answer> {
    const found = this.operations().find(({ operation }) => operation.operationId === id);
    if (found === undefined) throw new Error(`There is no operation ${id}.`);
    const { method, operation } = found;
    const raw = typeof sent.body === "string" || sent.body instanceof Uint8Array;
    const response = await fetch(this.urlOf(found.path, sent), {
      method,
      headers: {
        ...(sent.body !== undefined && !raw && { "content-type": "application/json" }),
        ...sent.headers,
      },
      ...(sent.body !== undefined && {
        body: raw ? (sent.body as string) : JSON.stringify(sent.body),
      }),
    });
    const text = await response.text();
    this.#check(operation, response, text);
    const isJson = /json/.test(response.headers.get("content-type") ?? "");
    const body = isJson ? (JSON.parse(text) as Record<string, unknown>) : {};
    return { status: response.status, headers: response.headers, body, text };
  }

  urlOf(template: string, { path = {}, query = {} }: Sent): string {
    const filled = template.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
      const value = path[name];
      if (value === undefined) throw new Error(`${template} needs ${name}.`);
      return encodeURIComponent(value);
    });
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      for (const one of typeof value === "string" ? [value] : value) search.append(name, one);
    }
    return `${this.url}${filled}${search.size === 0 ? "" : `?${search.toString()}`}`;
  }

  #check(operation: Described, response: Response, text: string): void {
    const { operationId, responses } = operation;
    const described = responses[String(response.status)];
    expect(described, `${operationId} answered ${response.status}: ${text}`).toBeDefined();
    this.seen.add(`${operationId} ${response.status}`);
    const type = (response.headers.get("content-type") ?? "").split(";", 1)[0] ?? "";
    const content = described?.content;
    if (content === undefined) {
      expect(text, operationId).toBe("");
      return;
    }
    const schema = content[type]?.schema;
    expect(schema, `${operationId} ${response.status} as ${type}`).toBeDefined();
    if (!type.endsWith("json") || schema === undefined) return;
    const validate = this.#validator(schema);
    const fits = validate(JSON.parse(text));
    expect(fits, `${operationId}: ${JSON.stringify(validate.errors)} in ${text}`).toBe(true);
  }

  #validator(schema: Schema): ValidateFunction {
    const known = this.#validators.get(schema);
    if (known !== undefined) return known;
    const absolute = JSON.parse(
      JSON.stringify(schema).replaceAll('"#/components/', '"doc#/components/'),
    ) as Schema;
    const made = this.#ajv.compile(absolute);
    this.#validators.set(schema, made);
    return made;
  }
}
