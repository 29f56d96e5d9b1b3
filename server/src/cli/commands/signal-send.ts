import { SendSignalResponseSchema } from "@pawl/proto";
import { steering } from "../shared/control-run.ts";
import { payloadFrom } from "../shared/payload-text.ts";

export const command = steering({
  usage: "signal ID NAME [--data JSON | -f FILE] [--signal-id ID]",
  about: "Sends a signal to a run. The same signal id twice is one signal.",
  options: {
    data: { type: "string", value: "JSON", help: "What the signal carries." },
    file: {
      type: "string",
      short: "f",
      value: "FILE",
      help: "The same from a file; -: standard input.",
    },
    "signal-id": { type: "string", value: "ID", help: "For deduplication; a fresh one otherwise." },
    actor: { type: "string", value: "NAME", help: "Who sends it, for the record." },
  },
  schema: SendSignalResponseSchema,
  ask: async (server, runId, args) => {
    const payload = await payloadFrom("--data", args.text("data"), args.text("file"));
    return await server.signals.sendSignal({
      runId,
      name: args.positional(1, "The signal's name"),
      signalId: args.text("signal-id") ?? "",
      actor: args.text("actor") ?? "",
      ...(payload !== undefined && { payload }),
    });
  },
  said: ({ signalId, duplicate }) => ({
    text: duplicate
      ? `Signal ${signalId} had been received before.`
      : `Sent as signal ${signalId}.`,
  }),
});
