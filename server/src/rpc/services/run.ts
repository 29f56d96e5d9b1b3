import { RunService, RunView } from "@pawl/proto";
import type { EngineApi } from "../../engine/api.ts";
import { bytesOfEntry, countWithin } from "../../engine/events/size.ts";
import { LIMITS } from "../../model/limits.ts";
import { type Binding, unary } from "../binding.ts";
import { checkTags, durationMs, pageSize, requiredText, runId, text } from "../convert/field.ts";
import { entryOut, listRunsIn, runOut, startRunIn } from "../convert/run.ts";
import { workItemOut } from "../convert/worker.ts";

const REASON_BYTES = 1_024;
/** A page of a journal, well below what a message may have, also as JSON. */
const PAGE = { items: LIMITS.journalPageEntries, bytes: 2 * LIMITS.journalPageBytes };

export function runService(engine: EngineApi): Binding[] {
  const rpc = RunService.method;
  return [
    unary(rpc.startRun, async (request, { caller }) => {
      const started = await engine.startRun(caller, startRunIn(request));
      const claimed =
        started.claimed === undefined ? {} : { claimed: workItemOut(started.claimed) };
      return { run: runOut(started.run), existing: started.existing, ...claimed };
    }),
    unary(rpc.getRun, async (request, { caller }) => {
      const view = request.view === RunView.BASIC ? "basic" : "full";
      return { run: runOut(await engine.getRun(caller, runId(request.runId), view)) };
    }),
    unary(rpc.waitRun, async (request, { caller, signal }) => {
      const asked = request.timeout;
      const wait = asked === undefined ? LIMITS.waitRunMs : durationMs("timeout", asked);
      const timeoutMs = Math.min(wait, LIMITS.waitRunMs);
      return { run: runOut(await engine.waitRun(caller, runId(request.runId), timeoutMs, signal)) };
    }),
    unary(rpc.listRuns, async (request, { caller }) => {
      const page = await engine.listRuns(caller, listRunsIn(request));
      return { runs: page.runs.map(runOut), nextPageToken: page.nextPageToken };
    }),
    unary(rpc.getJournal, async (request, { caller }) => {
      const max = LIMITS.journalPageEntries;
      const size = pageSize(request.pageSize, max, max);
      const id = runId(request.runId);
      const page = await engine.getJournal(caller, id, request.afterSeq, size);
      // Entries may have the payload of another, which the store does not count.
      const fits = countWithin(page.entries, 0, PAGE, bytesOfEntry);
      const entries = page.entries.slice(0, fits).map(entryOut);
      return { entries, more: page.more || fits < page.entries.length };
    }),
    unary(rpc.cancelRun, async (request, { caller }) => {
      const { grace } = request;
      const graceMs = grace
        ? durationMs("grace", grace, LIMITS.cancelGraceMaxMs)
        : LIMITS.cancelGraceMs;
      const reason = text("reason", request.reason, REASON_BYTES);
      const id = runId(request.runId);
      return { run: runOut(await engine.cancelRun(caller, id, reason, graceMs, request.force)) };
    }),
    unary(rpc.pauseRun, async (request, { caller }) => {
      const reason = text("reason", request.reason, REASON_BYTES);
      return { run: runOut(await engine.pauseRun(caller, runId(request.runId), reason)) };
    }),
    unary(rpc.resumeRun, async (request, { caller }) => {
      return { run: runOut(await engine.resumeRun(caller, runId(request.runId))) };
    }),
    unary(rpc.retryRun, async (request, { caller }) => {
      return { run: runOut(await engine.retryRun(caller, runId(request.runId))) };
    }),
    unary(rpc.deleteRun, async (request, { caller }) => {
      await engine.deleteRun(caller, runId(request.runId));
      return {};
    }),
    unary(rpc.updateTags, async (request, { caller }) => {
      checkTags(request.set, "set");
      const remove = request.remove.map((tag) => requiredText("remove", tag, LIMITS.tagKeyBytes));
      const id = runId(request.runId);
      return { run: runOut(await engine.updateTags(caller, id, request.set, remove)) };
    }),
  ];
}
