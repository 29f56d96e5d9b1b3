import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  EventClass,
  type Run,
  RunStatus,
  StartRunRequestSchema,
  StartRunResponseSchema,
  WaitRunResponseSchema,
} from "@pawl/proto";
import { formatDuration } from "../render/text.ts";
import type { Args } from "../shared/args.ts";
import { clientCommand, printJson, type Server } from "../shared/client-command.ts";
import { EXIT } from "../shared/exit.ts";
import { goesOnAfterInterrupt } from "../shared/interrupt.ts";
import { quoted } from "../shared/open-waits.ts";
import { formatPayload, payloadFrom } from "../shared/payload-text.ts";
import { download, ENDED, styledStatus, whatHappened } from "../shared/run-text.ts";
import { whenOf } from "../shared/start-options.ts";
import type { Terminal } from "../shared/terminal.ts";

/** How often the status is read: a pause does not end the wait by itself. */
const WAIT_SECONDS = 2n;

export const run = clientCommand(async (server, args, terminal) => {
  const request = await requestOf(args);
  const started = await server.runs.startRun(request);
  const run = started.run;
  if (run === undefined) throw new Error("The server answered without a run.");
  if (args.flag("wait")) return await waitFor(server, run, args, terminal);
  if (args.flag("json")) printJson(terminal, StartRunResponseSchema, started);
  else {
    terminal.out(run.runId);
    const already = started.existing
      ? `Run already exists (${RunStatus[run.status]}).`
      : "Started.";
    terminal.note(`${already} Inspect it with \`pawl inspect ${quoted(run.runId)}\`.`);
  }
  return EXIT.OK;
});

async function requestOf(args: Args) {
  const input = await payloadFrom("--input", args.text("input"), args.text("file"));
  const priority = args.integer("priority", 0, 9);
  return create(StartRunRequestSchema, {
    workflow: args.positional(0),
    ...(input !== undefined && { input }),
    runId: args.text("id") ?? "",
    tags: args.pairs("tag"),
    queue: args.text("queue") ?? "",
    version: args.text("version") ?? "",
    ...(priority !== undefined && { priority }),
    ...whenOf(args),
  });
}

async function waitFor(server: Server, run: Run, args: Args, terminal: Terminal): Promise<number> {
  const { runId } = run;
  goesOnAfterInterrupt(runId, terminal);
  if (!args.flag("json")) terminal.note(terminal.style("dim", `run ${runId}`));
  const over = new AbortController();
  const counting = terminal.live
    ? countSteps(server, run, terminal, over.signal)
    : Promise.resolve();
  try {
    while (true) {
      const waited = await server.runs.waitRun({ runId, timeout: { seconds: WAIT_SECONDS } });
      const now = waited.run;
      if (now === undefined) throw new Error("The server answered without a run.");
      if (!ENDED.has(now.status) && now.status !== RunStatus.PAUSED) continue;
      over.abort();
      await counting;
      terminal.progress("");
      if (args.flag("json")) printJson(terminal, WaitRunResponseSchema, waited);
      else await showOutcome(server, now, terminal);
      return now.status === RunStatus.COMPLETED ? EXIT.OK : EXIT.RUN_FAILED;
    }
  } finally {
    over.abort();
  }
}

async function showOutcome(server: Server, run: Run, terminal: Terminal): Promise<void> {
  if (run.status === RunStatus.COMPLETED && run.output !== undefined) {
    terminal.out(formatPayload(await download(server, run.output)));
  }
  const { startedAt, endedAt } = run;
  const took =
    startedAt && endedAt
      ? ` in ${formatDuration(timestampMs(endedAt) - timestampMs(startedAt))}`
      : "";
  const why = whatHappened(run);
  terminal.note(`${styledStatus(terminal, run.status)}${took}${why === "" ? "" : `. ${why}`}`);
  if (run.status === RunStatus.FAILED && !HOPELESS.has(run.failure?.type ?? ""))
    terminal.note(`Retry from the failed step: pawl retry ${quoted(run.runId)}`);
}

/** Failures caused by the input: a retry would fail again. */
const HOPELESS: ReadonlySet<string> = new Set(["InvalidValueError", "InvalidInput"]);

/** The live line on a terminal: status, steps done, current step. */
async function countSteps(
  server: Server,
  run: Run,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  let steps = 0;
  let at = "";
  let status = RunStatus[run.status] ?? "";
  try {
    const classes = [EventClass.CHECKPOINT, EventClass.DELTA];
    for await (const { events } of server.events.watchRun(
      { runId: run.runId, classes },
      { signal },
    )) {
      for (const event of events) {
        if (event.type === "workflow.step.completed") steps += 1;
        if (event.stepKey !== "") at = event.stepKey;
        const question = event.entry?.question;
        if (question !== undefined) {
          const id = quoted(run.runId);
          terminal.note(
            `The run asks: ${question.prompt}  ${terminal.style("dim", `pawl answer ${id}`)}`,
          );
        }
        if (event.type === "workflow.waiting") status = "WAITING";
        else if (event.type.startsWith("workflow.step")) status = "RUNNING";
      }
      const now = at === "" ? "" : ` · ${at}`;
      terminal.progress(`${status} · ${steps} ${steps === 1 ? "step" : "steps"} done${now}`);
    }
  } catch (error) {
    // The line is optional: the wait itself reports errors of the server.
    if (!signal.aborted) terminal.progress(`${status}: no live view (${String(error)})`);
  }
}
