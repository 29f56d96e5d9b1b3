/** Children that the code starts and continues beside. */
import { create } from "@bufbuild/protobuf";
import { ParentRefSchema, StartRunRequestSchema, StepKind } from "@pawl/proto";
import { RequestError, TerminalError, UsageError } from "../errors.ts";
import type { Scope } from "../run/scope.ts";
import { StepOperation } from "../run/step.ts";
import type { StepHost } from "../run/step-body.ts";
import { defaultSettings } from "../run/step-settings.ts";
import { WaitOperation } from "../run/wait.ts";
import type { AnyWorkflow } from "../workflow-types.ts";
import { childCall } from "./child.ts";
import type { ChildHandle, ChildOptions } from "./types.ts";

export interface SpawnRequest {
  readonly host: StepHost;
  readonly scope: Scope;
  /** Of the step that starts the child, and of the wait for it. */
  readonly keys: { readonly start: string; readonly wait: string };
  readonly workflow: string | AnyWorkflow;
  readonly name: string;
  readonly input: unknown;
  readonly options: ChildOptions;
}

/** Starts the child in a step, so that a replay has its run id without asking. */
export async function spawnChild(spawn: SpawnRequest): Promise<ChildHandle<unknown>> {
  const { host, scope, keys, name } = spawn;
  const { run } = host;
  const { child } = childCall({ ...spawn, run, stepKey: keys.start });
  const start = async (): Promise<string> => {
    if (child === undefined) throw new UsageError("there is no child to start");
    const request = create(StartRunRequestSchema, await child.request());
    request.parent = create(ParentRefSchema, { runId: run.runId, stepKey: keys.start });
    try {
      const response = await run.persist(() => {
        request.parentFence = run.fence;
        return run.link.startRun(request, child.workflow);
      });
      return response.run?.runId ?? "";
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      throw new TerminalError(error.message, { cause: error });
    }
  };
  const call = {
    name,
    kind: StepKind.STEP,
    body: start,
    args: [],
    settings: defaultSettings,
    inputDigest: "",
    input: undefined,
  };
  const runId = String(await new StepOperation(host, scope, keys.start, call).open());
  let result: Promise<unknown> | undefined;
  return {
    runId,
    result() {
      result ??= new WaitOperation(run, scope, keys.wait, {
        name,
        kind: StepKind.CHILD,
        wait: { childRunId: runId },
        finish: ({ value }) => value,
      }).open();
      return result;
    },
  };
}
