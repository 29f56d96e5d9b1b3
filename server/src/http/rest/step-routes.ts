/** A run's steps, as its journal has them. */
import { create, isMessage, type JsonObject } from "@bufbuild/protobuf";
import {
  GetJournalRequestSchema,
  GetJournalResponseSchema,
  type JournalEntry,
  JournalEntrySchema,
  RunService,
  StepService,
} from "@pawl/proto";
import { invalid } from "../../model/errors.ts";
import { LIMITS } from "../../model/limits.ts";
import { RUN_ID } from "./event-routes.ts";
import type { Exchange } from "./exchange.ts";
import { plain } from "./plain.ts";
import {
  checkNoQuery,
  JSON_TYPE,
  type Operation,
  queryText,
  type Route,
  type Services,
  textParameter,
} from "./route.ts";
import { rpcRoute } from "./rpc-route.ts";

export const stepRoute: Route = rpcRoute({
  ...{ method: "GET", path: "/v1/runs/{runId}/steps/{stepKey}", rpc: StepService.method.getStep },
  id: "getStep",
  tag: "Steps",
  summary: "Get the record of a step or wait",
  result: "entry",
  about: { runId: RUN_ID, stepKey: "The step's key, percent-encoded." },
  errors: ["NOT_FOUND"],
});

const stepsOperation: Operation = {
  method: "GET",
  path: "/v1/runs/{runId}/steps",
  id: "listSteps",
  tag: "Steps",
  summary: "List a run's steps and waits, in the order of their first entry",
  description:
    "Each has its latest journal entry without the result, which `getStep` returns. Steps " +
    "that RetryRun took up again are the latest attempt.",
  parameters: [
    textParameter("runId", "path", RUN_ID),
    textParameter("pageSize", "query", "1 to 500; 50 by default.", { type: "integer" }),
    textParameter("pageToken", "query", "`nextPageToken` of the page before."),
  ],
  answers: [
    {
      status: 200,
      description: "The steps and waits.",
      content: {
        [JSON_TYPE]: (schemas) =>
          schemas.add("Steps", {
            type: "object",
            properties: {
              steps: { type: "array", items: schemas.ref(JournalEntrySchema) },
              nextPageToken: { type: "string", description: "Absent on the last page." },
            },
            required: ["steps"],
          }),
      },
    },
  ],
  errors: ["NOT_FOUND"],
};

export const stepsRoute: Route = {
  operation: stepsOperation,
  async serve(exchange, services) {
    checkNoQuery(exchange.search, ["pageSize", "pageToken"]);
    const size = wholeNumber(exchange, "pageSize", 1, LIMITS.listPageMax) ?? LIMITS.listPageDefault;
    const first = wholeNumber(exchange, "pageToken", 0, Number.MAX_SAFE_INTEGER) ?? 0;
    const steps = await foldSteps(exchange, services);
    const shown = [...steps.values()].slice(first, first + size);
    const json: JsonObject = { steps: shown.map((entry) => plain(JournalEntrySchema, entry)) };
    if (first + size < steps.size) json.nextPageToken = String(first + size);
    exchange.json(200, json);
  },
};

/** The latest entry of each key, read page by page and without payloads. */
async function foldSteps(
  exchange: Exchange,
  services: Services,
): Promise<Map<string, JournalEntry>> {
  const journal = services.unary(RunService.method.getJournal);
  const runId = exchange.params.runId ?? "";
  const steps = new Map<string, JournalEntry>();
  for (let afterSeq = 0; ; ) {
    const request = create(GetJournalRequestSchema, { runId, afterSeq });
    const page = await journal.call(request, exchange.context);
    if (!isMessage(page, GetJournalResponseSchema))
      throw new Error(`Unexpected message type ${page.$typeName}.`);
    for (const entry of page.entries) {
      afterSeq = entry.seq;
      if (entry.stepKey === "") continue;
      const { payload: _payload, ...head } = entry;
      steps.set(entry.stepKey, head);
    }
    if (!page.more || page.entries.length === 0) return steps;
  }
}

function wholeNumber(
  exchange: Exchange,
  name: string,
  min: number,
  max: number,
): number | undefined {
  const text = queryText(exchange.search, name);
  if (text === undefined) return undefined;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : -1;
  if (value >= min && value <= max) return value;
  throw invalid(name, `is ${text.slice(0, 50)}; it must be a whole number from ${min} to ${max}`);
}
