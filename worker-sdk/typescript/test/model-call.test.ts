import * as conventions from "@opentelemetry/semantic-conventions/incubating";
import { expect, test } from "vitest";
import { modelAttributes } from "../src/telemetry/model-call.ts";

test("a model call is told by attributes of the semantic conventions, and by those only", () => {
  const attributes = modelAttributes({
    operation: "chat",
    provider: "anthropic",
    model: "m",
    responseModel: "m-1",
    responseId: "r",
    finishReasons: ["stop"],
    inputTokens: 0,
    outputTokens: 7,
    temperature: 0,
    maxTokens: 100,
  });
  const known = new Set<unknown>(Object.values(conventions));
  expect(Object.keys(attributes)).toHaveLength(10);
  expect(Object.keys(attributes).filter((name) => !known.has(name))).toEqual([]);
  expect(attributes["gen_ai.usage.input_tokens"]).toBe(0);
  expect(modelAttributes({ model: "m" })).toEqual({
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "m",
  });
});
