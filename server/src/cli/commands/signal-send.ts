import { SendSignalResponseSchema } from "@pawl/proto";
import { controlRun } from "../shared/control-run.ts";
import { payloadFrom } from "../shared/payload-text.ts";

export const run = controlRun({
  schema: SendSignalResponseSchema,
  call: async (server, runId, args) => {
    const payload = await payloadFrom("--data", args.text("data"), args.text("file"));
    return await server.signals.sendSignal({
      runId,
      name: args.positional(1),
      signalId: args.text("signal-id") ?? "",
      actor: args.text("actor") ?? "",
      ...(payload !== undefined && { payload }),
    });
  },
  describe: ({ signalId, duplicate }) => ({
    text: duplicate ? `Signal ${signalId} was sent before.` : `Sent as signal ${signalId}.`,
  }),
});
