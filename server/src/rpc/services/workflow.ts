import { WorkflowService } from "@pawl/proto";
import type { EngineApi } from "../../engine/api.ts";
import { LIMITS } from "../../model/limits.ts";
import { type Binding, unary } from "../binding.ts";
import { requiredText } from "../convert/field.ts";
import { workflowOut } from "../convert/worker.ts";

export function workflowService(engine: EngineApi): Binding[] {
  const rpc = WorkflowService.method;
  return [
    unary(rpc.listWorkflows, async (_request, { caller }) => {
      return { workflows: (await engine.listWorkflows(caller)).map(workflowOut) };
    }),
    unary(rpc.getWorkflow, async (request, { caller }) => {
      const name = requiredText("name", request.name, LIMITS.nameBytes);
      return { workflow: workflowOut(await engine.getWorkflow(caller, name)) };
    }),
  ];
}
