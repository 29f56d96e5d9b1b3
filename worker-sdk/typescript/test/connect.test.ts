import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import {
  EventService,
  PayloadService,
  RunService,
  RunStatus,
  WorkerService,
  type WorkerServiceAttachRequest,
  WorkerServiceAttachResponseSchema,
} from "@pawl/proto";
import { ErrorInfoSchema, RetryInfoSchema } from "@pawl/proto/google/rpc/error_details_pb.js";
import { expect, test } from "vitest";
import {
  Client,
  fromConnectTransport,
  RequestError,
  silentLogger,
  Worker,
  workflow,
} from "../src/index.ts";
import { dispatch } from "./support/peer.ts";

test("a worker over a Connect transport: session, dispatch, result", async () => {
  const seen: string[] = [];
  const done = Promise.withResolvers<void>();
  const transport = createRouterTransport(({ service }) => {
    service(WorkerService, {
      async *attach(requests: AsyncIterable<WorkerServiceAttachRequest>) {
        for await (const request of requests) {
          for (const { id, body } of request.frames) {
            seen.push(body.case ?? "");
            if (body.case === "hello") {
              yield create(WorkerServiceAttachResponseSchema, {
                frames: [
                  { body: { case: "welcome", value: { connectionId: "s" } } },
                  { body: dispatch("greet") },
                ],
              });
            } else if (body.case === "stepCompleted") {
              const result = { case: "stepCompleted" as const, value: { directive: 1, seq: 2 } };
              yield create(WorkerServiceAttachResponseSchema, {
                frames: [{ body: { case: "reply", value: { id, result } } }],
              });
            } else if (body.case === "completeRun") {
              done.resolve();
            }
          }
        }
      },
    });
  });
  const greet = workflow("greet", (ctx) => ctx.step("hello", () => "hello"));
  const worker = new Worker({
    transport: fromConnectTransport(transport),
    workflows: [greet],
    logger: silentLogger,
    drainTimeout: 0,
  });
  await worker.start();
  await done.promise;
  expect(seen).toEqual(
    expect.arrayContaining(["hello", "credits", "dispatchAck", "stepCompleted", "completeRun"]),
  );
  await worker.stop();
});

test("a client over a Connect transport: calls, streams both ways, errors with reasons", async () => {
  const pieces: number[] = [];
  const transport = createRouterTransport(({ service }) => {
    service(RunService, {
      startRun: () => {
        throw new ConnectError("taken", Code.AlreadyExists, undefined, [
          {
            desc: ErrorInfoSchema,
            value: { reason: "RUN_EXISTS", domain: "pawl.dev", metadata: { run_id: "r" } },
          },
          { desc: RetryInfoSchema, value: { retryDelay: { seconds: 2n } } },
        ]);
      },
      getRun: ({ runId }) => ({ run: { runId, status: RunStatus.COMPLETED, workflow: "w" } }),
    });
    service(PayloadService, {
      async putPayload(requests) {
        for await (const { data } of requests) pieces.push(data.length);
        return { ref: { sha256: "00", size: 1 } };
      },
    });
    service(EventService, {
      async *watchRun() {
        yield { events: [{ cursor: "1", runId: "r", type: "run.started" }] };
        yield { events: [{ cursor: "2", runId: "r", type: "run.completed" }] };
      },
    });
  });
  const client = new Client({ transport: fromConnectTransport(transport) });
  const error = await client.start("w", "x".repeat(3_500_000)).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(RequestError);
  expect(error).toMatchObject({
    reason: "RUN_EXISTS",
    code: 6,
    metadata: { run_id: "r" },
    retryAfterMs: 2_000,
  });
  expect(pieces).toEqual([1_048_576, 1_048_576, 1_048_576, 354_274]);
  const run = client.handle("r");
  expect(await run.get()).toMatchObject({ runId: "r", status: "completed" });
  const types: string[] = [];
  for await (const event of run.watch()) types.push(event.type);
  expect(types).toEqual(["run.started", "run.completed"]);
  client.close();
});
