/**
 * Goal: a run is continued as if by one worker, where its former worker died between the decision of a
 * race and the close of the waits that lost it.
 * Method: a worker without an SDK writes what the former one would have; the harness of each SDK takes over.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunService, RunStatus, SignalService, StepKind } from "@pawl/proto";
import { describe, expect, test } from "vitest";
import { connect, openWorker, rpc, startRun } from "../harness/protocol.ts";
import { startServer } from "../harness/server.ts";
import { Harness } from "./harness.ts";
import { foundSdks } from "./sdks.ts";

const json = (value: unknown) => ({ data: Buffer.from(JSON.stringify(value)), encoding: "json" });
const wait = (name: string, as?: string) => ({ op: "signal", name, ...(as ? { as } : {}) });
/** `deep` loses; what signals have brought to it, or would, is for what comes after. */
const program = [
  {
    op: "race",
    branches: { go: [wait("go")], deep: ["one", "two", "three"].map((name) => wait(name)) },
  },
  ...["one", "two", "three"].map((name) => wait(name, name)),
  { op: "return", value: ["one", "two", "three"].map((name) => ({ $: name })) },
];
const keyOf = (name: string) => `all:${name === "go" ? "go" : "deep"}/signal:${name}`;

describe.each(foundSdks())("$name", (sdk) => {
  test.each(["stream", ...sdk.modes])(
    "%s: signals for a lost branch, taken or still to come, are for the next wait of their name",
    async (mode) => {
      await using ending = new AsyncDisposableStack();
      const server = ending.use(await startServer());
      const client = connect(new URL(server.grpcUrl).host);
      ending.defer(() => client.close());
      const folder = await mkdtemp(join(tmpdir(), "pawl-takeover-"));
      ending.defer(() => rm(folder, { recursive: true, force: true }));

      const former = await openWorker("unary", client, { workflows: ["conformance"] });
      const runId = "r";
      await startRun(client, {
        workflow: "conformance",
        runId,
        input: json({ programs: [program] }),
      });
      const { lease } = await former.next(runId);
      const fence = lease?.fence ?? 0;
      const opened = (name: string) =>
        former.stepStarted({
          ...{ runId, fence, stepKey: keyOf(name), name, kind: StepKind.SIGNAL, attempt: 1 },
          wait: { signalName: name },
        });
      const signal = (name: string) =>
        rpc(client, SignalService.method.sendSignal, { runId, name, payload: json(name) });
      for (const name of ["go", "one"]) await opened(name);
      for (const name of ["go", "one"]) await signal(name);
      await opened("two");
      await signal("two");
      await opened("three");
      await former.giveBack(runId, fence);
      former.close();

      const place = {
        sdk,
        url: server.grpcUrl,
        queue: "default",
        workerId: "w",
        folder,
        deploy: 0,
      };
      const harness = new Harness({ ...place, mode });
      ending.defer(() => harness.kill());
      await harness.ready();
      const run = async () => (await rpc(client, RunService.method.getRun, { runId })).run;
      while ((await run())?.waits[0]?.stepKey !== "signal:three")
        await new Promise((resolve) => setTimeout(resolve, 50));
      await signal("three");
      const { run: ended } = await rpc(client, RunService.method.waitRun, {
        runId,
        timeout: { seconds: 60n },
      });
      expect(ended?.status).toBe(RunStatus.COMPLETED);
      expect(JSON.parse(Buffer.from(ended?.output?.data ?? []).toString())).toEqual([
        "one",
        "two",
        "three",
      ]);
    },
  );
});
