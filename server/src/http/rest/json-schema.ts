/** JSON Schema (2020-12, as OpenAPI 3.1 has it) of messages in their plain form, by descriptor. */
import {
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  ScalarType,
} from "@bufbuild/protobuf";
import { comments } from "@pawl/proto/comments";
import { isAlwaysThere, isPayload, isWellKnown } from "@pawl/proto/plain";
import { DURATION_PATTERN } from "../../lib/duration.ts";
import { enumWords } from "./read.ts";

/** The named schemas of a document; those that are asked for are added, with all they refer to. */
export class Schemas {
  readonly components: JsonObject = {};

  /** `{$ref}` to the message's schema. */
  ref(schema: DescMessage): JsonObject {
    const name = nameOf(schema);
    if (!(name in this.components)) {
      // Before its fields, since messages may contain themselves.
      this.components[name] = {};
      this.components[name] = this.#object(schema);
    }
    return { $ref: `#/components/schemas/${name}` };
  }

  add(name: string, schema: JsonObject): JsonObject {
    this.components[name] = schema;
    return { $ref: `#/components/schemas/${name}` };
  }

  /** An object with some of a message's fields, as a body of a request; nothing is required. */
  body(fields: readonly DescField[]): JsonObject {
    const properties: JsonObject = {};
    for (const field of fields) this.#setField(properties, field, true);
    return { type: "object", properties, additionalProperties: false };
  }

  /** The value of one query parameter. */
  parameter(field: DescField): JsonObject {
    if (field.fieldKind === "map") {
      return { type: "array", items: { type: "string", pattern: "^[^=]+=" } };
    }
    return this.#field(field, true);
  }

  #object(schema: DescMessage): JsonObject {
    const description = commentOn(schema.typeName);
    const properties: JsonObject = {};
    const required: string[] = [];
    for (const field of schema.fields) {
      this.#setField(properties, field, false);
      if (isAlwaysThere(field)) required.push(field.jsonName);
    }
    return {
      type: "object",
      ...(description !== "" && { description }),
      properties,
      ...(required.length > 0 && { required }),
    };
  }

  #setField(properties: JsonObject, field: DescField, asked: boolean): void {
    const name = field.jsonName;
    const description = commentOn(`${field.parent.typeName}.${field.name}`);
    if (field.fieldKind !== "message" || !isPayload(field.message)) {
      const schema = this.#field(field, asked);
      properties[name] = description === "" ? schema : { description, ...schema };
      return;
    }
    properties[name] = { description: `${description} Any JSON value.`.trimStart() };
    properties[`${name}Encoding`] = {
      type: "string",
      description: "What the value is, where it is not plain JSON.",
      examples: ["json+pawl", "bytes", "void"],
    };
    if (!asked) properties[`${name}Ref`] = this.#payloadRef();
  }

  #payloadRef(): JsonObject {
    return this.add("PayloadRef", {
      type: "object",
      description: "A value too large to be inline; /v1/payloads/{sha256} has its bytes.",
      properties: { sha256: { type: "string" }, size: { type: "integer", description: "Bytes." } },
      required: ["sha256", "size"],
    });
  }

  #field(field: DescField, asked: boolean): JsonObject {
    switch (field.fieldKind) {
      case "list":
        return { type: "array", items: this.#item(field, asked) };
      case "map":
        return { type: "object", additionalProperties: this.#item(field, asked) };
      default:
        return this.#item(field, asked);
    }
  }

  #item(field: DescField, asked: boolean): JsonObject {
    if (field.enum !== undefined) return { type: "string", enum: enumWords(field.enum) };
    if (field.message === undefined) return scalarSchema(field.scalar);
    return isWellKnown(field.message) ? wellKnown(field.message, asked) : this.ref(field.message);
  }
}

/** The contract's comment on a message or field, its words for fields as they are here. */
export function commentOn(name: string): string {
  const comment = comments[name] ?? "";
  return comment.replaceAll(/\b[a-z]+(?:_[a-z0-9]+)+\b/g, (word) =>
    FIELD_NAMES.has(word) ? camelCase(word) : word,
  );
}

const FIELD_NAMES = new Set(Object.keys(comments).map((name) => name.split(".").at(-1) ?? ""));

function camelCase(word: string): string {
  return word.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function nameOf(schema: DescMessage): string {
  return schema.typeName.replace(/^pawl\.v1\./, "");
}

function scalarSchema(type: ScalarType | undefined): JsonObject {
  switch (type) {
    case ScalarType.STRING:
      return { type: "string" };
    case ScalarType.BOOL:
      return { type: "boolean" };
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return { type: "number" };
    case ScalarType.UINT32:
    case ScalarType.INT32:
      return { type: "integer", minimum: 0 };
    case ScalarType.BYTES:
      return { type: "string", contentEncoding: "base64" };
    default:
      return { type: "string" };
  }
}

function wellKnown(schema: DescMessage, asked: boolean): JsonObject {
  switch (schema.typeName) {
    case "google.protobuf.Timestamp":
      return { type: "string", format: "date-time" };
    case "google.protobuf.Duration": {
      const examples: JsonValue[] = asked ? ["500ms", "30s", "1.5h"] : ["30s"];
      return { type: "string", pattern: DURATION_PATTERN, examples };
    }
    default:
      return { type: "object" };
  }
}
