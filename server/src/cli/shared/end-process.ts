import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

/** Ends a process in order, or by SIGKILL if it takes longer than this many ms. Safe for one that has ended. */
export async function endProcess(child: ChildProcess, patienceMs: number): Promise<void> {
  const hasEnded = child.exitCode !== null || child.signalCode !== null;
  if (hasEnded || child.pid === undefined) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), patienceMs);
  await ended;
  clearTimeout(late);
}
