import { RunService, RunView } from "@pawl/proto";
import type { EngineApi } from "../../engine/engine-api.ts";
import { bytesOfEntry, countWithin } from "../../engine/events/size.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { type Binding, unary } from "../binding.ts";
import { entryOut } from "../convert/entry-codec.ts";
import { checkTags, durationMs, pageSize, requiredText, runId, text } from "../convert/fields.ts";
import { listRunsIn, runOut, startRunIn } from "../convert/run-messages.ts";
import { workItemOut } from "../convert/worker-messages.ts";

const REASON_BYTES = 1_024;
/** A page of a journal, well below what a message may have, also as JSON. */
const PAGE = { items: BOUNDS.journalPageEntries, bytes: 2 * BOUNDS.journalPageBytes };

export function runService(engine: EngineApi): Binding[] {
  const rpc = RunService.method;
  return [
    unary(rpc.startRun, async (request, { caller }) => {
      const started = await engine.runs.start(caller, startRunIn(request));
      const claimed =
        started.claimed === undefined ? {} : { claimed: workItemOut(started.claimed) };
      return { run: runOut(started.run), existing: started.existing, ...claimed };
    }),
    unary(rpc.getRun, async (request, { caller }) => {
      const view = request.view === RunView.BASIC ? "basic" : "full";
      return { run: runOut(await engine.runs.get(caller, runId(request.runId), view)) };
    }),
    unary(rpc.waitRun, async (request, { caller, signal }) => {
      const asked = request.timeout;
      const wait = asked === undefined ? BOUNDS.waitRunMs : durationMs("timeout", asked);
      const timeoutMs = Math.min(wait, BOUNDS.waitRunMs);
      return {
        run: runOut(
          await engine.runs.wait(caller, { runId: runId(request.runId), timeoutMs }, signal),
        ),
      };
    }),
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
    unary(rpc.cancelRun, async (request, { caller }) => {
      const { grace } = request;
      const graceMs = grace
        ? durationMs("grace", grace, BOUNDS.cancelGraceMaxMs)
        : BOUNDS.cancelGraceMs;
      const reason = text("reason", request.reason, REASON_BYTES);
      const id = runId(request.runId);
      return {
        run: runOut(
          await engine.runs.cancel(caller, { runId: id, reason, graceMs, force: request.force }),
        ),
      };
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
