/** The OpenAPI 3.1 document, made from the table of routes and the contract's descriptors. */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { VERSION } from "../../lib/version.ts";
import type { Reason } from "../../model/errors.ts";
import { PROBLEM_TYPE, statusOf } from "../problem.ts";
import { Schemas } from "./json-schema.ts";
import type { AnswerSpec, Operation, Parameter } from "./route.ts";

/** What any route may be refused for. */
const COMMON: readonly Reason[] = [
  "INVALID_ARGUMENT",
  // To pages of other origins.
  "PERMISSION_DENIED",
  "STORE_UNAVAILABLE",
  "DRAINING",
  "INTERNAL",
];

export interface Document extends JsonObject {
  openapi: string;
  info: JsonObject;
  tags: JsonObject[];
  paths: Record<string, JsonObject>;
  components: JsonObject;
}

export function createDocument(operations: readonly Operation[]): Document {
  const schemas = new Schemas();
  const problem = schemas.add("Problem", PROBLEM);
  const paths: Record<string, JsonObject> = {};
  for (const operation of operations) {
    const path = paths[operation.path] ?? {};
    path[operation.method.toLowerCase()] = describe(operation, schemas, problem);
    paths[operation.path] = path;
  }
  const tags = [...new Set(operations.map(({ tag }) => tag))];
  return {
    openapi: "3.1.0",
    info: {
      title: "Pawl",
      version: VERSION,
      description:
        "Runs, steps, signals, workflows and workers of a Pawl server, in plain JSON. Branch on " +
        "`reason` of a Problem, never on its text.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    tags: tags.map((name) => ({ name })),
    paths,
    components: {
      schemas: schemas.components,
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", description: "An API key." },
        apiKey: { type: "apiKey", in: "header", name: "X-API-Key", description: "The same." },
      },
    },
    // The empty one: a server that only its own machine can reach may need no key.
    security: [{ bearer: [] }, { apiKey: [] }, {}],
  };
}

const PROBLEM: JsonObject = {
  type: "object",
  description: "Why a request failed (RFC 9457).",
  properties: {
    title: { type: "string", description: "The status in words." },
    status: { type: "integer" },
    detail: { type: "string", description: "What happened and what to do next, for people." },
    reason: { type: "string", description: "Does not change between versions; for programs." },
    metadata: {
      type: "object",
      additionalProperties: { type: "string" },
      description: "The facts: the field at fault, both sides of a conflict …",
    },
  },
  required: ["title", "status", "detail", "reason", "metadata"],
};

function describe(operation: Operation, schemas: Schemas, problem: JsonObject): JsonObject {
  const { id, tag, summary, description, body } = operation;
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(operation.isPublic === true && { security: [] }),
    ...(description !== undefined && { description }),
    ...(operation.parameters.length > 0 && {
      parameters: operation.parameters.map((one) => describeParameter(one, schemas)),
    }),
    ...(body !== undefined && {
      requestBody: {
        description: body.description,
        required: body.required,
        content: contentOf(body.content, schemas),
      },
    }),
    responses: {
      ...Object.fromEntries(
        operation.answers.map((answer) => [String(answer.status), describeAnswer(answer, schemas)]),
      ),
      ...refusals(operation, problem),
    },
  };
}

function describeParameter(parameter: Parameter, schemas: Schemas): JsonObject {
  const { name, description } = parameter;
  const schema = parameter.schema(schemas);
  const repeats = parameter.in === "query" && schema.type === "array";
  return {
    name,
    in: parameter.in,
    description,
    ...(parameter.in === "path" && { required: true }),
    ...(repeats && { style: "form", explode: true }),
    schema,
  };
}

function contentOf(
  content: Readonly<Record<string, (schemas: Schemas) => JsonObject>>,
  schemas: Schemas,
): JsonObject {
  return Object.fromEntries(
    Object.entries(content).map(([type, schema]) => [type, { schema: schema(schemas) }]),
  );
}

function describeAnswer(answer: AnswerSpec, schemas: Schemas): JsonObject {
  const { description, content, headers } = answer;
  return {
    description,
    ...(content !== undefined && { content: contentOf(content, schemas) }),
    ...(headers !== undefined && {
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, said]) => [
          name,
          { description: said, schema: { type: "string" } },
        ]),
      ),
    }),
  };
}

/** One answer per status, with the reasons that it can have. */
function refusals(operation: Operation, problem: JsonObject): JsonObject {
  const own: readonly Reason[] = operation.isPublic === true ? [] : ["UNAUTHENTICATED"];
  const reasons = [...new Set([...operation.errors, ...own, ...COMMON])];
  const byStatus = Map.groupBy(reasons, statusOf);
  if (operation.body !== undefined) {
    byStatus.set(413, ["PAYLOAD_TOO_LARGE"]);
    byStatus.set(415, ["INVALID_ARGUMENT"]);
  }
  const entries = [...byStatus].sort(([a], [b]) => a - b);
  return Object.fromEntries(
    entries.map(([status, list]): [string, JsonValue] => [
      String(status),
      {
        description: list.join(", "),
        content: {
          [PROBLEM_TYPE]: {
            schema: {
              allOf: [problem],
              properties: { reason: { type: "string", enum: [...list] } },
            },
          },
        },
      },
    ]),
  );
}
