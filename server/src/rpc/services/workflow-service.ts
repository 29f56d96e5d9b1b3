import { WorkflowService } from "@pawl/proto";
import type { EngineApi } from "../../engine/engine-api.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { type Binding, unary } from "../binding.ts";
import { requiredText } from "../convert/fields.ts";
import { workflowOut } from "../convert/worker-messages.ts";

export function workflowService(engine: EngineApi): Binding[] {
  const rpc = WorkflowService.method;
  return [
    unary(rpc.listWorkflows, async (_request, { caller }) => {
      return { workflows: (await engine.registry.listWorkflows(caller)).map(workflowOut) };
    }),
    unary(rpc.getWorkflow, async (request, { caller }) => {
      const name = requiredText("name", request.name, BOUNDS.nameBytes);
      return { workflow: workflowOut(await engine.registry.getWorkflow(caller, name)) };
    }),
  ];
}
