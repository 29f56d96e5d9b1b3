import { RunService } from "@pawl/proto";
import type { EngineApi } from "../../engine/engine-api.ts";
import { bytesOfEntry, countWithin } from "../../engine/events/size.ts";
import type { Log } from "../../lib/log.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { type Binding, duplex, unary } from "../binding.ts";
import { type ClientCalls, REASON_BYTES } from "../client-calls.ts";
import { attachClient } from "../client-stream.ts";
import { entryOut } from "../convert/entry-codec.ts";
import { checkTags, pageSize, requiredText, runId, text } from "../convert/fields.ts";
import { listRunsIn, runOut } from "../convert/run-messages.ts";

/** A page of a journal, well below what a message may have, also as JSON. */
const PAGE = { items: BOUNDS.journalPageEntries, bytes: 2 * BOUNDS.journalPageBytes };

export function runService(engine: EngineApi, calls: ClientCalls, log: Log): Binding[] {
  const rpc = RunService.method;
  return [
    duplex(rpc.attach, (stream, context) => attachClient(calls, stream, context, log)),
    unary(rpc.startRun, (request, context) => calls.startRun(request, context)),
    unary(rpc.getRun, (request, context) => calls.getRun(request, context)),
    unary(rpc.waitRun, (request, context) => calls.waitRun(request, context)),
    unary(rpc.cancelRun, (request, context) => calls.cancelRun(request, context)),
    unary(rpc.listRuns, async (request, { caller }) => {
      const page = await engine.runs.list(caller, listRunsIn(request));
      return { runs: page.runs.map(runOut), nextPageToken: page.nextPageToken };
    }),
    unary(rpc.getJournal, async (request, { caller }) => {
      const max = BOUNDS.journalPageEntries;
      const size = pageSize(request.pageSize, max, max);
      const id = runId(request.runId);
      const page = await engine.runs.journal(caller, {
        runId: id,
        afterSeq: request.afterSeq,
        entriesMax: size,
      });
      // Entries may have the payload of another, which the store does not count.
      const fits = countWithin(page.entries, 0, PAGE, bytesOfEntry);
      const entries = page.entries.slice(0, fits).map(entryOut);
      return { entries, more: page.more || fits < page.entries.length };
    }),
    unary(rpc.pauseRun, async (request, { caller }) => {
      const reason = text("reason", request.reason, REASON_BYTES);
      return { run: runOut(await engine.runs.pause(caller, runId(request.runId), reason)) };
    }),
    unary(rpc.resumeRun, async (request, { caller }) => {
      return { run: runOut(await engine.runs.resume(caller, runId(request.runId))) };
    }),
    unary(rpc.retryRun, async (request, { caller }) => {
      return { run: runOut(await engine.runs.retry(caller, runId(request.runId))) };
    }),
    unary(rpc.deleteRun, async (request, { caller }) => {
      await engine.runs.delete(caller, runId(request.runId));
      return {};
    }),
    unary(rpc.updateTags, async (request, { caller }) => {
      checkTags(request.set, "set");
      const remove = request.remove.map((tag) => requiredText("remove", tag, BOUNDS.tagKeyBytes));
      const id = runId(request.runId);
      return {
        run: runOut(await engine.runs.updateTags(caller, { runId: id, set: request.set, remove })),
      };
    }),
  ];
}
