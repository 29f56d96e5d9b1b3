import { eventCommand, isAtLeast } from "../shared/event-lines.ts";

export const command = eventCommand({
  usage: "events ID [-n N] [-l LEVEL] [--follow] [--after CURSOR]",
  about:
    "Prints what happened in a run, one line per event: the entries of its journal, and the live\n" +
    "output of steps that is still kept. With --follow it goes on with what happens from then on,\n" +
    "until the run has ended, also when the server is restarted meanwhile. With --json each line is\n" +
    "an object; its `cursor` is what --after takes. Without -l, events of level info and more are\n" +
    "shown, with --json all.",
  examples: ["pawl events order-1", "pawl events order-1 --follow --json | jq .type"],
  matters: (event, least) => isAtLeast(event, least, "info"),
});
